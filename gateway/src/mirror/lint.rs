//! Reading critically: every way that the files of a node leave to a registry.
//!
//! What a runtime makes of a file was measured, or read in its source: a file that it cannot read is for most of them the
//! same as none, and none means that registries are asked themselves.

mod address;
mod certs_d;
mod containerd;
mod containers;
mod docker;
mod files;
mod k3s;
mod policy_json;
mod talos;

use std::path::{Path, PathBuf};

use oci::Host;
use serde::Serialize;

use super::Registry;
use super::document::{Entry, Node, Unparsable};
pub(crate) use address::Ours;
pub(crate) use files::{Files, collect};

/// What files are judged by.
#[derive(Debug)]
pub(crate) struct Expected {
    /// The addresses that are the gateway's.
    pub(crate) ours: Ours,
    /// The registries that nodes must not reach.
    pub(crate) upstreams: Vec<Registry>,
}

impl Expected {
    /// The registries, by every name that they have.
    fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.upstreams.iter().flat_map(|registry| &registry.names)
    }

    /// Whether two names are one registry's.
    fn is_same(&self, one: &Host, other: &Host) -> bool {
        let has_both = |registry: &Registry| registry.names.contains(one) && registry.names.contains(other);
        one == other || self.upstreams.iter().any(has_both)
    }
}

/// A way past the gateway, or what is on the way to one.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Hole {
    /// Where it is.
    pub(crate) file: PathBuf,
    /// On which line, where the parser says.
    pub(crate) line: Option<usize>,
    /// Which one it is.
    #[serde(rename = "hole")]
    pub(crate) kind: Kind,
    /// What is wrong, and what comes of it.
    pub(crate) what: String,
    /// What to write.
    pub(crate) instead: String,
}

/// Every kind of hole.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// The file is not what its name says, so that it counts for nothing.
    Unparsable,
    /// A value is of a kind that the runtime refuses, so that the file counts for nothing.
    InvalidValue,
    /// A capability that the runtime does not know, so that the file counts for nothing.
    UnknownCapability,
    /// A key that the runtime passes over.
    IgnoredKey,
    /// No `server`: it is then the registry itself.
    NoServer,
    /// The registry itself is asked at last.
    OriginAsServer,
    /// No `[host]`: versions that cannot read that ask the registry itself.
    NoHost,
    /// An address that is not the gateway's.
    NotOurs,
    /// `capabilities` of `server`, which hold back no fetch.
    RootCapabilities,
    /// A directory without a `hosts.toml`.
    NoHostsFile,
    /// A registry that nothing is said about.
    NotCovered,
    /// Nothing is said about registries that are not named.
    NoDefault,
    /// Whoever is on the way can answer.
    SkipVerify,
    /// The same, without TLS.
    PlainHttp,
    /// A path under which the gateway has no registry.
    WrongPath,
    /// containerd is not told where the directory is.
    NoConfigPath,
    /// containerd's older mirrors, which always end at the registry.
    OldMirrors,
    /// A registry that is not blocked.
    NotBlocked,
    /// A mirror for tags or digests alone.
    PartOnly,
    /// A wildcard that leaves out or mixes up registries.
    Wildcard,
    /// Registries that are not listed are reached.
    Unlisted,
    /// Docker's mirrors, which always end at the registry.
    RegistryMirrors,
    /// Docker's older image store, which reads no `hosts.toml`.
    ImageStore,
    /// k3s goes on to the default endpoint.
    DefaultEndpoint,
    /// Talos goes on to the registry.
    Fallback,
    /// A format that is no longer one.
    OldFormat,
}

impl Kind {
    /// The name that answers for machines have, and people can look for.
    pub(crate) fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// Finds every hole in these files.
pub(crate) fn lint(files: &Files, expected: &Expected) -> Vec<Hole> {
    let mut holes = certs_d::lint(files, expected);
    holes.extend(containerd::lint(files, expected));
    holes.extend(containers::lint(files, expected));
    holes.extend(docker::lint(files, expected));
    holes.extend(k3s::lint(files, expected));
    holes.extend(talos::lint(files, expected));
    holes.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
    holes
}

/// What is found in one file.
struct Finder<'a> {
    file: &'a Path,
    expected: &'a Expected,
    holes: Vec<Hole>,
}

impl<'a> Finder<'a> {
    fn new(file: &'a Path, expected: &'a Expected) -> Self {
        Self { file, expected, holes: Vec::new() }
    }

    fn found(
        &mut self,
        line: Option<usize>,
        kind: Kind,
        what: impl Into<String>,
        instead: impl Into<String>,
    ) {
        let (what, instead) = (what.into(), instead.into());
        self.holes.push(Hole { file: self.file.to_owned(), line, kind, what, instead });
    }

    fn unparsable(&mut self, error: &Unparsable, so: &str) {
        let what = format!("cannot be read ({}): {so}", error.reason);
        self.found(error.line, Kind::Unparsable, what, "a file that parses");
    }

    /// Reports a host whose certificate is not looked at.
    fn unverified(&mut self, skips: Option<&Entry>, host: &str, instead: &str) {
        if let Some(skips) = skips.filter(|skips| skips.node.is_true()) {
            let what = format!("{} of {host}: whoever is on the way can answer in its place", skips.key);
            self.found(skips.line, Kind::SkipVerify, what, instead);
        }
    }

    /// Reports what is not true or false, and gives what is.
    fn truth(&mut self, entry: Option<&Entry>, so: &str) -> bool {
        match entry {
            None => false,
            Some(Entry { node: Node::Bool(truth), .. }) => *truth,
            Some(entry) => {
                let what = format!("{} is neither true nor false: {so}", entry.key);
                self.found(entry.line, Kind::InvalidValue, what, format!("{} = true or false", entry.key));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests;
