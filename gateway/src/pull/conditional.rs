//! Requests that depend on what the client has already, as
//! [RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-13) says. What content is tagged with is its digest.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Whether the client has this content and wants nothing: `If-None-Match`.
pub(super) fn is_had(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let is_this =
        |had: &str| had == "*" || had.strip_prefix("W/").unwrap_or(had).as_bytes() == tag.as_bytes();
    texts(headers, &header::IF_NONE_MATCH).flat_map(|value| value.split(',')).any(|had| is_this(had.trim()))
}

/// The range that the client wants, if it has the rest of this very content: `Range`, and `If-Range` where there is one.
/// A date is never that of what we have, since none is said.
pub(super) fn range<'a>(headers: &'a HeaderMap, tag: &HeaderValue) -> Option<&'a str> {
    let of_this = headers.get(header::IF_RANGE).is_none_or(|had| had == tag);
    texts(headers, &header::RANGE).next().filter(|_| of_this)
}

fn texts<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([
            (name, value.parse().unwrap()),
            (header::RANGE, HeaderValue::from_static("bytes=1-")),
        ])
    }

    #[test]
    fn who_has_it_is_told_so() {
        let tag = HeaderValue::from_static("\"sha256:ab\"");
        for (value, had) in [
            ("\"sha256:ab\"", true),
            ("W/\"sha256:ab\"", true),
            ("\"x\", \"sha256:ab\"", true),
            ("*", true),
            ("\"sha256:a\"", false),
            ("sha256:ab", false),
        ] {
            assert_eq!(is_had(&headers(header::IF_NONE_MATCH, value), &tag), had, "{value}");
        }
        assert!(!is_had(&HeaderMap::new(), &tag));
    }

    #[test]
    fn a_range_is_of_what_the_client_has_the_rest_of() {
        let tag = HeaderValue::from_static("\"sha256:ab\"");
        for (value, wanted) in [
            ("\"sha256:ab\"", Some("bytes=1-")),
            ("W/\"sha256:ab\"", None),
            ("\"other\"", None),
            ("Tue, 24 Nov 2026 00:00:00 GMT", None),
        ] {
            assert_eq!(range(&headers(header::IF_RANGE, value), &tag), wanted, "{value}");
        }
        assert_eq!(range(&headers(header::ACCEPT, "*/*"), &tag), Some("bytes=1-"));
    }
}
