//! Requests and answers: connections, time limits and second tries.

mod resolver;

use std::collections::hash_map::RandomState;
use std::error::Error as StdError;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;

use crate::address::Reach;
use crate::error::{Awaited, FetchError, Outage};
use crate::settings::Timeouts;

use resolver::{LookupError, Resolver};

type Connections = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector<Resolver>>, Empty<Bytes>>;

/// Makes requests. There is a pool of connections for each reach, so that none that was made with a longer reach
/// serves a request with a shorter one.
pub(crate) struct Client {
    anywhere: Connections,
    public: Connections,
    private: Connections,
    loopback: Connections,
    timeouts: Timeouts,
}

/// One request. It has no body and can be made again.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) accept: &'static str,
    pub(crate) authorization: Option<HeaderValue>,
}

const USER_AGENT: &str = concat!("countersign/", env!("CARGO_PKG_VERSION"));

/// How often a request is made again.
const SECOND_TRIES: u32 = 2;

impl Client {
    pub(crate) fn new(tls: &ClientConfig, timeouts: Timeouts) -> Self {
        let connections = |reach| connections(tls.clone(), reach, &timeouts);
        Self {
            anywhere: connections(Reach::Anywhere),
            public: connections(Reach::Public),
            private: connections(Reach::Private),
            loopback: connections(Reach::Loopback),
            timeouts,
        }
    }

    /// How long is waited for the next piece of a body.
    pub(crate) fn body_timeout(&self) -> Duration {
        self.timeouts.body
    }

    /// The answer to a request, whatever its status. Where there was none, or one that asks for another try, the
    /// request is made up to twice more.
    pub(crate) async fn send(&self, reach: Reach, ask: &Ask) -> Result<Response<Incoming>, FetchError> {
        let mut tries = 0;
        loop {
            let outcome = self.attempt(reach, ask).await;
            if tries == SECOND_TRIES || !deserves_another_try(&outcome) {
                return outcome;
            }
            let pause = jittered(self.timeouts.backoff * 2_u32.pow(tries));
            tracing::debug!(host = ask.uri.host(), ?pause, "request to upstream is made again");
            tokio::time::sleep(pause).await;
            tries += 1;
        }
    }

    async fn attempt(&self, reach: Reach, ask: &Ask) -> Result<Response<Incoming>, FetchError> {
        let answer = self.connections(reach).request(ask.request());
        match tokio::time::timeout(self.timeouts.connect + self.timeouts.headers, answer).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if is_out_of_reach(&error) => {
                Err(FetchError::Refused("it sends us to an address where no public registry is".to_owned()))
            }
            Ok(Err(error)) if error.is_connect() => Err(Outage::Connect(Box::new(error)).into()),
            Ok(Err(error)) => Err(Outage::Broken(Box::new(error)).into()),
            Err(_) => Err(Outage::TimedOut(Awaited::Headers).into()),
        }
    }

    fn connections(&self, reach: Reach) -> &Connections {
        match reach {
            Reach::Anywhere => &self.anywhere,
            Reach::Public => &self.public,
            Reach::Private => &self.private,
            Reach::Loopback => &self.loopback,
        }
    }
}

impl Ask {
    fn request(&self) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert(header::ACCEPT, HeaderValue::from_static(self.accept));
        // A digest is of the bytes as they are, so they must not be packed for the journey.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        request
    }
}

fn connections(tls: ClientConfig, reach: Reach, timeouts: &Timeouts) -> Connections {
    let mut tcp = HttpConnector::new_with_resolver(Resolver::new(reach));
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(timeouts.connect));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .wrap_connector(tcp);
    hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        // A connection that died without a word is noticed before the next request has to wait for it.
        .http2_keep_alive_interval(Some(Duration::from_secs(20)))
        .build(connector)
}

/// Whether the outcome is of the kind that passes by itself. One that took its time is not tried again, since whoever
/// waits has waited long enough; nor is one that says when to come back.
fn deserves_another_try(outcome: &Result<Response<Incoming>, FetchError>) -> bool {
    match outcome {
        Ok(response) => {
            let overloaded = matches!(
                response.status(),
                StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
            );
            overloaded && !response.headers().contains_key(header::RETRY_AFTER)
        }
        Err(FetchError::Unavailable(outage)) => match **outage {
            Outage::Connect(_) | Outage::Broken(_) => true,
            Outage::TimedOut(_) | Outage::Status(_) => false,
        },
        Err(_) => false,
    }
}

fn is_out_of_reach(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(LookupError::OutOfReach) = error.downcast_ref() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Between half of the pause and all of it, so that many who failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() % 512;
    pause.mul_f64(0.5 + random as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_out_of_reach_is_a_refusal_and_no_outage() {
        let tls = crate::tls::config(&[]).unwrap();
        let client = Client::new(&tls, Timeouts::default());
        let ask = Ask {
            method: Method::GET,
            uri: Uri::from_static("http://localhost:1/"),
            accept: "*/*",
            authorization: None,
        };
        let outcome = client.send(Reach::Public, &ask).await;
        assert!(matches!(outcome, Err(FetchError::Refused(_))), "{outcome:?}");
    }

    #[test]
    fn pauses_differ_within_bounds() {
        let pause = Duration::from_millis(100);
        for _ in 0..100 {
            assert!((pause / 2..=pause).contains(&jittered(pause)));
        }
    }
}
