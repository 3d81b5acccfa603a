//! Parts of blobs.

use std::ops::Range;

/// What a `Range` header asks of content of this length.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Part {
    /// All of it: there is no such header, or it is of a kind that may be ignored.
    Whole,
    /// These bytes.
    Some(Range<usize>),
    /// None that there are.
    Unsatisfiable,
}

/// Reads one `bytes=` range, as [RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-14.1.2) says. Several are ignored.
pub(super) fn part(header: Option<&str>, length: usize) -> Part {
    let Some(range) = header.and_then(|header| header.strip_prefix("bytes=")) else {
        return Part::Whole;
    };
    let Some((first, last)) = range.split_once('-') else {
        return Part::Whole;
    };
    let number = |text: &str| text.parse::<usize>().ok();
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if last >= first => first..last.saturating_add(1).min(length),
        (Some(first), None) if last.is_empty() => first..length,
        (None, Some(count)) if first.is_empty() => length.saturating_sub(count)..length,
        _ => return Part::Whole,
    };
    if range.start < range.end { Part::Some(range) } else { Part::Unsatisfiable }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        assert_eq!(part(None, 10), Part::Whole);
        assert_eq!(part(Some("bytes=0-3"), 10), Part::Some(0..4));
        assert_eq!(part(Some("bytes=4-"), 10), Part::Some(4..10));
        assert_eq!(part(Some("bytes=-3"), 10), Part::Some(7..10));
        assert_eq!(part(Some("bytes=8-99"), 10), Part::Some(8..10));
        assert_eq!(part(Some("bytes=10-"), 10), Part::Unsatisfiable);
        assert_eq!(part(Some("bytes=-0"), 10), Part::Unsatisfiable);
        assert_eq!(part(Some("bytes=3-1"), 10), Part::Whole);
        assert_eq!(part(Some("bytes=0-1,3-4"), 10), Part::Whole);
        assert_eq!(part(Some("items=0-1"), 10), Part::Whole);
    }
}
