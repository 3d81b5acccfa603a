//! What an upstream is made of.

use std::time::Duration;

use oci::Host;
use rustls_pki_types::CertificateDer;

use crate::{Endpoint, Identity, Login, Origin, Proxy, Realm};

/// What there is to know about one endpoint of a registry.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The registry, as image references name it.
    pub host: Host,
    /// Where it is asked.
    pub endpoint: Endpoint,
    /// Whether this is a mirror, which may lack what the registry has: what it says is not there may be elsewhere.
    pub mirror: bool,
    /// Where it may send us for tokens, besides its own origin. `https`, unless the endpoint is `http` on the same host.
    pub realms: Vec<Realm>,
    /// Where it may redirect blobs to though the address is not a public one. Others are fine if it is.
    pub redirects: Vec<Origin>,
    /// Certificate authorities that are trusted besides the system's.
    pub ca: Option<Vec<CertificateDer<'static>>>,
    /// The certificate that is shown at the endpoint and nowhere else.
    pub identity: Option<Identity>,
    /// What it is shown, at the endpoint and the realms and nowhere else.
    pub credentials: Option<Login>,
    /// What stands between it and us.
    pub proxy: Proxy,
    /// How long it is waited for.
    pub timeouts: Timeouts,
    /// How many requests to it may be under way, bodies included.
    pub concurrency: usize,
}

/// How long an upstream is waited for. Callers put their own deadline around it all.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a request to be made, where too many are under way.
    pub queue: Duration,
    /// For a TCP connection.
    pub connect: Duration,
    /// For the headers of an answer, once there is a connection. Looking up the name and TLS share the two.
    pub headers: Duration,
    /// For the next 64 KiB of a blob, and for the whole of a manifest or token.
    pub body: Duration,
    /// The longest pause before the second try; it doubles before the third, which is the last.
    pub backoff: Duration,
}

/// How many requests may be under way at one endpoint unless configured otherwise.
pub const CONCURRENCY: usize = 64;

impl Settings {
    /// A registry at an endpoint, with nothing said about the rest.
    pub fn new(host: Host, endpoint: Endpoint) -> Self {
        Self {
            host,
            endpoint,
            mirror: false,
            realms: Vec::new(),
            redirects: Vec::new(),
            ca: None,
            identity: None,
            credentials: None,
            proxy: Proxy::none(),
            timeouts: Timeouts::default(),
            concurrency: CONCURRENCY,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            queue: Duration::from_secs(10),
            connect: Duration::from_secs(5),
            headers: Duration::from_secs(10),
            body: Duration::from_secs(30),
            backoff: Duration::from_millis(200),
        }
    }
}
