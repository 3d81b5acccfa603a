//! The tags of a repository: names, which no policy speaks of.

use http::Response;
use oci::Tag;
use serde_json::json;
use upstream::{PageQuery, TagsPage};

use super::query::Query;
use super::respond::List;
use super::{Pull, PullDoor, Refusal, respond};
use crate::reply::Body;

/// What part of the tags a client wants.
#[derive(Debug, Default)]
struct Wanted {
    most: Option<usize>,
    after: Option<String>,
}

impl PullDoor {
    /// A page of the tags, asked of the upstream each time: what is kept here is not all that there is.
    pub(super) async fn tags(&self, pull: &Pull<'_>) -> Result<Response<Body>, Refusal> {
        let wanted = Wanted::of(&pull.query)?;
        // Not every registry knows what no tags at all would be, and whether there is such a repository is to be told.
        let query =
            if wanted.most == Some(0) { pull.query.page_with(&[("n", "1")])? } else { pull.query.page()? };
        let repository = &pull.place.name.repository;
        let page = pull.place.upstream.tags(repository, &query).await.map_err(Refusal::List)?;
        let (page, next) = wanted.cut(page, &pull.query)?;
        let list = List {
            media_type: "application/json",
            bytes: in_the_words_of(pull.name.as_str(), page),
            next,
            filtered: false,
        };
        Ok(respond::list(pull, list))
    }
}

impl Wanted {
    fn of(query: &Query<'_>) -> Result<Self, Refusal> {
        let most = query.parameter("n")?.map(|text| text.parse().map_err(|_| Refusal::PageSize));
        Ok(Self { most: most.transpose()?, after: query.parameter("last")? })
    }

    /// The page that is wanted, and the one after it. A registry that gives what was not asked for knows of no pages, and
    /// so gave everything that there is, in whatever order.
    fn cut(&self, mut page: TagsPage, query: &Query<'_>) -> Result<(TagsPage, Option<PageQuery>), Refusal> {
        if self.most == Some(0) {
            page.tags.clear();
            page.content.clear();
            return Ok((page, None));
        }
        let again = self.after.as_ref().is_some_and(|last| page.tags.iter().any(|tag| tag.as_str() == last));
        let too_many = self.most.is_some_and(|most| page.tags.len() > most);
        if !again && !too_many {
            let next = page.next.take();
            return Ok((page, next));
        }
        page.content.clear();
        in_order(&mut page.tags);
        let last =
            self.after.as_deref().and_then(|last| page.tags.iter().position(|tag| tag.as_str() == last));
        page.tags.drain(..last.map_or(0, |last| last + 1));
        let next = match self.most {
            Some(most) if most < page.tags.len() => {
                page.tags.truncate(most);
                let last = page.tags.last().map_or("", Tag::as_str);
                Some(query.page_with(&[("n", &most.to_string()), ("last", last)])?)
            }
            Some(_) | None => page.next.take(),
        };
        Ok((page, next))
    }
}

/// Puts tags in the order of their bytes, unless they are in the other one that the specification has.
fn in_order(tags: &mut [Tag]) {
    if !tags.is_sorted_by_key(|tag| tag.as_str().to_ascii_lowercase()) {
        tags.sort();
    }
}

/// The upstream's own words, unless they are of another name or of more tags than are given.
fn in_the_words_of(name: &str, page: TagsPage) -> bytes::Bytes {
    if page.name == name && !page.content.is_empty() {
        return page.content;
    }
    let tags: Vec<&str> = page.tags.iter().map(Tag::as_str).collect();
    json!({"name": name, "tags": tags}).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(tags: &[&str], next: Option<&str>) -> TagsPage {
        let tags = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        TagsPage {
            content: "theirs".into(),
            name: "a".into(),
            tags,
            next: next.map(|next| next.parse().unwrap()),
        }
    }

    #[track_caller]
    fn check(query: &str, page: TagsPage, tags: &[&str], next: Option<&str>) {
        let query = Query::parse(query).unwrap();
        let whole = page.tags.len() == tags.len();
        let (page, after) = Wanted::of(&query).unwrap().cut(page, &query).unwrap();
        assert_eq!(page.tags.iter().map(Tag::as_str).collect::<Vec<_>>(), tags);
        assert_eq!(after.as_ref().map(PageQuery::as_str), next);
        assert_eq!(in_the_words_of("a", page) == "theirs", whole);
    }

    #[test]
    fn a_registry_that_knows_no_pages_is_paged_for() {
        let all = || page(&["a", "b", "c", "d"], None);
        check("", all(), &["a", "b", "c", "d"], None);
        check("n=2", all(), &["a", "b"], Some("n=2&last=b"));
        check("n=2&last=b", all(), &["c", "d"], None);
        check("n=9", all(), &["a", "b", "c", "d"], None);
        check("n=0", all(), &[], None);
    }

    #[test]
    fn a_registry_that_pages_is_taken_at_its_word() {
        check("n=2", page(&["a", "b"], Some("n=2&last=b")), &["a", "b"], Some("n=2&last=b"));
        check("n=2&last=a", page(&["b", "C"], None), &["b", "C"], None);
        check("n=0", page(&["a"], Some("n=1&last=a")), &[], None);
        let query = Query::parse("n=0").unwrap();
        let (_, next) = Wanted::of(&query).unwrap().cut(page(&[], Some("n=1")), &query).unwrap();
        assert_eq!(next, None);
    }

    #[test]
    fn of_everything_a_page_is_cut_in_the_order_that_it_has_or_should_have() {
        check("last=b&n=1", page(&["a", "B", "b", "C", "d"], None), &["C"], Some("n=1&last=C"));
        check("last=b", page(&["c", "a", "b"], None), &["c"], None);
        check("n=2", page(&["c", "a", "b"], None), &["a", "b"], Some("n=2&last=b"));
    }

    #[test]
    fn an_order_of_the_registrys_own_is_kept_where_it_pages_itself() {
        let newest_first = page(&["v2", "v1"], Some("n=2&last=v1"));
        check("n=2&last=v3", newest_first, &["v2", "v1"], Some("n=2&last=v1"));
        check("", page(&["c", "a", "b"], None), &["c", "a", "b"], None);
    }

    #[test]
    fn how_many_is_a_number() {
        for query in ["n=", "n=-1", "n=x", "n=1.5", "n=99999999999999999999"] {
            let wanted = Wanted::of(&Query::parse(query).unwrap());
            assert!(matches!(wanted, Err(Refusal::PageSize)), "{query}");
        }
    }
}
