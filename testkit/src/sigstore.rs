//! The services of a signing authority on loopback, which real clients sign against.

mod answer;
mod certificate;
mod proposal;
mod token;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::authority::Authority;
use crate::server::Server;

pub use token::token;

/// A stand-in for the public Sigstore over plain HTTP: it certifies, records and stamps what clients sign with keys
/// of their own, at the time that the clock of this machine tells.
///
/// What it speaks, all under one URL, is what clients ask of the real ones:
/// - `POST /api/v2/signingCert` of [Fulcio](https://github.com/sigstore/fulcio), for keys on P-256,
/// - `POST /api/v1/log/entries` of [Rekor](https://github.com/sigstore/rekor), for `hashedrekord` and `dsse` 0.0.1,
/// - `POST /api/v2/log/entries` of its [second generation](https://github.com/sigstore/rekor-tiles),
/// - `POST /api/v1/timestamp` ([RFC 3161](https://www.rfc-editor.org/rfc/rfc3161)).
///
/// It checks every signature as they do, and refuses bodies above 1 MiB. Unlike them it believes any identity token:
/// whoever reaches it can sign as whoever they say they are. With the handle it stops.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use std::sync::Arc;
/// use testkit::authority::Authority;
/// use testkit::sigstore::{Log, Sigstore};
///
/// let sigstore = Sigstore::start(Arc::new(Authority::new("a seed"))).await;
/// assert!(sigstore.signing_config(Log::First).contains(&sigstore.url()));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Sigstore {
    address: SocketAddr,
    authority: Arc<Authority>,
    _server: Server,
}

/// Which of the authority's logs clients are to use.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Log {
    /// The one that promises and tells the time. Clients ask for no timestamp.
    First,
    /// The one that knows no time. Clients ask the timestamp authority for it.
    Second,
    /// None, and no timestamp either.
    None,
}

impl Sigstore {
    /// Starts the services of this authority on a port of their own.
    #[expect(clippy::expect_used, reason = "a test without a loopback port cannot go on")]
    pub async fn start(authority: Arc<Authority>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a loopback port");
        Self::start_on(listener, authority)
    }

    /// The same where somebody listens already.
    #[expect(clippy::expect_used, reason = "a bound listener has an address")]
    pub fn start_on(listener: TcpListener, authority: Arc<Authority>) -> Self {
        let address = listener.local_addr().expect("an address");
        let server = Server::start(listener, {
            let authority = authority.clone();
            move |request| answer::respond(authority.clone(), request)
        });
        Self { address, authority, _server: server }
    }

    /// The base URL of all the services, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The trust root by which what is signed here is verified: that of the authority.
    pub fn trusted_root(&self) -> String {
        self.authority.trusted_root()
    }

    /// What tells clients where to sign: a
    /// [`SigningConfig`](https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto) of
    /// version 0.2 as JSON.
    pub fn signing_config(&self, log: Log) -> String {
        let url = self.url();
        let any = json!({"selector": "ANY"});
        let (logs, stampers) = match log {
            Log::First => (vec![service(&url, 1)], vec![]),
            Log::Second => (vec![service(&url, 2)], vec![service(&format!("{url}/api/v1/timestamp"), 1)]),
            Log::None => (vec![], vec![]),
        };
        let config = json!({
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [service(&url, 1)],
            "oidcUrls": [service(&url, 1)],
            "rekorTlogUrls": logs,
            "rekorTlogConfig": any,
            "tsaUrls": stampers,
            "tsaConfig": any,
        });
        format!("{config:#}\n")
    }
}

fn service(url: &str, version: u8) -> Value {
    json!({
        "url": url,
        "majorApiVersion": version,
        "validFor": {"start": "2026-01-01T00:00:00Z"},
        "operator": "testkit",
    })
}
