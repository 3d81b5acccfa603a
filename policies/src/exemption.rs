//! `spec.exemptions[]`: images that a policy lets pass for a while, and why.

use std::sync::Arc;

use oci::{Algorithm, Digest};

use crate::moment::{self, Seconds};
use crate::object::{Object, Report};

/// How many images a policy may exempt.
const LIMIT: usize = 256;

/// The longest reason, in bytes.
const REASON_LIMIT: usize = 1024;

/// An image that a policy lets pass without evidence, until a day.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Exemption {
    /// The image's content, by sha256.
    pub digest: Digest,
    /// Why it is let pass, in the author's words.
    pub reason: Arc<str>,
    /// When it ends, in seconds since 1970.
    pub expires: Seconds,
}

/// What may be further away than anybody remembers why, in seconds.
const YEAR: Seconds = 366 * 24 * 60 * 60;

impl Exemption {
    /// What is odd about it at this moment.
    pub(crate) fn oddity(&self, now: Seconds) -> Option<String> {
        let end = moment::display(self.expires);
        if self.expires <= now {
            Some(format!("this exemption ended at {end}; take it out"))
        } else if self.expires.saturating_sub(now) > YEAR {
            Some(format!("this exemption ends at {end}, more than a year away"))
        } else {
            None
        }
    }
}

/// Reads the exemptions of a policy.
pub(crate) fn read(spec: &Object<'_>, report: &mut Report) -> Vec<Exemption> {
    let exemptions = spec.objects("exemptions", LIMIT, report);
    exemptions.iter().filter_map(|exemption| one(exemption, report)).collect()
}

fn one(object: &Object<'_>, report: &mut Report) -> Option<Exemption> {
    object.only(&["digest", "reason", "expires"], report);
    object.require(&["digest", "reason", "expires"], report);
    let reason = object.text("reason", report)?;
    if reason.len() > REASON_LIMIT {
        report.errors.add(format!("more than {REASON_LIMIT} bytes"), object.at("reason"));
    }
    let expires = moment::ends(object, "expires", report);
    let digest = digest(object, "digest", report);
    Some(Exemption { digest: digest?, reason: reason.into(), expires: expires? })
}

/// A field that is the sha256 of an image.
pub(crate) fn digest(object: &Object<'_>, key: &str, report: &mut Report) -> Option<Digest> {
    let text = object.text(key, report)?;
    let digest = text.parse::<Digest>().ok().filter(|digest| digest.algorithm() == Algorithm::Sha256);
    if digest.is_none() {
        report.errors.invalid(text, object.at(key), "wants sha256: and 64 hexadecimal digits in lower case");
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node;

    #[test]
    fn an_exemption_may_last_a_year_and_end_at_any_moment() {
        let until = |expires| Exemption { digest: Digest::of(b"app"), reason: "r".into(), expires };
        for (expires, odd) in [(0, true), (1, false), (YEAR, false), (YEAR + 1, true)] {
            assert_eq!(until(expires).oddity(0).is_some(), odd, "{expires}");
        }
        assert_eq!(YEAR, 31_622_400);
    }

    #[test]
    fn a_reason_has_a_longest_length() {
        for (length, fits) in [(REASON_LIMIT, true), (REASON_LIMIT + 1, false), (REASON_LIMIT * 2, false)] {
            let (digest, reason) = (Digest::of(b"app"), "r".repeat(length));
            let text = format!("exemptions: [{{digest: '{digest}', reason: {reason}, expires: 2027-01-01}}]");
            let node = node::documents(&text).unwrap().remove(0);
            let mut report = Report::default();
            let spec = Object::of(&node, "spec".into(), &mut report).unwrap();
            assert_eq!(read(&spec, &mut report).len(), 1);
            assert_eq!(report.errors.entries().count() == 0, fits, "{length}");
        }
    }
}
