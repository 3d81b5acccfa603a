//! How far a redirect is followed.

use http::{HeaderMap, StatusCode, Uri, header};

use crate::address::{Class, Reach};
use crate::error::FetchError;
use crate::origin::{Origin, Scheme};

/// The most redirects that are followed for one request.
pub(crate) const LIMIT: usize = 5;

/// Whether an answer sends us elsewhere.
pub(crate) fn is_redirect(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    )
}

/// Where an answer sends us: a URL, or the path of one at the same origin.
pub(crate) fn location(headers: &HeaderMap, from: &Uri) -> Result<Uri, FetchError> {
    let malformed = || FetchError::Refused("it redirects to what is no URL".to_owned());
    let text = headers.get(header::LOCATION).and_then(|value| value.to_str().ok()).ok_or_else(malformed)?;
    resolve(text, from).ok_or_else(malformed)
}

/// What a reference means that was found at a URL: a URL itself, or the path of one at the same origin.
pub(crate) fn resolve(text: &str, from: &Uri) -> Option<Uri> {
    let absolute = match (from.scheme_str(), from.authority()) {
        (Some(scheme), _) if text.starts_with("//") => format!("{scheme}:{text}"),
        (Some(scheme), Some(authority)) if text.starts_with('/') => format!("{scheme}://{authority}{text}"),
        _ => text.to_owned(),
    };
    absolute.parse().ok()
}

/// How far the connection to a redirect's target may reach, if it is followed at all.
///
/// `peer` is the class of the address that the endpoint itself was found at. A target's name is looked up only when
/// it is connected to, so what it resolves to is checked there, against the answer of this.
pub(crate) fn reach(
    target: &Origin,
    endpoint: &Origin,
    listed: &[Origin],
    peer: Class,
) -> Result<Reach, FetchError> {
    if target.scheme() == Scheme::Http && endpoint.scheme() == Scheme::Https {
        return Err(FetchError::Refused(format!("it redirects to {target}, in the clear")));
    }
    if target == endpoint || listed.contains(target) {
        return Ok(Reach::Anywhere);
    }
    let reach = Reach::of_peer(peer);
    match target.address() {
        Some(address) if !reach.covers(Class::of(address)) => {
            Err(FetchError::Refused(format!("it redirects to {target}, which is no public address")))
        }
        _ => Ok(reach),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn leads(text: &str, to: &str) {
        let headers = HeaderMap::from_iter([(header::LOCATION, text.parse().unwrap())]);
        let from = Uri::from_static("https://a.example:5000/v2/x/blobs/y?z");
        assert_eq!(location(&headers, &from).unwrap().to_string(), to, "{text}");
    }

    #[test]
    fn a_location_is_read_from_where_it_was_given() {
        leads("https://b.example/c?d", "https://b.example/c?d");
        leads("/c?d", "https://a.example:5000/c?d");
        leads("//b.example/c", "https://b.example/c");
        let from = Uri::from_static("https://a.example/");
        assert!(location(&HeaderMap::new(), &from).is_err());
    }

    fn within(target: &str, endpoint: &str, listed: &[&str], peer: Class) -> Option<Reach> {
        let listed: Vec<_> = listed.iter().map(|origin| origin.parse().unwrap()).collect();
        reach(&target.parse().unwrap(), &endpoint.parse().unwrap(), &listed, peer).ok()
    }

    #[test]
    fn a_public_registry_leads_to_public_addresses_over_tls() {
        let to = |target| within(target, "https://a.example", &[], Class::Public);
        assert_eq!(to("https://cdn.example"), Some(Reach::Public));
        assert_eq!(to("https://1.1.1.1"), Some(Reach::Public));
        assert_eq!(to("https://a.example"), Some(Reach::Anywhere));
        for target in [
            "http://cdn.example",
            "http://a.example",
            "https://10.0.0.1",
            "https://127.0.0.1",
            "https://169.254.169.254",
            "https://[::1]",
            "https://[::ffff:a00:1]",
        ] {
            assert_eq!(to(target), None, "{target}");
        }
    }

    #[test]
    fn a_private_registry_leads_to_private_addresses_too() {
        let to = |target| within(target, "http://a.example", &[], Class::Private);
        assert_eq!(to("http://10.0.0.1"), Some(Reach::Private));
        assert_eq!(to("http://127.0.0.1"), None);
        assert_eq!(to("http://169.254.169.254"), None);
    }

    #[test]
    fn a_listed_origin_may_be_anywhere() {
        let to = |target| within(target, "https://a.example", &["https://10.0.0.1:9000"], Class::Public);
        assert_eq!(to("https://10.0.0.1:9000"), Some(Reach::Anywhere));
        assert_eq!(to("https://10.0.0.1"), None);
    }
}
