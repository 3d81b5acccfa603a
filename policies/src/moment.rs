//! Points in time, as policies write them.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::object::{Object, Report};

/// Seconds since 1970.
pub(crate) type Seconds = i64;

/// A field that is an instant (RFC 3339), or a day, in UTC: then its first second.
pub(crate) fn begins(object: &Object<'_>, key: &str, report: &mut Report) -> Option<Seconds> {
    read(object, key, report, Some)
}

/// The same, but of a day the first second after it: whatever holds until a day holds on it.
pub(crate) fn ends(object: &Object<'_>, key: &str, report: &mut Report) -> Option<Seconds> {
    read(object, key, report, |day| day.checked_add(1.day()).ok())
}

fn read(
    object: &Object<'_>,
    key: &str,
    report: &mut Report,
    edge: impl Fn(Date) -> Option<Date>,
) -> Option<Seconds> {
    let text = object.text(key, report)?;
    let of_day = || {
        let day = edge(text.parse::<Date>().ok().filter(|_| text.len() == "2026-01-31".len())?)?;
        Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
    };
    let parsed = text.parse::<Timestamp>().ok().map(Timestamp::as_second).or_else(of_day);
    if parsed.is_none() {
        let why = "wants a day such as 2026-01-31, or an instant such as 2026-01-31T12:00:00Z";
        report.errors.invalid(text, object.at(key), why);
    }
    parsed
}

/// An instant, for a person.
pub(crate) fn display(seconds: Seconds) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |instant| instant.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node;

    #[track_caller]
    fn check(text: &str, begins: Option<Seconds>, ends: Option<Seconds>) {
        let node = node::documents(&format!("at: '{text}'")).unwrap().remove(0);
        let mut report = Report::default();
        let object = Object::of(&node, String::new(), &mut report).unwrap();
        assert_eq!(super::begins(&object, "at", &mut report), begins, "{text}");
        assert_eq!(super::ends(&object, "at", &mut report), ends, "{text}");
        assert_eq!(report.errors.entries().count(), usize::from(begins.is_none()), "{text}");
    }

    #[test]
    fn a_day_is_a_whole_one_and_an_instant_is_itself() {
        check("1970-01-02", Some(86_400), Some(2 * 86_400));
        check("1970-01-01T00:01:00Z", Some(60), Some(60));
        check("1970-01-01T01:00:00+01:00", Some(0), Some(0));
        for wrong in ["tomorrow", "1970-13-01", "1970-01-01 12:00", "1970-W01-4", "9999-12-32"] {
            check(wrong, None, None);
        }
    }
}
