//! What a cluster keeps for pulling images: Docker's configuration inside of a Secret.

use std::collections::BTreeMap;

use oci::{Host, Name};
use serde::Deserialize;

use super::docker::Auth;
use crate::credentials::Credentials;

/// The entries of a Secret for pulling images, of type `kubernetes.io/dockerconfigjson` or the older
/// `kubernetes.io/dockercfg`. `Debug` shows none of them.
///
/// What stands in it is what somebody in the cluster wrote: programs that it names are never run, and credentials are for
/// whatever registry its entry says and no other. As with the kubelet, an entry is for a host, or for the repositories below
/// a path of one, and `*` in its host stands for any part of one label. Refresh tokens are no use to the kubelet, and so
/// none here.
#[derive(Clone)]
pub struct PullSecret(Vec<(Scope, Credentials)>);

/// For which repositories an entry is.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Scope {
    /// A host, or a pattern of hosts.
    host: String,
    /// The path below which, without a slash at either end; empty where it is for all.
    path: String,
}

/// Why a Secret has no entries that could be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidPullSecret {
    /// It is not what its type promises. What stands in it is a secret, and not quoted.
    #[error("is no Docker configuration")]
    Malformed,
    /// It has more entries than anybody has registries.
    #[error("has more than {ENTRIES} entries")]
    TooMany,
}

/// The most entries of one Secret.
const ENTRIES: usize = 256;

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

impl PullSecret {
    /// Reads `.dockerconfigjson`.
    ///
    /// # Errors
    /// [`InvalidPullSecret`].
    pub fn from_docker_config(text: &[u8]) -> Result<Self, InvalidPullSecret> {
        let config: Config = serde_json::from_slice(text).map_err(|_| InvalidPullSecret::Malformed)?;
        Self::of(config.auths)
    }

    /// Reads `.dockercfg`, which is the entries alone.
    ///
    /// # Errors
    /// [`InvalidPullSecret`].
    pub fn from_docker_cfg(text: &[u8]) -> Result<Self, InvalidPullSecret> {
        Self::of(serde_json::from_slice(text).map_err(|_| InvalidPullSecret::Malformed)?)
    }

    fn of(entries: BTreeMap<String, Auth>) -> Result<Self, InvalidPullSecret> {
        if entries.len() > ENTRIES {
            return Err(InvalidPullSecret::TooMany);
        }
        let read = |(name, auth): (String, Auth)| Some((Scope::of(&name), auth.password()?));
        let mut entries: Vec<_> = entries.into_iter().filter_map(read).collect();
        // The most special first: the longer path, and a host before a pattern.
        entries.sort_by_key(|(scope, _)| (std::cmp::Reverse(scope.path.len()), scope.host.contains('*')));
        Ok(Self(entries))
    }

    /// What it has for a repository, the entry that is most its own first.
    pub fn credentials_for(&self, name: &Name) -> impl Iterator<Item = &Credentials> {
        self.0.iter().filter(|(scope, _)| scope.has(name)).map(|(_, credentials)| credentials)
    }
}

impl std::fmt::Debug for PullSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PullSecret(…)")
    }
}

impl Scope {
    /// `host`, `host/path`, or either as a URL. The versions of Docker's API are no path.
    fn of(name: &str) -> Self {
        let name = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://")).unwrap_or(name);
        let (host, path) = name.split_once('/').unwrap_or((name, ""));
        let path = path.trim_matches('/');
        let path = ["v1", "v2"].iter().find_map(|version| path.strip_prefix(version)).unwrap_or(path);
        Self { host: host.to_ascii_lowercase(), path: path.trim_matches('/').to_owned() }
    }

    fn has(&self, name: &Name) -> bool {
        let below = name.repository.as_str().strip_prefix(&self.path);
        let has_path =
            below.is_some_and(|rest| self.path.is_empty() || rest.is_empty() || rest.starts_with('/'));
        has_path && self.has_host(&name.host)
    }

    fn has_host(&self, host: &Host) -> bool {
        if !self.host.contains('*') {
            // Docker Hub has several names, of which a host knows.
            return self.host.parse::<Host>().is_ok_and(|named| named == *host);
        }
        let (pattern, host) = (self.host.split('.'), host.as_str().split('.'));
        pattern.clone().count() == host.clone().count()
            && pattern.zip(host).all(|(pattern, label)| matches(pattern, label))
    }
}

/// Whether a label is a pattern's, in which `*` stands for any characters.
fn matches(pattern: &str, label: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == label };
    let Some(mut label) = label.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = label.find(part) else { return false };
        label = &label[at + part.len()..];
    }
    label.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, image: &str) -> Vec<String> {
        let secret = PullSecret::from_docker_config(text.as_bytes()).unwrap();
        let reference: oci::Reference = image.parse().unwrap();
        let of = |credentials: &Credentials| credentials.password().unwrap().0.to_owned();
        secret.credentials_for(reference.name()).map(of).collect()
    }

    const ENTRIES: &str = r#"{"auths": {
        "ghcr.io": {"username": "host", "password": "p"},
        "ghcr.io/acme": {"username": "path", "password": "p"},
        "https://registry.example:5000/v2/": {"username": "url", "password": "p"},
        "https://index.docker.io/v1/": {"auth": "aHViOnA="},
        "*.corp.example": {"username": "pattern", "password": "p"},
        "quay.io": {"identitytoken": "t"}
    }}"#;

    #[test]
    fn an_entry_is_for_its_host_and_for_what_is_below_its_path() {
        for (image, is) in [
            ("ghcr.io/acme/app", &["path", "host"][..]),
            ("ghcr.io/acme", &["path", "host"]),
            ("ghcr.io/acmeother/app", &["host"]),
            ("registry.example:5000/app", &["url"]),
            ("registry.example/app", &[]),
            ("busybox", &["hub"]),
            ("a.corp.example/app", &["pattern"]),
            ("a.b.corp.example/app", &[]),
            ("corp.example/app", &[]),
            ("a.corp.example.evil.example/app", &[]),
            ("ghcr.io.evil.example/acme/app", &[]),
            ("quay.io/app", &[]),
        ] {
            assert_eq!(found(ENTRIES, image), is, "{image}");
        }
    }

    #[test]
    fn a_star_is_part_of_one_label() {
        for (pattern, label, is) in [
            ("*", "any", true),
            ("k8s*", "k8s-gcr", true),
            ("*s*r", "k8s-gcr", true),
            ("k8s*", "gcr", false),
            ("a*a", "a", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
        ] {
            assert_eq!(matches(pattern, label), is, "{pattern} {label}");
        }
    }

    #[test]
    fn the_older_form_is_the_entries_alone_and_what_is_neither_is_said_without_its_content() {
        let secret = PullSecret::from_docker_cfg(br#"{"ghcr.io": {"auth": "dTpw"}}"#).unwrap();
        let reference: oci::Reference = "ghcr.io/acme/app".parse().unwrap();
        assert_eq!(secret.credentials_for(reference.name()).count(), 1);
        let error = PullSecret::from_docker_config(br#"{"auths": hunter2}"#).unwrap_err();
        assert_eq!(error, InvalidPullSecret::Malformed);
        let many: Vec<String> = (0..=super::ENTRIES).map(|at| format!(r#""r{at}.example": {{}}"#)).collect();
        let many = format!("{{{}}}", many.join(","));
        assert_eq!(PullSecret::from_docker_cfg(many.as_bytes()).unwrap_err(), InvalidPullSecret::TooMany);
    }
}
