//! What every part of the page has around it.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Part;

/// Its one style sheet, in it.
pub(super) const STYLE: &str = include_str!("page.css");

const PARTS: [(Part, &str, &str); 4] = [
    (Part::Overview, "/", "Decisions"),
    (Part::Policies, "/policies", "Policies"),
    (Part::Images, "/images", "Images"),
    (Part::Health, "/health", "Health"),
];

/// A whole page around some content.
pub(super) fn page(part: Part, content: &Markup) -> Markup {
    let title = PARTS.iter().find(|(of, ..)| *of == part).map_or("Decision", |(.., title)| title);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " – Countersign" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#content" { "Skip to content" }
                header {
                    p.name { "Countersign" }
                    nav aria-label="Parts" {
                        ul {
                            @for (of, path, title) in PARTS {
                                li { a href=(path) aria-current=[(of == part).then_some("page")] { (title) } }
                            }
                        }
                    }
                    form role="search" action="/" method="get" {
                        label for="about" { "Pod, image, digest or decision" }
                        input #about name="about" type="search" size="36";
                        button { "Search" }
                    }
                }
                main #content tabindex="-1" { (content) }
            }
        }
    }
}
