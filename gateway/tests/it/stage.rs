//! What the tests play on: an origin, a signing authority, a gateway in front of them, and a client.

use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use gateway::app::App;
use gateway::config::{self, Config};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use oci::Digest;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::authority::{Authority, Identity, SignatureManifest, SignedLayer, signature_manifest};
use testkit::image::Image;
use testkit::registry::Registry;

/// The name that references and policies know the origin by.
pub(crate) const HOST: &str = "registry.example";

/// The name under which the gateway is the origin's mirror alone.
pub(crate) const MIRROR: &str = "registry.mirror.example";

pub(crate) use testkit::policy::{POLICY, release};

/// An origin and what signs its images.
pub(crate) struct Stage {
    pub(crate) origin: Registry,
    pub(crate) authority: Authority,
    pub(crate) directory: TempDir,
}

/// A gateway that runs in this process, and a client of its doors.
pub(crate) struct Gateway {
    app: App,
    client: DoorClient,
    socket: PathBuf,
}

/// A client of the doors of a gateway, wherever that runs.
pub(crate) struct DoorClient {
    registry: SocketAddr,
    admission: SocketAddr,
    admin: SocketAddr,
    plain: Client<HttpConnector, Full<Bytes>>,
    webhook: Client<hyper_rustls::HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The body; an error where it ended before its announced length.
    pub(crate) body: Result<Bytes, String>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        self.body.as_ref().unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(self.bytes()).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code in a registry's error body.
    pub(crate) fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with_origin(Registry::start().await)
    }

    pub(crate) fn with_origin(origin: Registry) -> Self {
        let directory = TempDir::new().unwrap();
        let authority = Authority::new("stage");
        std::fs::write(directory.path().join("trusted_root.json"), authority.trusted_root()).unwrap();
        std::fs::create_dir(directory.path().join("policies")).unwrap();
        let stage = Self { origin, authority, directory };
        stage.policy("acme.yaml", POLICY);
        stage
    }

    /// Puts a policy file in force for the next gateway, and for one that runs once it looks.
    pub(crate) fn policy(&self, file: &str, text: &str) {
        std::fs::write(self.directory.path().join("policies").join(file), text).unwrap();
    }

    /// Pushes an image, signed by the expected identity.
    pub(crate) fn signed(&self, seed: u64, repository: &str, tag: &str) -> Image {
        let image = self.unsigned(seed, repository, tag);
        self.sign(repository, &image.digest(), &release());
        image
    }

    /// Pushes an image that nobody signed.
    pub(crate) fn unsigned(&self, seed: u64, repository: &str, tag: &str) -> Image {
        let image = Image::random(seed);
        image.push_to(&self.origin, repository, Some(tag));
        image
    }

    /// Signs what is there, in place of whatever signatures were.
    pub(crate) fn sign(&self, repository: &str, digest: &Digest, identity: &Identity) {
        let layer = self.authority.sign(digest, &format!("{HOST}/{repository}"), identity);
        self.attach(repository, digest, &[layer]);
    }

    /// Pushes signatures that were made already.
    pub(crate) fn attach(&self, repository: &str, digest: &Digest, layers: &[SignedLayer]) {
        let signatures = signature_manifest(layers);
        self.origin.put_blob(repository, signatures.config.clone());
        for payload in &signatures.payloads {
            self.origin.put_blob(repository, payload.clone());
        }
        let tag = SignatureManifest::tag_for(digest);
        self.origin.put_manifest(
            repository,
            Some(&tag),
            signatures.media_type.as_str(),
            signatures.manifest.clone(),
        );
    }

    /// The configuration of a gateway before this origin, with more YAML at its end.
    pub(crate) fn configuration(&self, more: &str) -> PathBuf {
        let directory = self.directory.path().display();
        self.configuration_under(&format!("trust: {{root: {{file: {directory}/trusted_root.json}}}}"), more)
    }

    fn configuration_under(&self, trust: &str, more: &str) -> PathBuf {
        let directory = self.directory.path().display();
        let endpoint = self.origin.url();
        let text = format!(
            "storage: {{path: {directory}/storage}}\n\
             {trust}\n\
             admin: {{listen: '127.0.0.1:0'}}\n\
             upstreams: [{{host: {HOST}, endpoint: '{endpoint}', hostnames: [{MIRROR}]}}, {{host: docker.io, endpoint: '{endpoint}'}}]\n\
             {more}"
        );
        let path = self.directory.path().join("countersign.yaml");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Starts a gateway under the stage's policies and these trust roots, a line of YAML.
    pub(crate) async fn gateway_under(&self, trust: &str) -> Gateway {
        let directory = self.directory.path().display();
        let more = format!(
            "registry: {{listen: '127.0.0.1:0'}}\nadmission: {{listen: '127.0.0.1:0'}}\n\
             policies: {{directory: {directory}/policies}}\n"
        );
        Gateway::start(&self.configuration_under(trust, &more)).await
    }

    /// Starts a gateway under the stage's policies.
    pub(crate) async fn gateway(&self) -> Gateway {
        self.gateway_with("").await
    }

    /// The same with another section of the configuration, as a line of YAML.
    pub(crate) async fn gateway_and(&self, section: &str) -> Gateway {
        Gateway::start(&self.configuration(&self.doors("", section))).await
    }

    /// The same with keys of the doors and policies added, as YAML lines: `registry.noMatch: deny`.
    pub(crate) async fn gateway_with(&self, keys: &str) -> Gateway {
        Gateway::start(&self.configuration(&self.doors(keys, ""))).await
    }

    fn doors(&self, keys: &str, section: &str) -> String {
        let (mut registry, mut admission, mut policies) = (Vec::new(), Vec::new(), Vec::new());
        for key in keys.lines().filter(|line| !line.is_empty()) {
            let (section, rest) = key.split_once('.').unwrap();
            match section {
                "registry" => registry.push(rest),
                "admission" => admission.push(rest),
                "policies" => policies.push(rest),
                other => panic!("no section {other}"),
            }
        }
        let directory = self.directory.path().display();
        format!(
            "registry: {{listen: '127.0.0.1:0', {}}}\nadmission: {{listen: '127.0.0.1:0', {}}}\n\
             policies: {{directory: {directory}/policies, {}}}\n{section}",
            registry.join(", "),
            admission.join(", "),
            policies.join(", "),
        )
    }
}

