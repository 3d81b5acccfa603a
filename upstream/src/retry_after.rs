//! When an upstream wants to be asked again.

use std::time::Duration;

use http::{HeaderMap, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// The longest wait that is believed.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// The `Retry-After` of an answer, in seconds or as a date, as
/// [RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3) has it. At most an hour.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = DateTimeParser::new().parse_timestamp(value).ok()?;
            // A moment that has passed is no wait at all.
            Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO)
        }
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, wait: Option<u64>) {
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, value.parse().unwrap())]);
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(retry_after(&headers, now), wait.map(Duration::from_secs), "{value:?}");
    }

    #[test]
    fn seconds_and_dates_are_understood() {
        check("17", Some(17));
        check("999999999", Some(3600));
        check("Thu, 01 Jan 2026 00:01:30 GMT", Some(90));
        check("Wed, 31 Dec 2025 23:59:59 GMT", Some(0));
        check("soon", None);
        check("-1", None);
    }
}
