//! Configuration, ready to use: every name resolved, every value a type.

mod cloud;
mod file;
mod kinds;
mod objects;
mod platform;
mod redis;
mod secrets;
mod tenants;
mod upstream;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ::upstream::Url;
use oci::{Host, Name};
use policies::NoMatch;

pub use crate::field_path::{FieldPath, InvalidFieldPath};
pub use crate::hostname::{Hostname, InvalidHostname};
pub use crate::records::Format as AuditFormat;
pub use crate::tenants::Network;
pub use cloud::CloudSource;
pub use file::{ConfigError, load};
pub use objects::{Cloud, Objects};
pub use platform::{InvalidPlatform, Platform};
pub use redis::Redis;
pub(crate) use redis::key_of;
pub use secrets::{authorities, identity};
pub(crate) use secrets::{short_file, short_secret};
pub use tenants::{Caller, CallerCredential, Certificate, NamespaceSelector, PathPrefix, Quotas, Tenant};
pub(crate) use tenants::{NoTenant, SHORTEST, STORES, Secrets, TENANTS, overlaps};
pub use upstream::{Access, CredentialSource, Endpoint, ProxySource, Upstream};

/// Everything that `serve` needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The pull door.
    pub registry: Registry,
    /// The admission door.
    pub admission: Admission,
    /// Where health and metrics are served, and where an operator asks and changes what is remembered.
    pub admin: Admin,
    /// The directory for bytes and the index.
    pub storage: Storage,
    /// What the replicas of a fleet share their memory through, if there is such a thing.
    pub redis: Option<Redis>,
    /// Whom to trust.
    pub trust: Trust,
    /// Which images may run.
    pub policies: Policies,
    /// Where images come from. No other registry is ever asked.
    pub upstreams: Vec<Upstream>,
    /// Whom it serves, each apart from all others; without, everybody alike.
    pub tenants: Option<Vec<Tenant>>,
    /// What it is remembered under: this is the configuration of one of the tenants, or of everybody.
    pub domain: cache::Domain,
    /// Whether there is nobody beside.
    alone: bool,
    /// Where decisions are kept.
    pub audit: Audit,
    /// How to log.
    pub log: Log,
    /// Where spans are sent, if anywhere.
    pub traces: Option<Traces>,
    /// How long it is believed that an image has no signature, or none that helps, in whole seconds. No key of the file
    /// sets it: shorter would ask registries for nothing, and longer makes those wait who have signed.
    pub denials: Duration,
}

/// How long a denial is believed.
const DENIALS: Duration = Duration::from_secs(30);

/// Whose tokens of service accounts are believed, and those of them that were made for this gateway.
#[derive(Clone, Debug)]
pub struct ServiceAccounts {
    /// Who issues them, as they say themselves.
    pub issuer: String,
    /// Whom they are for, likewise.
    pub audience: String,
    /// The file of the keys that they are signed with, a JSON Web Key Set.
    pub keys: PathBuf,
}

/// The pull door.
#[derive(Clone, Debug)]
pub struct Registry {
    /// The address it listens on.
    pub listen: SocketAddr,
    /// Its certificate; plain HTTP without one.
    pub tls: Option<TlsFiles>,
    /// The authorities, as a PEM file, whose certificates callers may show.
    pub client_ca: Option<PathBuf>,
    /// Whose tokens of service accounts callers may show.
    pub service_accounts: Option<ServiceAccounts>,
    /// What becomes of an image that no policy matches.
    pub no_match: NoMatch,
    /// How long a tag that was resolved is not asked about again.
    pub tag_freshness: Duration,
    /// How long after it was last confirmed a tag is believed whose registry cannot be asked; not at all without.
    pub stale_tags: Option<Duration>,
    /// How long it is believed that a registry which was shown a tenant's credential, or a caller's, still gives a repository.
    pub access_freshness: Duration,
    /// Where a pull goes that names no registry.
    pub default_upstream: Option<Host>,
    /// Images that are always denied, besides the one that is in every registry.
    pub canaries: Vec<Name>,
}

/// The admission door, always TLS.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The address it listens on.
    pub listen: SocketAddr,
    /// Its certificate; one of an authority of our own without it.
    pub tls: Option<TlsFiles>,
    /// Whose tags are replaced by digests.
    pub mutate: Mutate,
    /// What the webhook is called in messages, and its configurations in a cluster.
    pub webhook: String,
    /// Where the images are of objects of kinds that do not come with Kubernetes.
    pub kinds: Vec<Kind>,
    /// The gateway's own address, as images name it that are fetched through the gateway. Where `mutate` pins images, it
    /// makes them name it.
    pub rewrite: Option<Host>,
    /// Whether everything is let pass, and what would be said only kept and counted.
    pub observe: bool,
    /// Whether the pull secrets of Pods and of their service accounts are read where a registry is asked by nobody else's
    /// right.
    pub pull_secrets: bool,
    /// How many reviews may be under way at once.
    pub reviews: u32,
}

