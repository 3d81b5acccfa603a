//! The results as XML that build servers read: JUnit's.

use super::report::{Outcome, Report};

/// The whole document.
pub(super) fn xml(report: &Report) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for tested in &report.tables {
        let failed = tested.cases.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Failed(_))).count();
        let untold = tested.cases.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Untold(_))).count();
        let (table, count) = (escaped(&tested.table), tested.cases.len());
        xml.push_str(&format!(
            "  <testsuite name=\"{table}\" tests=\"{count}\" failures=\"{failed}\" errors=\"{untold}\">\n"
        ));
        for (name, outcome) in &tested.cases {
            xml.push_str(&case(&table, name, outcome));
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn case(table: &str, name: &str, outcome: &Outcome) -> String {
    let name = escaped(name);
    let (element, why) = match outcome {
        Outcome::Passed => return format!("    <testcase classname=\"{table}\" name=\"{name}\"/>\n"),
        Outcome::Failed(why) => ("failure", why),
        Outcome::Untold(why) => ("error", why),
    };
    let first = escaped(why.lines().next().unwrap_or_default());
    let why = escaped(why);
    format!(
        "    <testcase classname=\"{table}\" name=\"{name}\">\n      <{element} message=\"{first}\">{why}</{element}>\n    </testcase>\n"
    )
}

/// Text for XML 1.0, which has no way to write most control characters.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(character),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            control if control.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::policy_test::report::Tested;

    #[test]
    fn what_a_case_is_called_cannot_close_its_element() {
        let cases = vec![
            ("\"><x/>".to_owned(), Outcome::Passed),
            ("b".to_owned(), Outcome::Failed("- verdict: <allow>\n\u{1b}".to_owned())),
            ("c".to_owned(), Outcome::Untold("cue".to_owned())),
        ];
        let xml = xml(&Report { tables: vec![Tested { table: "t&t".into(), cases }] });
        assert!(
            xml.contains("<testsuite name=\"t&amp;t\" tests=\"3\" failures=\"1\" errors=\"1\">"),
            "{xml}"
        );
        assert!(xml.contains("name=\"&quot;&gt;&lt;x/&gt;\"/>"), "{xml}");
        assert!(
            xml.contains(
                "<failure message=\"- verdict: &lt;allow&gt;\">- verdict: &lt;allow&gt;\n\u{fffd}</failure>"
            ),
            "{xml}"
        );
    }
}
