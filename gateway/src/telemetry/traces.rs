//! Traces, sent to a collector by OTLP: <https://opentelemetry.io/docs/specs/otlp/>.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::config::Traces;

/// How long the collector may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The most that is read of a collector's answer.
const ANSWER_LIMIT: usize = 64 * 1024;

/// Who sends spans until it is told to end.
pub(super) fn provider(traces: &Traces) -> anyhow::Result<SdkTracerProvider> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(Collector::new()?)
        .with_endpoint(traces.endpoint.to_string())
        .with_timeout(TIMEOUT)
        .build()
        .map_err(|error| anyhow::anyhow!("traces.endpoint: {error}"))?;
    // Whoever asks us decides for its own requests; of all others this share is traced.
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(traces.share)));
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(sampler)
        .with_resource(Resource::builder().with_service_name("countersign").build())
        .build())
}

/// The tracer of a provider.
pub(super) fn tracer(provider: &SdkTracerProvider) -> SdkTracer {
    provider.tracer("countersign")
}

/// The span of a request, below the one that its `traceparent` names. Where nothing is traced it costs nothing.
pub(crate) fn request(headers: &HeaderMap, door: &'static str) -> Span {
    let span = tracing::debug_span!(
        target: "countersign", "request", otel.name = door, otel.kind = "server",
        decision = tracing::field::Empty, status = tracing::field::Empty
    );
    if !span.is_disabled() && headers.contains_key("traceparent") {
        let parent = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
        // Fails where spans are only logged: then there is no trace to be part of.
        drop(span.set_parent(parent));
    }
    span
}

/// A client of the collector. Spans are sent from a thread that is not the runtime's, and so the work is handed over.
struct Collector {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
}

impl Collector {
    fn new() -> anyhow::Result<Self> {
        let tls = upstream::tls_config(&[], None)?;
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, runtime: Handle::try_current()? })
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Collector")
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let exchange = async move {
            let (head, body) = client.request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(body, ANSWER_LIMIT).collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(head, body))
        };
        self.runtime.spawn(async { tokio::time::timeout(TIMEOUT, exchange).await? }).await?
    }
}