/// A kind of object that makes Pods, and where it names their images.
#[derive(Clone, Debug)]
pub struct Kind {
    /// Its API group.
    pub group: String,
    /// Its name, in whichever version.
    pub kind: String,
    /// What an API server calls objects of it in paths and rules.
    pub resource: String,
    /// Where images stand. None of these leads to another.
    pub paths: Vec<FieldPath>,
    /// Where specifications of Pods stand, the images of which are among these.
    pub pod_specs: Vec<FieldPath>,
}

/// Where decisions are kept.
#[derive(Clone, Debug)]
pub struct Audit {
    /// How many bytes of them are kept in memory.
    pub memory: u64,
    /// The file that all of them are written to, if they are.
    pub file: Option<AuditFile>,
}

/// A file that decisions are written to.
#[derive(Clone, Debug)]
pub struct AuditFile {
    /// Where it is.
    pub path: PathBuf,
    /// How large it grows before it is renamed and begun anew.
    pub limit: u64,
    /// What its lines are.
    pub format: AuditFormat,
}

/// Where health and metrics are served, and where an operator asks and changes what is remembered.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The address it listens on.
    pub listen: SocketAddr,
    /// The socket, which its owner alone may open.
    pub socket: PathBuf,
    /// The file of the token that an operator shows at the address; without it there is no operating from there.
    pub token: Option<PathBuf>,
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate chain, leaf first.
    pub certificate: PathBuf,
    /// The private key of the leaf.
    pub key: PathBuf,
}

/// Whose tags `/admission/mutate` replaces by digests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mutate {
    /// Those of Pods. Templates stay as their authors wrote them.
    Pods,
    /// Those of every pod-bearing kind.
    All,
    /// Nobody's.
    None,
}

/// The directory for bytes and the index.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Its path.
    pub path: PathBuf,
    /// The most bytes of content that are kept in it; unbounded without.
    pub limit: Option<u64>,
    /// The platforms whose images are fetched whole once their manifest was allowed; none is without.
    pub prefetch: Vec<Platform>,
    /// The object store that replicas share bytes through, if there is one.
    pub objects: Option<Objects>,
}

/// Whom to trust.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The trust root of policies that name none.
    pub root: TrustSource,
    /// Trust roots that policies name by `trustRootRef`.
    pub roots: Vec<(String, TrustSource)>,
    /// The same for the policies of one tenant.
    pub own: Vec<(String, TrustSource)>,
    /// How often repositories are asked for newer ones, more or less.
    pub refresh: Duration,
}

/// Where a trust root comes from.
#[derive(Clone, Debug)]
pub enum TrustSource {
    /// The public-good Sigstore instance, embedded.
    PublicGood,
    /// The staging Sigstore instance, embedded.
    Staging,
    /// A `trusted_root.json`.
    File(PathBuf),
    /// A repository of The Update Framework.
    Tuf(TufSource),
}

/// A repository of The Update Framework.
#[derive(Clone, Debug)]
pub struct TufSource {
    /// Where its metadata is.
    pub mirror: Url,
    /// The `root.json` that it is trusted by.
    pub root: PathBuf,
    /// The folder of the mirror that its targets are in.
    pub targets: String,
    /// The target that is a `trusted_root.json`.
    pub target: String,
}

/// Which images may run.
#[derive(Clone, Debug)]
pub struct Policies {
    /// A directory of policy files; the embedded examples without one, and without a cluster.
    pub directory: Option<PathBuf>,
    /// A directory of policies besides, which are those of one tenant.
    pub own: Option<PathBuf>,
    /// The cluster whose objects are policies besides, if any are.
    pub kubernetes: Option<Kubernetes>,
    /// What becomes of an image at admission that no policy matches.
    pub no_match: NoMatch,
    /// The `cue` program, for policies that are written in CUE; without it they cannot be evaluated.
    pub cue: Option<PathBuf>,
}

/// A cluster whose objects are policies.
#[derive(Clone, Debug)]
pub struct Kubernetes {
    /// How to reach its API server; as a Pod in it does without one.
    pub kubeconfig: Option<PathBuf>,
    /// The namespace of the installation: where what policies name is, and leases are.
    pub namespace: String,
    /// How long the last policies stay in force while the API server cannot be heard.
    pub stale_for: Duration,
    /// Whether its Tenant objects are tenants too.
    pub tenants: bool,
}

/// How to log.
#[derive(Clone, Debug)]
pub struct Log {
    /// As lines of what.
    pub format: LogFormat,
    /// What to log, as a filter of the `tracing` crate: `info`, `warn,gateway=debug`.
    pub level: String,
}

/// Where spans are sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    /// The collector's address for traces, which speaks OTLP over HTTP.
    pub endpoint: Url,
    /// How many of the requests are traced whose senders do not say, from 0 to 1.
    pub share: f64,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}
