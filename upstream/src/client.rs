//! Requests and answers: connections, time limits and second tries.

mod budget;
mod connector;
mod resolver;

use std::collections::hash_map::RandomState;
use std::error::Error as StdError;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;

use crate::address::Reach;
use crate::error::{Awaited, BuildError, FetchError, Outage};
use crate::proxy::Proxy;
use crate::settings::Timeouts;
use crate::tls::{self, Identity};

use budget::Budget;
use connector::Connector;
use resolver::{LookupError, Resolver};

pub(crate) type Connections = hyper_util::client::legacy::Client<HttpsConnector<Connector>, Full<Bytes>>;

/// Makes requests. There is a pool of connections for each way, so that none that was made with a longer reach, or a
/// certificate of ours, serves a request that is to have neither.
pub(crate) struct Client {
    endpoint: Connections,
    anywhere: Connections,
    public: Connections,
    private: Connections,
    loopback: Connections,
    proxy: Proxy,
    timeouts: Timeouts,
    second_tries: u32,
    budget: Budget,
}

/// Whom a request is made to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    /// The endpoint itself, which may be anywhere and sees our certificate if we have one.
    Endpoint,
    /// Somebody else, within reach.
    Elsewhere(Reach),
}

/// One request. It can be made again.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// How a client speaks.
pub(crate) struct Manners<'a> {
    pub(crate) authorities: &'a [CertificateDer<'static>],
    pub(crate) identity: Option<&'a Identity>,
    pub(crate) proxy: Proxy,
    pub(crate) timeouts: Timeouts,
    /// How often a request is made again.
    pub(crate) second_tries: u32,
}

const USER_AGENT: &str = concat!("countersign/", env!("CARGO_PKG_VERSION"));

/// How often a request is made again where there is nobody else to ask.
pub(crate) const SECOND_TRIES: u32 = 2;

impl Client {
    pub(crate) fn new(manners: Manners<'_>) -> Result<Self, BuildError> {
        let Manners { authorities, identity, proxy, timeouts, second_tries } = manners;
        let tls = tls::config(authorities, None)?;
        let identified = identity.map(|identity| tls::config(authorities, Some(identity))).transpose()?;
        let connections = |tls: &ClientConfig, reach| connections(tls.clone(), reach, &proxy, &timeouts);
        Ok(Self {
            endpoint: connections(identified.as_ref().unwrap_or(&tls), Reach::Anywhere),
            anywhere: connections(&tls, Reach::Anywhere),
            public: connections(&tls, Reach::Public),
            private: connections(&tls, Reach::Private),
            loopback: connections(&tls, Reach::Loopback),
            proxy,
            timeouts,
            second_tries,
            budget: Budget::new(),
        })
    }

    /// How long is waited for the next piece of a body.
    pub(crate) fn body_timeout(&self) -> Duration {
        self.timeouts.body
    }

    /// Whether a proxy makes the connection, so that its address says nothing of the other side's.
    pub(crate) fn is_proxied(&self, uri: &Uri) -> bool {
        self.proxy.intercept(uri).is_some()
    }

    /// A pause before something is tried again for the `tries`th time.
    pub(crate) fn pause(&self, tries: u32) -> Duration {
        jittered(self.timeouts.backoff * 2_u32.pow(tries.min(8)))
    }

    /// The answer to a request, whatever its status. Where there was none, or one that asks for another try, the
    /// request is made again, which `again` is told of.
    pub(crate) async fn send(
        &self,
        way: Way,
        ask: &Ask,
        again: impl Fn() + Send,
    ) -> Result<Response<Incoming>, FetchError> {
        self.budget.earn();
        let mut tries = 0;
        loop {
            let outcome = self.attempt(way, ask).await;
            if tries == self.second_tries || !deserves_another_try(&outcome) || !self.budget.spend() {
                return outcome;
            }
            let pause = self.pause(tries);
            tracing::debug!(host = ask.uri.host(), ?pause, "request to upstream is made again");
            again();
            tokio::time::sleep(pause).await;
            tries += 1;
        }
    }

