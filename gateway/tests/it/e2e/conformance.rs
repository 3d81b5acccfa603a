//! The conformance suite of the distribution specification, read-only, and then every answer beside the origin's.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use oci::{Digest, MediaType};
use serde_json::json;
use testkit::authority::{Authority, SignatureManifest};
use testkit::image::{Image, index_of};
use testkit::push;
use testkit::registry::Registry;

use super::parts::{Answer, Origin, Served, get};
use super::{push_image, sign};
use crate::stage::{HOST, POLICY};

const REPOSITORY: &str = "acme/app";

/// What is in the repository, by every name that the suite asks for it by.
#[derive(Default)]
struct Content {
    tags: Vec<String>,
    manifests: Vec<Digest>,
    blobs: Vec<Digest>,
    subjects: Vec<Digest>,
}

impl Content {
    /// An image, an index of two, a nested index and a bill of materials, all signed.
    async fn pushed(url: &str, authority: &Authority) -> Self {
        let mut content = Self::default();
        let image = Image::random(1);
        push_image(url, REPOSITORY, "v1", &image).await;
        content.image(&image);
        let index = index_of(&[Image::random(2), Image::random(3)]);
        for child in &index.images {
            push_image(url, REPOSITORY, &child.digest().to_string(), child).await;
        }
        let digest = index.digest();
        push::manifest(url, REPOSITORY, "multi", MediaType::OCI_INDEX, index.manifest.clone()).await;
        content.manifests.push(digest);
        index.images.iter().for_each(|child| content.image(child));
        let nested = json!({
            "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX,
            "manifests": [{"mediaType": MediaType::OCI_INDEX, "digest": digest, "size": index.manifest.len()}],
        });
        let nested =
            push::manifest(url, REPOSITORY, "nested", MediaType::OCI_INDEX, nested.to_string()).await;
        let sbom = content.sbom(url, &image).await;
        content.manifests.extend([nested, sbom]);
        for digest in [image.digest(), digest, nested, sbom] {
            sign(url, authority, REPOSITORY, &digest).await;
            content.tags.push(SignatureManifest::tag_for(&digest));
        }
        content.tags.extend(["v1", "multi", "nested", "sbom"].map(str::to_owned));
        content.subjects.extend([image.digest(), digest]);
        content
    }

    fn image(&mut self, image: &Image) {
        self.manifests.push(image.digest());
        self.blobs.extend(image.blobs().map(|blob| Digest::of(blob)));
    }

    async fn sbom(&mut self, url: &str, image: &Image) -> Digest {
        let bill = Bytes::from_static(b"{\"spdxVersion\":\"SPDX-2.3\"}");
        let [config, layer] =
            [push::blob(url, REPOSITORY, &b"{}"[..]).await, push::blob(url, REPOSITORY, bill.clone()).await];
        self.blobs.extend([config, layer]);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "artifactType": "application/spdx+json",
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2},
            "layers": [{"mediaType": "application/spdx+json", "digest": layer, "size": bill.len()}],
            "subject": {"mediaType": MediaType::OCI_MANIFEST, "digest": image.digest(), "size": image.manifest.len()},
        });
        push::manifest(url, REPOSITORY, "sbom", MediaType::OCI_MANIFEST, manifest.to_string()).await
    }

    /// Every path below `/v2/<name>/` that leads to something.
    fn paths(&self) -> Vec<String> {
        let by_tag = self.tags.iter().map(|tag| format!("manifests/{tag}"));
        let by_digest = self.manifests.iter().map(|digest| format!("manifests/{digest}"));
        let blobs = self.blobs.iter().map(|digest| format!("blobs/{digest}"));
        by_tag.chain(by_digest).chain(blobs).chain(["tags/list".to_owned()]).collect()
    }
}

