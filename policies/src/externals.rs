//! What policies name and do not hold: secrets, config maps, files elsewhere, keys of key services.
//!
//! Whoever loads policies looks these up, and never on a request path. A policy one of whose externals cannot be had
//! denies what it covers, and says why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use oci::Digest;

/// Something that a policy names.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum External {
    /// `secretRef`: the only entry of a Secret, in the namespace of the installation.
    Secret(String),
    /// `configMapRef`: one entry of a ConfigMap, in the namespace of the installation.
    ConfigMap {
        /// The ConfigMap.
        name: String,
        /// Its entry.
        key: String,
    },
    /// `remote`: a file on an HTTPS server.
    Remote {
        /// Where it is.
        url: String,
        /// The sha256 of its content, in hexadecimal.
        sha256: String,
    },
    /// `kms`: the public half of a key in a key service.
    Kms(String),
}

/// What was found under the names, or why nothing was: a sentence for the author.
#[derive(Clone, Debug, Default)]
pub struct Externals {
    found: BTreeMap<External, Result<Arc<str>, String>>,
    config_maps: BTreeSet<String>,
    cue: bool,
}

impl Externals {
    /// Adds what came of looking for one.
    pub fn insert(&mut self, external: External, content: Result<Arc<str>, String>) {
        self.found.insert(external, content);
    }

    /// Adds that there is somebody to ask programs in CUE. Without, a policy that has one denies what it covers.
    #[must_use]
    pub fn with_cue(self) -> Self {
        Self { cue: true, ..self }
    }

    pub(crate) fn has_cue(&self) -> bool {
        self.cue
    }

    /// Adds that there is a ConfigMap, so that an entry it lacks is told from one that is unknown.
    pub fn config_map(&mut self, name: &str) {
        self.config_maps.insert(name.to_owned());
    }

    /// The content, which for a [`Remote`](External::Remote) is what its checksum says.
    ///
    /// # Errors
    /// A sentence for the author, where it was not found or never looked for.
    pub(crate) fn content(&self, external: &External) -> Result<Arc<str>, String> {
        let Some(found) = self.found.get(external) else {
            return Err(self.missing(external));
        };
        let content = found.clone()?;
        if let External::Remote { sha256, .. } = external {
            let got = Digest::of(content.as_bytes()).hex();
            if !sha256.eq_ignore_ascii_case(&got) {
                return Err(format!("failed to check sha256sum from policy remote: {sha256} got {got}"));
            }
        }
        Ok(content)
    }

    fn missing(&self, external: &External) -> String {
        match external {
            External::ConfigMap { name, key } if self.config_maps.contains(name) => {
                format!("configmap {name:?} does not contain key {key}")
            }
            External::Kms(_) => {
                "keys of key services are not fetched: give the public key as data".to_owned()
            }
            External::Secret(_) | External::ConfigMap { .. } | External::Remote { .. } => {
                format!("{external} is not known here")
            }
        }
    }
}

impl fmt::Display for External {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(name) => write!(f, "secret {name:?}"),
            Self::ConfigMap { name, .. } => write!(f, "configmap {name:?}"),
            Self::Remote { url, .. } => f.write_str(url),
            Self::Kms(reference) => f.write_str(reference),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_what_its_checksum_says_is_not_used() {
        let remote =
            |sha256: &str| External::Remote { url: "https://a.example".into(), sha256: sha256.into() };
        let sum = Digest::of(b"text").hex();
        let mut externals = Externals::default();
        externals.insert(remote(&sum.to_uppercase()), Ok("text".into()));
        externals.insert(remote("00"), Ok("text".into()));
        assert_eq!(externals.content(&remote(&sum.to_uppercase())).as_deref(), Ok("text"));
        assert_eq!(
            externals.content(&remote("00")),
            Err(format!("failed to check sha256sum from policy remote: 00 got {sum}"))
        );
        assert!(externals.content(&External::Secret("s".into())).is_err());
    }
}
