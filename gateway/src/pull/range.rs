//! The one kind of `Range` that clients of registries use.

use std::ops::Range;

/// What part of some content a request wants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes that are not there.
    Nothing,
}

/// Reads a `Range` header for content of this size, as
/// [RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-14) says: what is malformed, or asks for several ranges, is ignored.
pub(super) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some(spec) = header.and_then(|header| header.strip_prefix("bytes=")) else {
        return Wanted::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else {
        return Wanted::Whole;
    };
    match (number(first), number(last)) {
        (Some(first), Some(last)) if last < first => Wanted::Whole,
        (Some(first), _) if first >= size && (last.is_empty() || number(last).is_some()) => Wanted::Nothing,
        (Some(first), Some(last)) => Wanted::Part(first..size.min(last.saturating_add(1))),
        (Some(first), None) if last.is_empty() => Wanted::Part(first..size),
        (None, Some(0)) if first.is_empty() => Wanted::Nothing,
        (None, Some(_)) if first.is_empty() && size == 0 => Wanted::Nothing,
        (None, Some(suffix)) if first.is_empty() => Wanted::Part(size.saturating_sub(suffix)..size),
        _ => Wanted::Whole,
    }
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: &str, size: u64, expected: &Wanted) {
        assert_eq!(&wanted(Some(header), size), expected, "{header:?} of {size}");
    }

    #[test]
    fn ranges_are_closed_open_or_suffixes() {
        check("bytes=0-0", 10, &Wanted::Part(0..1));
        check("bytes=2-5", 10, &Wanted::Part(2..6));
        check("bytes=2-99", 10, &Wanted::Part(2..10));
        check("bytes=9-", 10, &Wanted::Part(9..10));
        check("bytes=-3", 10, &Wanted::Part(7..10));
        check("bytes=-30", 10, &Wanted::Part(0..10));
    }

    #[test]
    fn what_is_not_there_is_not_satisfiable() {
        check("bytes=10-", 10, &Wanted::Nothing);
        check("bytes=10-12", 10, &Wanted::Nothing);
        check("bytes=-0", 10, &Wanted::Nothing);
        check("bytes=0-", 0, &Wanted::Nothing);
        check("bytes=-1", 0, &Wanted::Nothing);
    }

    #[test]
    fn what_is_malformed_or_several_is_ignored() {
        for header in
            ["bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "bytes=0-1,3-4", "lines=0-1", "bytes=+1-2", ""]
        {
            check(header, 10, &Wanted::Whole);
        }
        assert_eq!(wanted(None, 10), Wanted::Whole);
    }
}