/// Runs the suite against a repository, and gives the lines of its summary.
fn suite(directory: &Path, registry: &str, repository: &str, content: &Content) -> String {
    let texts = |digests: &[Digest]| digests.iter().map(Digest::to_string).collect::<Vec<_>>().join(" ");
    let output = Command::new("oci-conformance")
        .envs([
            ("OCI_REGISTRY", registry),
            ("OCI_TLS", "disabled"),
            ("OCI_REPO1", repository),
            ("OCI_REPO2", repository),
            ("OCI_VERSION", "1.1"),
            ("OCI_RO_DATA_TAGS", &content.tags.join(" ")),
            ("OCI_RO_DATA_MANIFESTS", &texts(&content.manifests)),
            ("OCI_RO_DATA_BLOBS", &texts(&content.blobs)),
            ("OCI_RO_DATA_REFERRERS", &texts(&content.subjects)),
        ])
        .env("OCI_RESULTS_DIR", directory.join("conformance"))
        .envs(
            ["PUSH", "BLOBS_DELETE", "MANIFESTS_DELETE", "TAGS_DELETE"]
                .map(|api| (format!("OCI_API_{api}"), "false")),
        )
        // Of manifests that it did not push itself, the suite has no answer to look for the header in; below that is done.
        .env("OCI_API_BLOBS_DIGEST_HEADER", "true")
        .current_dir(directory)
        .output()
        .unwrap_or_else(|error| panic!("oci-conformance: {error}; `make test` installs it"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// How many tests of the suite came out so, as its summary says.
fn count(report: &str, outcome: &str) -> usize {
    let line = report.lines().find(|line| line.trim_start().starts_with(&format!("{outcome}.")));
    let number = line.and_then(|line| line.rsplit(':').next()?.trim().parse().ok());
    number.unwrap_or_else(|| panic!("no count of {outcome} in: {report}"))
}

/// Nothing fails, whether or not anything was asked for before, and what comes is what the origin gives.
async fn conforms(url: &str, fallback: bool) {
    let directory = tempfile::TempDir::new().unwrap();
    let authority = Authority::new("conformance");
    let content = Content::pushed(url, &authority).await;
    if fallback {
        push_fallback(url, &content).await;
    }
    let gateway = Served::start(directory.path(), url, &authority.trusted_root(), POLICY).await;
    let (registry, repository) = (gateway.registry.to_string(), format!("{HOST}/{REPOSITORY}"));
    for warmth in ["cold", "warm"] {
        let report = suite(directory.path(), &registry, &repository, &content);
        let kept = format!("distribution-spec-{}-{warmth}.txt", if fallback { "fallback" } else { "native" });
        std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(kept), &report).unwrap();
        assert_eq!((count(&report, "FAIL"), count(&report, "Error")), (0, 0), "{warmth}: {report}");
        assert!(count(&report, "Pass") > 2 * content.paths().len(), "{warmth}: {report}");
        for api in ["Referrers", "Tag listing", "Blob get", "Blob head", "Manifest get by tag"] {
            let passed =
                report.lines().any(|line| line.contains(&format!("{api}.")) && line.ends_with("Pass"));
            assert!(passed, "{warmth}: {api}: {report}");
        }
    }
    let ours = |path: &str| format!("http://{registry}/v2/{REPOSITORY}/{path}?ns={HOST}");
    let theirs = |path: &str| format!("{url}/v2/{REPOSITORY}/{path}");
    for path in content.paths() {
        same(&get(&ours(&path)).await, &get(&theirs(&path)).await, &path);
    }
    for subject in &content.subjects {
        let answer = get(&ours(&format!("referrers/{subject}"))).await;
        assert_eq!(answer.header("content-type"), MediaType::OCI_INDEX);
        let path = format!("referrers/{subject}");
        let under_tag = format!("manifests/{}", subject.to_string().replace(':', "-"));
        let origin = get(&theirs(if fallback { &under_tag } else { &path })).await;
        if origin.status == 200 {
            assert_eq!((answer.status, &answer.body), (200, &origin.body), "{subject}");
        } else {
            assert_eq!(answer.body, oci::ReferrersList::empty().bytes(), "{subject}");
        }
    }
}

/// The list of the image's one referrer, as a client keeps it where the registry keeps none.
async fn push_fallback(url: &str, content: &Content) {
    let (subject, sbom) = (&content.subjects[0], content.manifests.last().unwrap());
    let size = get(&format!("{url}/v2/{REPOSITORY}/manifests/{sbom}")).await.body.len();
    let list = json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX,
        "manifests": [{
            "mediaType": MediaType::OCI_MANIFEST, "digest": sbom, "size": size,
            "artifactType": "application/spdx+json",
        }],
    });
    let tag = subject.to_string().replace(':', "-");
    push::manifest(url, REPOSITORY, &tag, MediaType::OCI_INDEX, list.to_string()).await;
}

#[track_caller]
fn same(ours: &Answer, theirs: &Answer, path: &str) {
    assert_eq!(theirs.status, 200, "the origin: {path}");
    assert_eq!((ours.status, &ours.body), (200, &theirs.body), "{path}");
    let headers = match path {
        "tags/list" => ["content-length"].as_slice(),
        path if path.starts_with("blobs/") => &["content-length", "docker-content-digest"],
        _ => &["content-length", "docker-content-digest", "content-type"],
    };
    for header in headers {
        assert_eq!(ours.header(header), theirs.header(header), "{path}: {header}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_cold_and_warm_before_a_registry_without_referrers() {
    let directory = tempfile::TempDir::new().unwrap();
    let origin = Origin::start(directory.path()).await;
    conforms(&origin.url, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_cold_and_warm_before_a_registry_with_referrers() {
    let origin = Registry::start().await;
    conforms(&origin.url(), false).await;
}
