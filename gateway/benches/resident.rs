//! What a gateway's process weighs for each image that it remembers: its signatures, what cryptography says of them, and
//! the verdict.
//!
//! It is a process of its own, so that neither the origin nor the client is weighed with it. `COUNTERSIGN_IMAGES` says how
//! many images it is asked about; 100,000 take minutes, and a tenth of them tell the same.

#![expect(clippy::unwrap_used, reason = "the stage is our own, and a bench that fails says so")]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use oci::Digest;
use tempfile::TempDir;
use testkit::authority::{Authority, SignatureManifest, signature_manifest};
use testkit::policy::{POLICY, release};
use testkit::registry::Registry;
use tokio::runtime::Runtime;

const HOST: &str = "registry.example";
const IMAGES: usize = 4_000;

/// What is to be held in 128 MiB.
const REMEMBERED: usize = 100_000;

/// The gateway, which is killed when this is dropped.
struct Served {
    process: Child,
    registry: SocketAddr,
}

impl Served {
    fn start(directory: &Path, origin: &str, authority: &Authority) -> Self {
        let path = |name: &str| directory.join(name);
        std::fs::write(path("trusted_root.json"), authority.trusted_root()).unwrap();
        std::fs::create_dir(path("policies")).unwrap();
        std::fs::write(path("policies/acme.yaml"), POLICY).unwrap();
        let text = format!(
            "registry: {{listen: '127.0.0.1:0'}}\nadmission: {{listen: '127.0.0.1:0'}}\nadmin: {{listen: '127.0.0.1:0'}}\n\
             storage: {{path: {0}/storage}}\ntrust: {{root: {{file: {0}/trusted_root.json}}}}\nlog: {{level: warn}}\n\
             policies: {{directory: {0}/policies}}\nupstreams: [{{host: {HOST}, endpoint: '{origin}'}}]\n",
            directory.display(),
        );
        std::fs::write(path("countersign.yaml"), text).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(["serve", "--config"])
            .arg(path("countersign.yaml"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let registry = lines.find_map(|line| {
            let (address, _) = line.split_once("docker://")?.1.split_once('/')?;
            address.parse().ok()
        });
        Self { process, registry: registry.unwrap() }
    }

    /// Kibibytes of memory that no file backs, and of all that is resident.
    fn weighs(&self) -> [usize; 2] {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        ["RssAnon:", "VmRSS:"].map(|name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse().unwrap()
        })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Pushes an image that is signed as the policy expects: a manifest with a number, and nothing that others name too.
fn push(origin: &Registry, authority: &Authority, number: usize) -> Digest {
    let manifest = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"{0}\",\"config\":{{\"mediaType\":\"text/plain\",\"digest\":\"{1}\",\"size\":0}},\
         \"layers\":[],\"annotations\":{{\"number\":\"{number}\"}}}}",
        oci::MediaType::OCI_MANIFEST,
        Digest::of(number.to_string().as_bytes())
    );
    let digest = origin.put_manifest("acme/app", None, oci::MediaType::OCI_MANIFEST, manifest);
    let layer = authority.sign(&digest, &format!("{HOST}/acme/app"), &release());
    let signatures = signature_manifest(&[layer]);
    origin.put_blob("acme/app", signatures.config);
    for payload in signatures.payloads {
        origin.put_blob("acme/app", payload);
    }
    let tag = SignatureManifest::tag_for(&digest);
    origin.put_manifest("acme/app", Some(&tag), signatures.media_type.as_str(), signatures.manifest);
    digest
}

async fn pull(client: &Client<HttpConnector, Full<Bytes>>, registry: SocketAddr, digest: Digest) {
    let request = Request::builder()
        .method(Method::HEAD)
        .uri(format!("http://{registry}/v2/{HOST}/acme/app/manifests/{digest}"))
        .body(Full::default())
        .unwrap();
    let answer = client.request(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    drop(answer.into_body().collect().await);
}

async fn measure(images: usize) {
    let (origin, authority) = (Registry::start().await, Authority::new("resident"));
    let directory = TempDir::new().unwrap();
    let served = Served::start(directory.path(), &origin.url(), &authority);
    let client = Client::builder(TokioExecutor::new()).build_http();
    let begin = served.weighs();
    // The first half fills what is there once and bounded: threads, connections, the pages of the index.
    let mut warm = begin;
    for number in 0..10 {
        let digests: Vec<_> =
            (0..images / 10).map(|at| push(&origin, &authority, number * images / 10 + at)).collect();
        let pulls = digests.into_iter().map(|digest| pull(&client, served.registry, digest));
        stream::iter(pulls).buffer_unordered(8).collect::<Vec<()>>().await;
        origin.clear_requests();
        if number == 4 {
            warm = served.weighs();
        }
    }
    let end = served.weighs();
    let added = images / 2;
    let each = end[0].saturating_sub(warm[0]) * 1024 / added;
    let all = (warm[1] * 1024 + each * (REMEMBERED - added)) / (1024 * 1024);
    println!(
        "resident: {} MiB at start, {} and {} MiB after {added} and twice as many images were verified and served: \
         {each} bytes an image, {all} MiB for {REMEMBERED}",
        begin[1] / 1024,
        warm[1] / 1024,
        end[1] / 1024,
    );
}

fn main() {
    let images = std::env::var("COUNTERSIGN_IMAGES").map_or(IMAGES, |images| images.parse().unwrap());
    Runtime::new().unwrap().block_on(measure(images));
}
