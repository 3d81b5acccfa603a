//! The admin listener: is it alive, is it ready, what did it count; and for whoever may operate it, what it remembers.

mod access;
mod decisions;
mod operation;
mod page;
mod socket;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use metrics_exporter_prometheus::PrometheusHandle;

pub(crate) use self::access::{Access, Via};
pub(crate) use self::decisions::Decided;
use self::page::{Look, Part};
pub(crate) use self::socket::Socket;
use crate::figures::Figures;
use crate::kubernetes::{Cluster, Standing};
use crate::reply::{Body, text, whole};
use crate::rules::Rules;
use crate::tenants::Tenants;

/// Whether the doors may be sent requests: policies and trust roots are loaded and the doors listen. What the
/// upstreams do does not matter.
#[derive(Debug, Default)]
pub(crate) struct Readiness(AtomicBool);

impl Readiness {
    /// The doors are open.
    pub(crate) fn open(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// The doors are closing: whoever sends requests should stop, while those under way are answered.
    pub(crate) fn drain(&self) {
        self.0.store(false, Ordering::Release);
    }
}

/// The admin listener.
pub(crate) struct Admin {
    readiness: Arc<Readiness>,
    rules: Arc<ArcSwap<Rules>>,
    cluster: Option<Arc<Cluster>>,
    metrics: PrometheusHandle,
    figures: Figures,
    operated: Operated,
}

/// What may be operated, and by whom.
pub(crate) struct Operated {
    /// Who may.
    pub(crate) access: Access,
    /// Whose memory is looked at.
    pub(crate) tenants: Arc<Tenants>,
    /// What was decided.
    pub(crate) decided: Decided,
}

impl Admin {
    /// A listener that reports on these, and lets whoever has access operate them.
    pub(crate) fn new(
        readiness: Arc<Readiness>,
        rules: Arc<ArcSwap<Rules>>,
        cluster: Option<Arc<Cluster>>,
        metrics: PrometheusHandle,
        figures: Figures,
        operated: Operated,
    ) -> Self {
        Self { readiness, rules, cluster, metrics, figures, operated }
    }

    /// Answers one request.
    pub(crate) async fn answer<B>(&self, request: Request<B>, via: Via) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes, Error: std::error::Error + Send + Sync + 'static>,
    {
        let Operated { access, tenants, decided } = &self.operated;
        match request.uri().path() {
            operation::CACHE | operation::PURGE | operation::STORAGE | operation::TENANTS => {
                match access.check(via, request.headers()) {
                    Ok(operator) => operation::answer(tenants, operator, request).await,
                    Err(refused) => refused,
                }
            }
            decisions::DECISIONS | decisions::DISAGREEMENTS => match access.check(via, request.headers()) {
                Ok(operator) => decided.answer(operator, &request),
                Err(refused) => refused,
            },
            path => match Part::at(path) {
                Some(part) => self.page(part, &request, via),
                None => self.report(request.method(), path),
            },
        }
    }

    /// A part of the page, which discloses no less than what is told to machines.
    fn page<B>(&self, part: Part, request: &Request<B>, via: Via) -> Response<Body> {
        if let Err(refused) = self.operated.access.check_reader(via, request.headers()) {
            return refused;
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
        }
        let about = match page::about(request.uri().query().unwrap_or_default()) {
            Ok(about) => about,
            Err(why) => return text(StatusCode::BAD_REQUEST, why),
        };
        let rules = self.rules.load();
        let unusable: HashMap<_, _> = rules.policies.unusable().collect();
        let policy = |name: &str| (name.to_owned(), unusable.get(name).map(|why| (*why).to_owned()));
        let look = Look {
            ready: self.ready(),
            decisions: self.operated.decided.told(about.as_deref()),
            policies: rules.policies.names().map(policy).collect(),
            counted: self.counted(),
        };
        part.render(&look, about.as_deref())
    }

    fn report(&self, method: &Method, path: &str) -> Response<Body> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
        }
        match path {
            "/livez" => text(StatusCode::OK, "alive"),
            "/readyz" => match self.ready() {
                Ok(remark) => text(StatusCode::OK, format!("ready{remark}")),
                Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}")),
            },
            "/metrics" => {
                let mut response = Response::new(whole(self.counted()));
                let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                response.headers_mut().insert(header::CONTENT_TYPE, format);
                response
            }
            _ => text(StatusCode::NOT_FOUND, "/livez, /readyz and /metrics are here, and a page at /"),
        }
    }

    /// What is counted, in the text format of Prometheus.
    fn counted(&self) -> String {
        self.figures.record();
        self.metrics.run_upkeep();
        self.metrics.render() + &self.figures.latency()
    }

    /// Whether requests may come, and what there is to say all the same.
    fn ready(&self) -> Result<String, String> {
        if !self.readiness.0.load(Ordering::Acquire) {
            return Err("starting or draining".to_owned());
        }
        let rules = self.rules.load();
        rules.in_force().map_err(|why| why.to_string())?;
        if let Some(names) = missing_roots(&rules) {
            return Err(format!("trust root not loaded: {names}"));
        }
        let namespaces = self.cluster.as_ref().and_then(|cluster| cluster.namespaces());
        if let Some(Standing::Missing(why)) = namespaces.map(|namespaces| namespaces.standing()) {
            return Err(why);
        }
        let tenants = self.cluster.as_ref().and_then(|cluster| cluster.tenants());
        if let Some(why) = tenants.and_then(|tenants| tenants.untold()) {
            return Err(why);
        }
        let remark = self.cluster.as_ref().and_then(|cluster| cluster.standing().remark());
        Ok(remark.map_or_else(String::new, |remark| format!(": {remark}")))
    }
}

fn missing_roots(rules: &Rules) -> Option<String> {
    let missing = rules.missing_roots();
    (!missing.is_empty()).then(|| missing.into_iter().collect::<Vec<_>>().join(", "))
}
