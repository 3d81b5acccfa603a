//! What the query of a request says: which registry is meant, and which page of a list.

use upstream::PageQuery;

use super::Refusal;

/// A query, taken apart and not yet decoded.
#[derive(Debug, Default)]
pub(super) struct Query<'a> {
    namespace: Option<Namespace<'a>>,
    /// Everything else, pair by pair.
    rest: Vec<&'a str>,
}

/// The registry that `ns` names.
#[derive(Debug)]
pub(super) struct Namespace<'a> {
    /// The pair as it was spelled, to be given back in links.
    pair: &'a str,
    /// The name.
    pub(super) name: String,
}

impl<'a> Query<'a> {
    /// Takes a query apart. A second `ns`, or one that needs decoding beyond what a host can need, is refused rather
    /// than guessed at.
    pub(super) fn parse(query: &'a str) -> Result<Self, Refusal> {
        let mut taken = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let Some(value) = pair.strip_prefix("ns=") else {
                taken.rest.push(pair);
                continue;
            };
            let name = decoded(value).ok_or(Refusal::Query("ns is not UTF-8"))?;
            if taken.namespace.replace(Namespace { pair, name }).is_some() {
                return Err(Refusal::Query("ns is given twice"));
            }
        }
        Ok(taken)
    }

    /// What `ns` names.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace.as_ref().map(|namespace| namespace.name.as_str())
    }

    /// The value of a parameter, decoded. A plus sign stands for itself.
    pub(super) fn parameter(&self, name: &str) -> Result<Option<String>, Refusal> {
        let mut values = self.rest.iter().filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let value = values.next();
        if values.next().is_some() {
            return Err(Refusal::Query("a parameter is given twice"));
        }
        value.map(|value| decoded(value).ok_or(Refusal::Query("a parameter is not UTF-8"))).transpose()
    }

    /// What is asked of the upstream: everything but `ns`, which is ours.
    pub(super) fn page(&self) -> Result<PageQuery, Refusal> {
        self.page_with(&[])
    }

    /// The same with other values of these parameters.
    pub(super) fn page_with(&self, changed: &[(&str, &str)]) -> Result<PageQuery, Refusal> {
        let is_changed = |pair: &str| changed.iter().any(|(name, _)| pair.split('=').next() == Some(*name));
        let kept = self.rest.iter().filter(|pair| !is_changed(pair)).map(|pair| (*pair).to_owned());
        let pairs: Vec<String> =
            kept.chain(changed.iter().map(|(name, value)| format!("{name}={value}"))).collect();
        pairs.join("&").parse().map_err(|_| Refusal::Query("the query is none of a page"))
    }

    /// Where a client finds another page of what it asked for at this path.
    pub(super) fn link(&self, path: &str, next: &PageQuery) -> String {
        let ours = self.namespace.iter().map(|namespace| namespace.pair);
        let theirs = next.as_str().split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("ns="));
        let pairs: Vec<&str> = theirs.chain(ours).collect();
        format!("<{path}?{}>; rel=\"next\"", pairs.join("&"))
    }
}

fn decoded(value: &str) -> Option<String> {
    Some(percent_encoding::percent_decode_str(value).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ns_is_given_once_or_not_at_all() {
        let namespace = |query: &str| Query::parse(query).unwrap().namespace().map(str::to_owned);
        assert_eq!(namespace(""), None);
        assert_eq!(namespace("ns=ghcr.io").as_deref(), Some("ghcr.io"));
        assert_eq!(namespace("a=b&ns=localhost%3A5000").as_deref(), Some("localhost:5000"));
        assert!(Query::parse("ns=a&ns=b").is_err());
        assert!(Query::parse("ns=%ff").is_err());
    }

    #[test]
    fn what_is_asked_upstream_is_everything_but_ns() {
        let query = Query::parse("n=2&ns=ghcr.io&last=a%2Fb&token=x").unwrap();
        assert_eq!(query.page().unwrap().as_str(), "n=2&last=a%2Fb&token=x");
        assert_eq!(query.parameter("last").unwrap().as_deref(), Some("a/b"));
        assert_eq!(query.parameter("las").unwrap(), None);
        assert_eq!(query.page_with(&[("n", "1")]).unwrap().as_str(), "last=a%2Fb&token=x&n=1");
        assert!(Query::parse("n=1&n=2").unwrap().parameter("n").is_err());
        let plus = Query::parse("artifactType=application/spdx+json").unwrap();
        assert_eq!(plus.parameter("artifactType").unwrap().as_deref(), Some("application/spdx+json"));
    }

    #[test]
    fn links_lead_back_here_under_the_same_ns() {
        let next = "last=c&ns=other&n=2".parse().unwrap();
        let query = Query::parse("ns=ghcr.io&n=2").unwrap();
        assert_eq!(
            query.link("/v2/a/tags/list", &next),
            "</v2/a/tags/list?last=c&n=2&ns=ghcr.io>; rel=\"next\""
        );
        let query = Query::parse("").unwrap();
        assert_eq!(query.link("/v2/a/tags/list", &next), "</v2/a/tags/list?last=c&n=2>; rel=\"next\"");
    }
}
