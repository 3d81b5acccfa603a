//! The ways in which a registry can fail its clients.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use tokio::sync::watch;

use super::Seen;

/// Something that goes wrong with an answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Another status, without a body.
    Status(u16),
    /// Another status, with headers of its own and no body.
    StatusWith(u16, Vec<(&'static str, String)>),
    /// No answer until the registry is told to release its requests.
    Hang,
    /// The connection is closed without an answer.
    Reset,
    /// The answer comes this much later.
    Delay(Duration),
    /// The connection is closed after so many bytes of the body.
    Truncate(usize),
    /// Nothing comes after so many bytes of the body, and the connection stays open.
    Stall(usize),
    /// The body comes one byte at a time, this far apart.
    Drip(Duration),
    /// So many bytes too many are at the end of the body, and announced.
    Append(usize),
    /// Every bit of the first byte of the body is flipped.
    Corrupt,
    /// The body never ends, and no length was announced.
    Endless,
    /// The body is right and its length is not announced.
    Chunked,
    /// The whole is sent though a part was asked for.
    Whole,
    /// A header has this value, such as a lying `docker-content-digest` or `content-type`.
    Header(&'static str, String),
    /// A header is missing.
    Without(&'static str),
}

/// What is sent. It can break off, hence the error.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// The faults that are still to be committed.
pub(super) struct Faults {
    rules: Mutex<Vec<Rule>>,
    released: watch::Sender<()>,
}

struct Rule {
    matching: Matching,
    fault: Fault,
    left: Option<usize>,
}

pub(super) type Matching = Box<dyn Fn(&Seen) -> bool + Send + Sync>;

impl Faults {
    pub(super) fn new() -> Self {
        Self { rules: Mutex::default(), released: watch::Sender::new(()) }
    }

    pub(super) fn add(&self, matching: Matching, fault: Fault, left: Option<usize>) {
        self.lock().push(Rule { matching, fault, left });
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    pub(super) fn release(&self) {
        self.released.send_replace(());
    }

    /// The fault to commit on this request, counted as committed.
    pub(super) fn next_for(&self, seen: &Seen) -> Option<Fault> {
        let mut rules = self.lock();
        let rule = rules.iter_mut().find(|rule| rule.left != Some(0) && (rule.matching)(seen))?;
        rule.left = rule.left.map(|left| left - 1);
        Some(rule.fault.clone())
    }

    pub(super) fn releases(&self) -> watch::Receiver<()> {
        self.released.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body of an answer that is as it should be.
pub(super) fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

impl Fault {
    /// Commits the fault on an answer that was right.
    pub(super) fn spoil(self, answer: Response<Bytes>) -> Response<Body> {
        match self {
            Self::Status(status) => status_with(status, Vec::new()),
            Self::StatusWith(status, headers) => status_with(status, headers),
            Self::Hang | Self::Reset | Self::Delay(_) | Self::Whole => answer.map(whole),
            Self::Truncate(at) => cut(answer, at, stream::once(breaking())),
            Self::Stall(at) => cut(answer, at, stream::pending()),
            Self::Drip(pause) => answer.map(|bytes| drip(bytes, pause)),
            Self::Append(count) => append(answer, count),
            Self::Corrupt => answer.map(|bytes| whole(flip_first(&bytes))),
            Self::Endless => unannounced(answer, stream::repeat(Bytes::from_static(&[b' '; 64 * 1024]))),
            Self::Chunked => {
                let bytes = answer.body().clone();
                unannounced(answer, stream::iter([bytes]))
            }
            Self::Header(name, value) => with_header(answer.map(whole), name, &value),
            Self::Without(name) => {
                let mut answer = answer.map(whole);
                answer.headers_mut().remove(name);
                answer
            }
        }
    }
}

/// Breaks the connection off, but not before what there is has been sent: the server flushes when it has to wait.
async fn breaking() -> io::Result<Bytes> {
    tokio::task::yield_now().await;
    Err(io::ErrorKind::BrokenPipe.into())
}

#[expect(clippy::expect_used, reason = "tests write valid statuses")]
fn status_with(status: u16, headers: Vec<(&'static str, String)>) -> Response<Body> {
    let mut answer = Response::new(whole(Bytes::new()));
    *answer.status_mut() = StatusCode::from_u16(status).expect("a status");
    headers.into_iter().fold(answer, |answer, (name, value)| append_header(answer, name, &value))
}

#[expect(clippy::expect_used, reason = "tests write valid headers")]
fn append_header(mut answer: Response<Body>, name: &'static str, value: &str) -> Response<Body> {
    let value = HeaderValue::from_str(value).expect("a header's value");
    answer.headers_mut().append(HeaderName::from_static(name), value);
    answer
}

fn with_header(mut answer: Response<Body>, name: &'static str, value: &str) -> Response<Body> {
    answer.headers_mut().remove(name);
    append_header(answer, name, value)
}

/// The first bytes of a body, announced in full, and then something else.
fn cut(
    answer: Response<Bytes>,
    at: usize,
    then: impl stream::Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Response<Body> {
    answer.map(|bytes| {
        let first = bytes.slice(..at.min(bytes.len()));
        let body = stream::iter([Ok(first)]).chain(then);
        StreamBody::new(body.map(|piece| piece.map(Frame::data))).boxed_unsync()
    })
}

fn unannounced(
    answer: Response<Bytes>,
    body: impl stream::Stream<Item = Bytes> + Send + 'static,
) -> Response<Body> {
    let mut answer = answer.map(|_| StreamBody::new(body.map(|piece| Ok(Frame::data(piece)))).boxed_unsync());
    answer.headers_mut().remove(header::CONTENT_LENGTH);
    answer
}

/// A body that takes its time.
fn drip(bytes: Bytes, pause: Duration) -> Body {
    let body = stream::unfold(bytes, move |mut left| async move {
        tokio::time::sleep(pause).await;
        (!left.is_empty()).then(|| (Ok(Frame::data(left.split_to(1))), left))
    });
    StreamBody::new(body).boxed_unsync()
}

/// A body that is longer than it was.
fn append(answer: Response<Bytes>, count: usize) -> Response<Body> {
    let longer = answer.map(|bytes| [&bytes[..], &vec![0; count]].concat());
    let length = longer.body().len().to_string();
    with_header(longer.map(|bytes| whole(bytes.into())), "content-length", &length)
}

fn flip_first(bytes: &[u8]) -> Bytes {
    let mut bytes = bytes.to_vec();
    if let Some(first) = bytes.first_mut() {
        *first = !*first;
    }
    bytes.into()
}
