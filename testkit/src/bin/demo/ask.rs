//! A node that pulls and an API server that asks.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

/// What a client was given.
#[derive(Debug)]
pub(crate) struct Given {
    /// Whether it has the image now, or may run it.
    pub(crate) allowed: bool,
    /// From when it asked until it had all of it.
    pub(crate) took: Duration,
    /// What the gateway says it answered from, if it does.
    pub(crate) source: String,
    /// What it says besides.
    pub(crate) why: Vec<String>,
}

/// A client of both doors.
pub(crate) struct Client {
    registry: SocketAddr,
    admission: SocketAddr,
    http: HttpClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Client {
    /// A client that knows the webhook's certificate authority.
    pub(crate) fn new(registry: SocketAddr, admission: SocketAddr, authority: &Path) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(authority)? {
            roots.add(certificate?)?;
        }
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let tls = rustls::ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        Ok(Self { registry, admission, http: HttpClient::builder(TokioExecutor::new()).build(connector) })
    }

    /// Pulls an image as a runtime does: the manifest by its tag, then what that names.
    pub(crate) async fn pull(&self, image: &str) -> anyhow::Result<Given> {
        let began = Instant::now();
        let (repository, tag) = image.rsplit_once(':').context("an image of the demo has a tag")?;
        let (status, headers, body) = self.get(&format!("{repository}/manifests/{tag}")).await?;
        let source = text(&headers, "countersign-cache");
        if status != StatusCode::OK {
            let error: Value = serde_json::from_slice(&body)?;
            let message = error["errors"][0]["message"].as_str().unwrap_or("no message");
            return Ok(Given { allowed: false, took: began.elapsed(), source, why: lines(message) });
        }
        let manifest: Value = serde_json::from_slice(&body)?;
        let layers = manifest["layers"].as_array().into_iter().flatten();
        for digest in layers.chain([&manifest["config"]]).filter_map(|named| named["digest"].as_str()) {
            let (status, ..) = self.get(&format!("{repository}/blobs/{digest}")).await?;
            anyhow::ensure!(status == StatusCode::OK, "{digest}: {status}");
        }
        Ok(Given { allowed: true, took: began.elapsed(), source, why: Vec::new() })
    }

    /// Asks about a Pod as the API server does: first whether to change it, and then about what it has become.
    pub(crate) async fn review(&self, image: &str) -> anyhow::Result<Given> {
        let began = Instant::now();
        let mut response = self.ask("mutate", image).await?;
        if response["allowed"] == true {
            let pinned = pinned(&response)?.unwrap_or_else(|| image.to_owned());
            response = self.ask("validate", &pinned).await?;
        }
        let said = response["status"]["message"].as_str().into_iter().flat_map(lines);
        let warned = response["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let warned = warned.flat_map(lines).map(|line| format!("warning: {line}"));
        Ok(Given {
            allowed: response["allowed"].as_bool().unwrap_or_default(),
            took: began.elapsed(),
            source: String::new(),
            why: said.chain(warned).collect(),
        })
    }

    /// The response to a review of a Pod with this image.
    async fn ask(&self, act: &str, image: &str) -> anyhow::Result<Value> {
        let uri = format!("https://localhost:{}/admission/{act}?timeout=10s", self.admission.port());
        let request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(review_of(image).to_string()))?;
        let body = self.http.request(request).await?.into_body().collect().await?.to_bytes();
        let mut answer: Value = serde_json::from_slice(&body)?;
        Ok(answer["response"].take())
    }

    async fn get(&self, path: &str) -> anyhow::Result<(StatusCode, HeaderMap, Bytes)> {
        let uri = format!("http://{}/v2/{path}", self.registry);
        let request = Request::builder().uri(uri).body(Full::default())?;
        let (head, body) = self.http.request(request).await?.into_parts();
        Ok((head.status, head.headers, body.collect().await?.to_bytes()))
    }
}

/// The image that a response puts in the place of the one that was asked about.
fn pinned(response: &Value) -> anyhow::Result<Option<String>> {
    let Some(patch) = response["patch"].as_str() else { return Ok(None) };
    let operations: Vec<Value> = serde_json::from_slice(&STANDARD.decode(patch)?)?;
    let image = operations
        .iter()
        .find(|operation| operation["op"] == "replace" && operation["path"] == "/spec/containers/0/image");
    Ok(image.and_then(|operation| operation["value"].as_str()).map(str::to_owned))
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn review_of(image: &str) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "4b1e0f3c-6c39-4f0b-9c7c-6f0f3a1c7d52",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "name": "demo",
            "namespace": "demo",
            "operation": "CREATE",
            "userInfo": {"username": "demo"},
            "object": {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "demo", "namespace": "demo"},
                "spec": {"containers": [{"name": "demo", "image": image}]},
            },
        },
    })
}
