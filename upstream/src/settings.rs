//! What an upstream is made of.

use std::time::Duration;

use oci::Host;
use rustls_pki_types::CertificateDer;

use crate::{Credentials, Endpoint, Origin, Realm};

/// What there is to know about one registry.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The registry, as image references name it.
    pub host: Host,
    /// Where it is asked.
    pub endpoint: Endpoint,
    /// Where it may send us for tokens, besides its own origin. `https`, unless the endpoint is `http` on the same host.
    pub realms: Vec<Realm>,
    /// Where it may redirect blobs to though the address is not a public one. Others are fine if it is.
    pub redirects: Vec<Origin>,
    /// Certificate authorities that are trusted besides the system's.
    pub ca: Option<Vec<CertificateDer<'static>>>,
    /// What it is shown, at the endpoint and the realms and nowhere else.
    pub credentials: Option<Credentials>,
    /// How long it is waited for.
    pub timeouts: Timeouts,
}

/// How long an upstream is waited for. Callers put their own deadline around it all.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a TCP connection.
    pub connect: Duration,
    /// For the headers of an answer, once there is a connection. Looking up the name and TLS share the two.
    pub headers: Duration,
    /// For the next piece of a blob, and for the whole of a manifest or token.
    pub body: Duration,
    /// The longest pause before the second try; it doubles before the third, which is the last.
    pub backoff: Duration,
}

impl Settings {
    /// A registry at an endpoint, with nothing said about the rest.
    pub fn new(host: Host, endpoint: Endpoint) -> Self {
        Self {
            host,
            endpoint,
            realms: Vec::new(),
            redirects: Vec::new(),
            ca: None,
            credentials: None,
            timeouts: Timeouts::default(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            headers: Duration::from_secs(10),
            body: Duration::from_secs(30),
            backoff: Duration::from_millis(200),
        }
    }
}
