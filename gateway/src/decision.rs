//! Names for answers, so that a person can find in the logs what they were told.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::HeaderValue;

/// Names answers, uniquely within the fleet: a random part for the process, then a count.
#[derive(Debug)]
pub(crate) struct Decisions {
    process: u32,
    count: AtomicU64,
}

/// The name of one answer.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Decision {
    process: u32,
    count: u64,
}

impl Decisions {
    /// Names that begin with this process's number.
    pub(crate) fn new(process: u32) -> Self {
        Self { process, count: AtomicU64::new(1) }
    }

    /// A name that no other answer has.
    pub(crate) fn next(&self) -> Decision {
        Decision { process: self.process, count: self.count.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Decision {
    /// The name as a header's value.
    pub(crate) fn header(self) -> HeaderValue {
        // Hexadecimal digits and a dash are what a header may have.
        HeaderValue::from_maybe_shared(Bytes::from(self.to_string()))
            .unwrap_or_else(|_| HeaderValue::from_static("?"))
    }
}

impl FromStr for Decision {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let (process, count) = text.split_once('-').unwrap_or((text, ""));
        Ok(Self { process: u32::from_str_radix(process, 16)?, count: u64::from_str_radix(count, 16)? })
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{:x}", self.process, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        let decision = Decision { process: 42, count: 0x1f };
        assert_eq!(decision.to_string(), "0000002a-1f");
        assert_eq!("0000002a-1f".parse(), Ok(decision));
        for text in ["", "2a", "2a-", "-1", "web-7d4f"] {
            assert!(text.parse::<Decision>().is_err(), "{text:?}");
        }
    }
}
