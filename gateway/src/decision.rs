//! Names for answers, so that a person can find in the logs what they were told.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::HeaderValue;

/// Names answers, uniquely within the fleet: a random part for the process, then a count.
#[derive(Debug)]
pub struct Decisions {
    process: u32,
    count: AtomicU64,
}

/// The name of one answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Decision {
    process: u32,
    count: u64,
}

impl Decisions {
    /// Names that begin with this process's number.
    pub fn new(process: u32) -> Self {
        Self { process, count: AtomicU64::new(1) }
    }

    /// A name that no other answer has.
    pub fn next(&self) -> Decision {
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

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{:x}", self.process, self.count)
    }
}
