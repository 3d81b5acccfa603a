//! Who pulls as a tenant: the signs by which a caller is told.

use std::fmt;
use std::path::PathBuf;

use oci::{Host, Repository};

use crate::config::file::{ConfigError, parsed, wrong};
use crate::config::wire;
use crate::hostname::Hostname;
use crate::login::Fingerprint;
use crate::tenants::Network;

/// Signs that have to be there together: one of every kind that is named.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The names that it calls the gateway by.
    pub hostnames: Vec<Hostname>,
    /// What its repositories begin with, before anything else is made of them.
    pub path_prefixes: Vec<PathPrefix>,
    /// The client certificates that it shows.
    pub certificates: Vec<Certificate>,
    /// What it logs in with.
    pub credentials: Vec<CallerCredential>,
    /// Where it calls from.
    pub addresses: Vec<Network>,
}

/// What the names of repositories begin with: one or more whole parts of a path.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct PathPrefix(Repository);

/// A name that a certificate proves.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Certificate {
    /// The last common name of its subject.
    CommonName(String),
    /// A DNS name among its subject's alternative names, in lower case.
    Dns(String),
    /// A URI among them, as a SPIFFE ID is.
    Uri(String),
}

/// How short a secret may be that a caller logs in with.
pub(crate) const SHORTEST: usize = 8;

/// What a caller logs in with.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum CallerCredential {
    /// By `Authorization: Basic`.
    Basic {
        /// The file of the user name.
        username: PathBuf,
        /// The file of the password.
        password: PathBuf,
    },
    /// By `Authorization: Bearer`.
    Bearer {
        /// The file of the token.
        token: PathBuf,
    },
    /// By what was in a Secret that a Tenant object names.
    Given(Fingerprint),
}

impl CallerCredential {
    /// The files that it is in.
    pub(crate) fn files(&self) -> Vec<&PathBuf> {
        match self {
            Self::Basic { username, password } => vec![username, password],
            Self::Bearer { token } => vec![token],
            Self::Given(_) => Vec::new(),
        }
    }
}

impl PathPrefix {
    /// What is left of a repository behind this prefix.
    pub(crate) fn strip<'a>(&self, repository: &'a str) -> Option<&'a str> {
        repository.strip_prefix(self.0.as_str())?.strip_prefix('/')
    }

    /// The first part of it.
    pub(crate) fn first(&self) -> &str {
        self.0.as_str().split('/').next().unwrap_or_default()
    }

    /// Whether some repository could begin with both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self == other || self.strip(other.0.as_str()).is_some() || other.strip(self.0.as_str()).is_some()
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommonName(name) => write!(f, "the common name {name}"),
            Self::Dns(name) => write!(f, "the DNS name {name}"),
            Self::Uri(uri) => write!(f, "{uri}"),
        }
    }
}

impl wire::Caller {
    pub(super) fn into_caller(self, key: &str) -> Result<Caller, ConfigError> {
        let at = |kind: &str, index: usize| format!("{key}.{kind}[{index}]");
        let mut caller = Caller::default();
        for (index, name) in self.hostnames.iter().enumerate() {
            caller.hostnames.push(parsed(&at("hostnames", index), name)?);
        }
        for (index, prefix) in self.path_prefixes.iter().enumerate() {
            caller.path_prefixes.push(path_prefix(&at("pathPrefixes", index), prefix)?);
        }
        for (index, certificate) in self.certificates.into_iter().enumerate() {
            caller.certificates.push(certificate.into_certificate(&at("certificates", index))?);
        }
        for (index, credential) in self.credentials.into_iter().enumerate() {
            caller.credentials.push(credential.into_credential(&at("credentials", index))?);
        }
        for (index, network) in self.addresses.iter().enumerate() {
            caller.addresses.push(parsed(&at("addresses", index), network)?);
        }
        let names_nothing = caller.hostnames.is_empty()
            && caller.path_prefixes.is_empty()
            && caller.certificates.is_empty()
            && caller.credentials.is_empty()
            && caller.addresses.is_empty();
        if names_nothing {
            Err(wrong(key, "names nothing that a caller could be told by"))
        } else {
            Ok(caller)
        }
    }
}

/// A registry's name at the head of a path means that registry, and so is no tenant's.
fn path_prefix(key: &str, text: &str) -> Result<PathPrefix, ConfigError> {
    let prefix = PathPrefix(parsed(key, text)?);
    let first = prefix.first();
    if first.contains('.')
        || first.contains(':')
        || first.parse::<Host>().is_ok_and(|host| host.as_str() == "localhost")
    {
        return Err(wrong(key, format!("{first:?} could be the name of a registry")));
    }
    Ok(prefix)
}

impl wire::Certificate {
    fn into_certificate(self, key: &str) -> Result<Certificate, ConfigError> {
        let printable = |name: String| {
            let is = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
            if is { Ok(name) } else { Err(wrong(key, format!("{name:?} is not of printable ASCII"))) }
        };
        match (self.common_name, self.dns, self.uri) {
            (Some(name), None, None) => Ok(Certificate::CommonName(printable(name)?)),
            (None, Some(name), None) => Ok(Certificate::Dns(printable(name)?.to_ascii_lowercase())),
            (None, None, Some(uri)) => Ok(Certificate::Uri(printable(uri)?)),
            _ => Err(wrong(key, "wants one of commonName, dns and uri")),
        }
    }
}

impl wire::CallerCredential {
    pub(super) fn names_files(&self) -> bool {
        self.username_file.is_some() || self.password_file.is_some() || self.token_file.is_some()
    }

    fn into_credential(self, key: &str) -> Result<CallerCredential, ConfigError> {
        if let Some(given) = self.given {
            return Ok(CallerCredential::Given(given));
        }
        if self.secret_ref.is_some() {
            return Err(wrong(
                format!("{key}.secretRef"),
                "is for Tenant objects: here credentials are in files",
            ));
        }
        match (self.username_file, self.password_file, self.token_file) {
            (Some(username), Some(password), None) => Ok(CallerCredential::Basic { username, password }),
            (None, None, Some(token)) => Ok(CallerCredential::Bearer { token }),
            _ => Err(wrong(key, "wants usernameFile and passwordFile, or tokenFile")),
        }
    }
}
