//! Requests, and how they are answered, faults and all.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::answer::answer;
use super::content::Content;
use super::fault::{Body, Fault, Faults, whole};
use super::seen::{Journal, Seen};
use super::upload::Uploads;
use super::{Options, token};

/// What the handles and the server have in common.
pub(super) struct Shared {
    pub(super) address: SocketAddr,
    pub(super) options: Options,
    pub(super) journal: Journal,
    pub(super) faults: Faults,
    pub(super) uploads: Uploads,
    content: Mutex<Content>,
    revoked: AtomicU64,
}

impl Shared {
    pub(super) fn new(address: SocketAddr, options: Options) -> Self {
        Self {
            address,
            journal: Journal::new(),
            faults: Faults::new(),
            uploads: Uploads::default(),
            content: Mutex::new(Content::new(options.referrers)),
            revoked: AtomicU64::new(0),
            options,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn revoke_tokens(&self) {
        self.revoked.store(token::last_issued(), Ordering::SeqCst);
    }

    pub(super) fn revoked(&self) -> u64 {
        self.revoked.load(Ordering::SeqCst)
    }
}

/// Answers a request, or closes the connection.
pub(super) async fn respond(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let seen = Seen::of(&request);
    let fault = shared.faults.next_for(&seen);
    let mut releases = shared.faults.releases();
    shared.journal.add(seen.clone());
    if let Some(Fault::Hang) = fault {
        drop(releases.changed().await);
    } else if let Some(Fault::Delay(time)) = fault {
        tokio::time::sleep(time).await;
    } else if let Some(Fault::Reset) = fault {
        // An error closes the connection without an answer.
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    let body = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    let mut asked = seen;
    if let Some(Fault::Whole) = fault {
        asked.headers.remove(http::header::RANGE);
    }
    let right = answer(&shared, &asked, &body);
    Ok(match fault {
        Some(fault) => fault.spoil(right),
        None => right.map(whole),
    })
}