impl Gateway {
    pub(crate) async fn start(configuration: &Path) -> Self {
        Self::start_with(configuration, |_| {}).await
    }

    /// The same with something changed that no key of the file can change.
    pub(crate) async fn start_with(configuration: &Path, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config::load(Some(configuration), std::iter::empty()).unwrap();
        change(&mut config);
        let socket = config.admin.socket.clone();
        let app = started(config).await;
        let client = DoorClient::new(app.registry, app.admission, app.admin, app.ca.as_ref().unwrap());
        Self { app, client, socket }
    }

    /// The certificate authority of the admission door.
    pub(crate) fn ca(&self) -> &Path {
        self.app.ca.as_ref().unwrap()
    }

    /// Stops it as SIGTERM would.
    pub(crate) async fn stop(self) {
        drop(self.client);
        self.app.drain().await;
    }

    /// What it shares with other replicas.
    pub(crate) fn shared(&self) -> &cache::Shared {
        self.app.shared().unwrap()
    }

    /// What whoever may open the admin socket is answered.
    pub(crate) async fn operated(&self, path: &str) -> Reply {
        self.over_socket(Method::GET, path, "").await
    }

    /// Has it forget what it knows of a digest.
    pub(crate) async fn purge(&self, digest: &Digest) {
        let reply = self.over_socket(Method::POST, "/purge", &json!({"digest": digest}).to_string()).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    async fn over_socket(&self, method: Method, path: &str, body: &str) -> Reply {
        let stream = tokio::net::UnixStream::connect(&self.socket).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::builder().method(method).uri(path).header("host", "localhost");
        let request = request.body(Full::<Bytes>::new(body.to_owned().into())).unwrap();
        read(sender.send_request(request).await.unwrap()).await
    }

    /// The decisions that are kept, as a query asks for them.
    pub(crate) async fn decisions(&self, query: &str) -> Value {
        self.operated(&format!("/decisions?{query}")).await.json()
    }

    /// Has it read its policies and trust roots now. Says whether they are in force.
    pub(crate) async fn tries_to_reload(&self) -> bool {
        self.app.reload().await
    }

    /// Has it read its policies and trust roots now; they are in force when this returns.
    pub(crate) async fn reload(&self) {
        assert!(self.app.reload().await, "the new rules are wrong");
    }
}

/// Whoever has a gateway has a client of it.
impl Deref for Gateway {
    type Target = DoorClient;

