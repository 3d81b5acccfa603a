//! Why an upstream could not be made, or did not give what was asked of it.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use oci::WrongContent;
use thiserror::Error;

use crate::login::LoginError;
use crate::proxy::InvalidProxy;

type BoxError = Box<dyn StdError + Send + Sync>;

/// Why an upstream did not give us what was asked of it.
///
/// Variants are told apart by what the caller does next. No message carries a credential, a token or the query of a
/// URL.
#[derive(Clone, Debug, Error)]
pub enum FetchError {
    /// The registry itself says that there is no such content. The only answer that means absence.
    #[error("upstream has no such content")]
    NotFound,
    /// It refuses these credentials, or wants some where there are none. Some registries say this of what they do not
    /// have, so it is no absence either.
    #[error("upstream refuses access")]
    Unauthorized,
    /// It asks to be left alone for a while.
    #[error("upstream asks to slow down")]
    TooManyRequests {
        /// For how long, if it says so; at most an hour.
        retry_after: Option<Duration>,
    },
    /// The bytes are not the ones that were asked for. Never served or kept.
    #[error("upstream sent other content than was asked for")]
    WrongContent(#[source] WrongContent),
    /// The content is larger than is taken, and was not read to its end.
    #[error("content is larger than {limit} bytes")]
    TooLarge {
        /// How many bytes would have been taken.
        limit: u64,
    },
    /// No usable answer. It may well give one later.
    #[error("upstream is unavailable")]
    Unavailable(#[source] Arc<Outage>),
    /// It asked for something that is not done here, or its answer makes no sense.
    #[error("upstream's answer is refused: {0}")]
    Refused(String),
}

/// How an upstream failed to answer.
#[derive(Debug, Error)]
pub enum Outage {
    /// There is no connection: the name, the port or the TLS handshake failed.
    #[error("no connection could be made")]
    Connect(#[source] BoxError),
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] BoxError),
    /// The content ended before its announced end.
    #[error("the content ended too early")]
    Short,
    /// It took too long.
    #[error("no {} in time", .0.as_str())]
    TimedOut(Awaited),
    /// It says itself that it cannot answer.
    #[error("status {0}")]
    Status(u16),
    /// It failed again and again, and is left alone for a moment.
    #[error("it failed again and again, and is left alone for now")]
    SetAside,
    /// As many requests to it as may be are under way, and none ended in time.
    #[error("too many requests to it are under way")]
    Crowded,
    /// What it is to be shown could not be had.
    #[error("no credentials could be had")]
    Credentials(#[source] LoginError),
}

/// What was waited for in vain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Awaited {
    /// The headers of the answer.
    Headers,
    /// The body, or its next piece.
    Body,
}

impl Awaited {
    /// A name for messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Headers => "headers",
            Self::Body => "body",
        }
    }
}

/// Why an upstream cannot be made of some settings.
#[derive(Debug, Error)]
pub enum BuildError {
    /// A configured certificate authority is no certificate.
    #[error("a certificate authority is malformed")]
    Authority(#[source] rustls::Error),
    /// The client certificate and its key do not go together.
    #[error("the client certificate is unusable")]
    Identity(#[source] rustls::Error),
    /// The environment names a proxy that cannot be used.
    #[error("HTTPS_PROXY")]
    Proxy(#[source] InvalidProxy),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

impl FetchError {
    /// A stable name, for metrics and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::Unauthorized => "unauthorized",
            Self::TooManyRequests { .. } => "throttled",
            Self::WrongContent(_) => "wrong-content",
            Self::TooLarge { .. } => "too-large",
            Self::Unavailable(_) => "unavailable",
            Self::Refused(_) => "refused",
        }
    }

    /// Whether asking again later could give a different answer without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::TooManyRequests { .. } => true,
            Self::NotFound
            | Self::Unauthorized
            | Self::WrongContent(_)
            | Self::TooLarge { .. }
            | Self::Refused(_) => false,
        }
    }
}

impl From<Outage> for FetchError {
    fn from(outage: Outage) -> Self {
        Self::Unavailable(Arc::new(outage))
    }
}

impl From<WrongContent> for FetchError {
    fn from(wrong: WrongContent) -> Self {
        Self::WrongContent(wrong)
    }
}
