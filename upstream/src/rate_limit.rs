//! What a registry says of how much more it will answer.

use http::HeaderMap;

/// How many requests are left of how many.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RateLimit {
    /// How many there are in a window of time.
    pub(crate) limit: Option<u64>,
    /// How many are left.
    pub(crate) remaining: u64,
}

/// The names that registries have for it: Docker Hub's and the draft of the IETF's; GitHub's, GitLab's and others'.
const NAMES: [(&str, &str); 3] = [
    ("ratelimit-limit", "ratelimit-remaining"),
    ("x-ratelimit-limit", "x-ratelimit-remaining"),
    ("x-rate-limit-limit", "x-rate-limit-remaining"),
];

impl RateLimit {
    /// What the headers of an answer say, if anything.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        NAMES.iter().find_map(|(limit, remaining)| {
            let remaining = number(headers, remaining)?;
            Some(Self { limit: number(headers, limit), remaining })
        })
    }

    /// How near the end is, from 0 (a tenth or more is left) to 1 (nothing is).
    pub(crate) fn shortage(&self) -> f64 {
        // Who does not say of how many leaves to us what few are.
        let tenth = self.limit.map_or(10.0, |limit| limit as f64 / 10.0);
        if tenth < 1.0 {
            return if self.remaining == 0 { 1.0 } else { 0.0 };
        }
        (1.0 - self.remaining as f64 / tenth).clamp(0.0, 1.0)
    }
}

/// The number that a value begins with: Docker Hub says `100;w=21600` for a hundred in six hours.
fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    let value = headers.get(name)?.to_str().ok()?;
    value.split([';', ',']).next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(headers: &[(&'static str, &str)]) -> Option<RateLimit> {
        let headers =
            headers.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        RateLimit::of(&headers.collect())
    }

    #[test]
    fn the_spellings_of_registries_are_understood() {
        let hub = said(&[("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "76;w=21600")]);
        assert_eq!(hub, Some(RateLimit { limit: Some(100), remaining: 76 }));
        let github = said(&[("x-ratelimit-limit", "60"), ("x-ratelimit-remaining", "0")]);
        assert_eq!(github, Some(RateLimit { limit: Some(60), remaining: 0 }));
        assert_eq!(said(&[("ratelimit-remaining", "5")]), Some(RateLimit { limit: None, remaining: 5 }));
        for nothing in [
            &[][..],
            &[("ratelimit-limit", "100")],
            &[("ratelimit-remaining", "few")],
            &[("ratelimit-remaining", "-1")],
        ] {
            assert_eq!(said(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn it_is_short_when_less_than_a_tenth_is_left() {
        let shortage = |limit, remaining| RateLimit { limit, remaining }.shortage();
        assert_eq!(shortage(Some(100), 100), 0.0);
        assert_eq!(shortage(Some(100), 10), 0.0);
        assert_eq!(shortage(Some(100), 5), 0.5);
        assert_eq!(shortage(Some(100), 0), 1.0);
        assert_eq!(shortage(Some(5), 1), 0.0);
        assert_eq!(shortage(Some(0), 0), 1.0);
        assert_eq!(shortage(None, 5), 0.5);
        assert_eq!(shortage(None, u64::MAX), 0.0);
    }
}
