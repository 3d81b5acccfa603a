//! Domains: what is remembered in one is not found in another.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use thiserror::Error;

use crate::Limits;

/// Whose memory is: a tenant's.
///
/// It is part of the name of every table, on disk and in the shared tier, and of what seals are made with. An
/// [`Index`](crate::Index) and a [`Shared`](crate::Shared) are each of one domain, and whatever is built over them is
/// of that: there is no key that somebody could forget to put it in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Domain {
    /// Empty for the one whose tables have plain names.
    name: &'static str,
    share: Share,
}

/// Which part of what there is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Share {
    thousandths: u64,
}

/// Why a text names no domain.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a name is 1 to 63 of a-z, 0-9 and -")]
pub struct InvalidDomain;

/// The domain of whoever has no tenants. Its tables have the names that they had before there were any.
const DEFAULT: &str = "default";

/// The fewest entries that any table keeps on disk.
const FEWEST: u64 = 1_000;

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self { thousandths: 1_000 };

    /// So many thousandths, of which there are at least one and at most a thousand.
    pub fn thousandths(thousandths: u64) -> Self {
        Self { thousandths: thousandths.clamp(1, 1_000) }
    }

    /// This part of so much.
    pub fn of(self, whole: u64) -> u64 {
        (u128::from(whole) * u128::from(self.thousandths) / 1_000).try_into().unwrap_or(whole)
    }
}

impl Default for Domain {
    fn default() -> Self {
        Self { name: "", share: Share::WHOLE }
    }
}

impl Domain {
    /// The same, with this part of memory and of the tables on disk.
    #[must_use]
    pub fn with_share(self, share: Share) -> Self {
        Self { share, ..self }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        if self.name.is_empty() { DEFAULT } else { self.name }
    }

    /// Its part of so many bytes of memory.
    pub fn bytes(self, whole: u64) -> u64 {
        self.share.of(whole)
    }

    pub(crate) fn limits(self, whole: Limits) -> Limits {
        let entries = self.share.of(whole.entries).max(FEWEST.min(whole.entries));
        Limits { bytes: self.share.of(whole.bytes).max(1), entries }
    }

    /// The table of this name. `@` is in no name of a table or of a domain.
    pub(crate) fn table(self, name: &'static str) -> &'static str {
        if self.name.is_empty() { name } else { interned(&format!("{name}@{}", self.name)) }
    }

    /// What is sealed of links and leases, whose domain had no name before there were tenants.
    pub(crate) fn plain(self) -> &'static str {
        self.name
    }
}

impl FromStr for Domain {
    type Err = InvalidDomain;

    fn from_str(name: &str) -> Result<Self, InvalidDomain> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > 63 || !name.bytes().all(allowed) {
            return Err(InvalidDomain);
        }
        let name = if name == DEFAULT { "" } else { interned(name) };
        Ok(Self { name, share: Share::WHOLE })
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The same text for as long as the process lives. There are a handful for each tenant that it ever served.
pub(crate) fn interned(text: &str) -> &'static str {
    static ALL: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    let all = all.get_or_insert_with(HashSet::new);
    if let Some(known) = all.get(text) {
        return known;
    }
    let kept: &'static str = Box::leak(text.into());
    all.insert(kept);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_nothing_that_a_table_could_be() {
        for name in ["", "A", "a_b", "a@b", "a.b", "a/b", "a b", "ä", "a;b", &"a".repeat(64)] {
            assert_eq!(name.parse::<Domain>(), Err(InvalidDomain), "{name}");
        }
        let acme: Domain = "acme-1".parse().unwrap();
        assert_eq!((acme.name(), acme.table("links")), ("acme-1", "links@acme-1"));
    }

    #[test]
    fn the_default_domain_has_the_tables_that_there_always_were() {
        let default: Domain = "default".parse().unwrap();
        assert_eq!(default, Domain::default());
        assert_eq!((default.name(), default.table("links"), default.plain()), ("default", "links", ""));
    }

    #[test]
    fn a_share_is_never_nothing_and_never_more_than_there_is() {
        assert_eq!(Share::thousandths(0).of(1_000), 1);
        assert_eq!(Share::thousandths(2_000), Share::WHOLE);
        assert_eq!(Share::WHOLE.of(u64::MAX), u64::MAX);
        let tiny = Domain::default().with_share(Share::thousandths(1));
        let limits = tiny.limits(Limits { bytes: 1, entries: 100_000 });
        assert_eq!((limits.bytes, limits.entries), (1, 1_000));
        assert_eq!(tiny.limits(Limits { bytes: 1, entries: 1 }).entries, 1);
    }
}