    fn deref(&self) -> &DoorClient {
        &self.client
    }
}

impl DoorClient {
    /// A client that believes this authority.
    pub(crate) fn new(registry: SocketAddr, admission: SocketAddr, admin: SocketAddr, ca: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .build();
        Self {
            registry,
            admission,
            admin,
            plain: Client::builder(TokioExecutor::new()).build_http(),
            webhook: Client::builder(TokioExecutor::new()).build(https),
        }
    }

    pub(crate) fn registry(&self) -> SocketAddr {
        self.registry
    }

    pub(crate) fn admission(&self) -> SocketAddr {
        self.admission
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.request(Method::GET, path, &[]).await
    }

    pub(crate) async fn head(&self, path: &str) -> Reply {
        self.request(Method::HEAD, path, &[]).await
    }

    pub(crate) async fn request(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.registry));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.plain.request(request.body(Full::default()).unwrap()).await.unwrap();
        read(answer).await
    }

    pub(crate) async fn admin(&self, path: &str) -> Reply {
        let uri = format!("http://{}{path}", self.admin).parse().unwrap();
        read(self.plain.get(uri).await.unwrap()).await
    }

    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Asks the admin listener at its address, showing this token.
    pub(crate) async fn operate(&self, method: Method, path: &str, token: Option<&str>, body: &str) -> Reply {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.admin));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Full::new(body.to_owned().into())).unwrap();
        read(self.plain.request(request).await.unwrap()).await
    }

    /// Posts bytes to the webhook.
    pub(crate) async fn post(&self, path: &str, body: impl Into<Bytes>) -> Reply {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("https://localhost:{}{path}", self.admission.port()))
            .header("content-type", "application/json")
            .body(Full::new(body.into()))
            .unwrap();
        read(self.webhook.request(request).await.unwrap()).await
    }

    /// The webhook's answer to the creation of a Pod with these images.
    pub(crate) async fn validate(&self, images: &[&str]) -> Value {
        let reply = self.post("/admission/validate", review(&pod(images)).to_string()).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["response"].clone()
    }

    /// The webhook's answer where one image is asked for, as a message; empty where it is allowed.
    pub(crate) async fn denial(&self, image: &str) -> String {
        let response = self.validate(&[image]).await;
        assert_eq!(response["allowed"], json!(response["status"].is_null()), "{response}");
        response["status"]["message"].as_str().unwrap_or_default().to_owned()
    }
}

/// A gateway under this configuration. One that was in its place may have work under way that nobody waits for, and has the
/// directory until that is done.
async fn started(config: Config) -> App {
    for _ in 0..400 {
        match App::start(config.clone()).await {
            Err(error) if format!("{error:#}").contains("is in use by another process") => {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            started => return started.unwrap(),
        }
    }
    App::start(config).await.unwrap()
}

async fn read(answer: http::Response<hyper::body::Incoming>) -> Reply {
    let (parts, body) = answer.into_parts();
    let body =
        body.collect().await.map(http_body_util::Collected::to_bytes).map_err(|error| error.to_string());
    Reply { status: parts.status, headers: parts.headers, body }
}

/// A Pod with these images.
pub(crate) fn pod(images: &[&str]) -> Value {
    let containers: Vec<_> = images
        .iter()
        .enumerate()
        .map(|(index, image)| json!({"name": format!("c{index}"), "image": image}))
        .collect();
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers}})
}

/// The review of an object's creation.
pub(crate) fn review(object: &Value) -> Value {
    let api_version = object["apiVersion"].as_str().unwrap();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "0b4e1c2a",
            "kind": {"group": group, "version": version, "kind": object["kind"]},
            "operation": "CREATE",
            "namespace": "default",
            "object": object,
        },
    })
}

/// Data that other projects published, beside the repository; `None` where it is not there. In CI that is a failure.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("COUNTERSIGN_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let path = root.join("data").join(path);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is missing", path.display());
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    {
        eprintln!("skipped: {} is missing", path.display());
    }
    None
}