    async fn attempt(&self, way: Way, ask: &Ask) -> Result<Response<Incoming>, FetchError> {
        let answer = self.connections(way).request(ask.request());
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

    fn connections(&self, way: Way) -> &Connections {
        match way {
            Way::Endpoint => &self.endpoint,
            Way::Elsewhere(Reach::Anywhere) => &self.anywhere,
            Way::Elsewhere(Reach::Public) => &self.public,
            Way::Elsewhere(Reach::Private) => &self.private,
            Way::Elsewhere(Reach::Loopback) => &self.loopback,
        }
    }
}

impl Ask {
    pub(crate) fn new(method: Method, uri: Uri, accept: &'static str) -> Self {
        let headers = HeaderMap::from_iter([
            (header::USER_AGENT, HeaderValue::from_static(USER_AGENT)),
            (header::ACCEPT, HeaderValue::from_static(accept)),
            // A digest is of the bytes as they are, so they must not be packed for the journey.
            (header::ACCEPT_ENCODING, HeaderValue::from_static("identity")),
        ]);
        Self { method, uri, headers, body: Bytes::new() }
    }

    /// A form that is posted.
    pub(crate) fn form(uri: Uri, fields: &[(&str, &str)]) -> Self {
        let form = fields.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value)));
        let mut ask = Self::new(Method::POST, uri, "application/json");
        ask.set(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        ask.body = form.collect::<Vec<_>>().join("&").into();
        ask
    }

    /// A JSON document that is posted.
    pub(crate) fn json(uri: Uri, document: String) -> Self {
        let mut ask = Self::new(Method::POST, uri, "application/json");
        ask.set(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        ask.body = document.into();
        ask
    }

    /// The headers so far.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// What is posted.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Sets a header, in place of any before.
    pub(crate) fn set(&mut self, name: HeaderName, value: HeaderValue) {
        self.headers.insert(name, value);
    }

    /// What the endpoint is shown, or nothing any more.
    pub(crate) fn authorize(&mut self, authorization: Option<HeaderValue>) {
        match authorization {
            Some(value) => self.set(header::AUTHORIZATION, value),
            None => drop(self.headers.remove(header::AUTHORIZATION)),
        }
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// A value as it stands in a query or a form: everything but what RFC 3986 calls unreserved is escaped.
pub(crate) fn percent_encoded(value: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(value, ESCAPED).to_string()
}

pub(crate) fn connections(
    tls: ClientConfig,
    reach: Reach,
    proxy: &Proxy,
    timeouts: &Timeouts,
) -> Connections {
    let tcp = |reach| {
        let mut tcp = HttpConnector::new_with_resolver(Resolver::new(reach));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(timeouts.connect));
        tcp
    };
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .wrap_connector(Connector::new(tcp(reach), tcp(Reach::Anywhere), proxy.clone()));
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
            is_overloaded(response.status()) && !response.headers().contains_key(header::RETRY_AFTER)
        }
        Err(FetchError::Unavailable(outage)) => match **outage {
            Outage::Connect(_) | Outage::Broken(_) => true,
            Outage::TimedOut(_)
            | Outage::Short
            | Outage::Status(_)
            | Outage::SetAside
            | Outage::Crowded
            | Outage::Credentials(_) => false,
        },
        Err(_) => false,
    }
}

/// Whether whoever stands before a registry says that it is not there.
pub(crate) fn is_overloaded(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
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
pub(crate) fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() % 512;
    pause.mul_f64(0.5 + random as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_out_of_reach_is_a_refusal_and_no_outage() {
        let client = Client::new(Manners {
            authorities: &[],
            identity: None,
            proxy: Proxy::none(),
            timeouts: Timeouts::default(),
            second_tries: 0,
        });
        let ask = Ask::new(Method::GET, Uri::from_static("http://localhost:1/"), "*/*");
        let outcome = client.unwrap().send(Way::Elsewhere(Reach::Public), &ask, || {}).await;
        assert!(matches!(outcome, Err(FetchError::Refused(_))), "{outcome:?}");
    }

    #[test]
    fn pauses_differ_within_bounds() {
        let pause = Duration::from_millis(100);
        for _ in 0..100 {
            assert!((pause / 2..=pause).contains(&jittered(pause)));
        }
    }

    #[test]
    fn a_form_escapes_what_would_end_a_value() {
        let ask = Ask::form(Uri::from_static("https://a/"), &[("a", "b&c=d"), ("e", "f g")]);
        assert_eq!(ask.body, "a=b%26c%3Dd&e=f%20g");
    }
}
