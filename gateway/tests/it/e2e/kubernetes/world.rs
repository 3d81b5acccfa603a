//! A cluster, a registry with images, and a gateway that the cluster asks.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use serde_json::Value;
use testkit::authority::{Identity, ManagedKey, Recipe};
use testkit::image::Image;

use super::super::parts::run;
use super::control_plane::ControlPlane;
use crate::real_images;
use crate::stage::{Gateway, HOST, Stage, release};

pub(super) struct World {
    pub(super) plane: ControlPlane,
    pub(super) gateway: Option<Gateway>,
    stage: Stage,
}

/// What the gateway may do in a cluster, as a page of the documentation says it.
pub(super) fn documented(page: &str, rights: &str) -> String {
    let before = format!("<!-- {rights} -->\n```yaml\n");
    let start = page.find(&before).expect("the documentation has the rights") + before.len();
    let end = page[start..].find("```").unwrap();
    let text = page[start..start + end].to_owned();
    // Here the gateway is a user with a certificate, and no account.
    text.replace(
        "kind: ServiceAccount\n    name: countersign\n    namespace: cosign-system",
        "kind: User\n    name: countersign\n    apiGroup: rbac.authorization.k8s.io",
    )
}

/// What a command of the product prints.
pub(super) fn printed(arguments: &[&str]) -> String {
    let output = run(env!("CARGO_BIN_EXE_countersign"), arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

impl World {
    /// A cluster with the kinds, the gateway in force, and its webhooks.
    pub(super) async fn new() -> Self {
        let mut world = Self::without_gateway().await;
        world.start().await;
        world.until_ready().await;
        world.hook();
        world
    }

    pub(super) async fn without_gateway() -> Self {
        let plane = ControlPlane::start().await;
        plane.does(&["create", "namespace", "cosign-system"]);
        plane.apply(&documented(include_str!("../../../../../docs/kubernetes.md"), "rights"));
        plane.apply(&printed(&["crds"]));
        plane.does(&["wait", "--for=condition=Established", "--timeout=20s", "crd", "--all"]);
        Self { plane, gateway: None, stage: Stage::new().await }
    }

    /// The same where the gateway may also read whom it serves there.
    pub(super) async fn for_tenants() -> Self {
        let world = Self::without_gateway().await;
        let page = include_str!("../../../../../docs/kubernetes.md");
        world.plane.apply(&documented(page, "rights for tenants"));
        world
    }

    pub(super) fn configuration(&self, more: &str) -> std::path::PathBuf {
        let directory = self.stage.directory.path().display();
        let (endpoint, kubeconfig) = (self.stage.origin.url(), self.plane.gateway());
        let text = format!(
            "storage: {{path: {directory}/storage}}\ntrust: {{root: public-good, roots: {{acme: {{file: {directory}/trusted_root.json}}}}}}\n\
             admin: {{listen: '127.0.0.1:0'}}\nregistry: {{listen: '127.0.0.1:0'}}\nadmission: {{listen: '127.0.0.1:0'}}\n\
             policies: {{kubernetes: true, kubeconfig: {kubeconfig}{more}}}\n\
             upstreams: [{{host: {HOST}, endpoint: '{endpoint}'}}, {{host: docker.io, endpoint: '{endpoint}'}}, \
             {{host: cgr.dev, endpoint: '{endpoint}'}}]\n"
        );
        let path = self.stage.directory.path().join("countersign.yaml");
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(super) async fn start(&mut self) {
        self.start_with("").await;
    }

    /// The same with keys of `policies`, each after a comma.
    pub(super) async fn start_with(&mut self, more: &str) {
        let configuration = self.configuration(more);
        self.gateway = Some(Gateway::start(&configuration).await);
    }

    /// A gateway of these tenants, with keys of `policies` and of `registry`, each after a comma.
    pub(super) async fn start_for(&mut self, tenants: &str, policies: &str, registry: &str) {
        let path = self.configuration(policies);
        let text = std::fs::read_to_string(&path).unwrap();
        let door = "registry: {listen: '127.0.0.1:0'";
        assert!(text.contains(door), "{text}");
        let text = text.replace(door, &format!("{door}{registry}"));
        std::fs::write(&path, format!("{text}{tenants}\n")).unwrap();
        self.gateway = Some(Gateway::start(&path).await);
    }

    pub(super) fn stage(&self) -> &Stage {
        &self.stage
    }

    pub(super) fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().unwrap()
    }

    /// Tells the API server to ask the gateway.
    pub(super) fn hook(&self) {
        let gateway = self.gateway();
        let url = format!("https://127.0.0.1:{}", gateway.admission().port());
        let ca = gateway.ca().display().to_string();
        self.plane.apply(&printed(&["webhooks", "--url", &url, "--ca", &ca]));
    }

    pub(super) async fn stop_gateway(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            gateway.stop().await;
        }
    }

    pub(super) async fn stop(mut self) {
        self.stop_gateway().await;
    }

    /// The copy of the policies on the gateway's disk.
    pub(super) fn copy(&self) -> std::path::PathBuf {
        self.stage.directory.path().join("storage/kubernetes/policies.json")
    }

    pub(super) async fn readiness(&self) -> (u16, String) {
        let reply = self.gateway().admin("/readyz").await;
        (reply.status.as_u16(), String::from_utf8_lossy(reply.bytes()).trim_end().to_owned())
    }

    pub(super) async fn until_ready(&self) {
        self.until_readyz("ready").await;
    }

    /// Waits until readiness says so.
    pub(super) async fn until_readyz(&self, saying: &str) -> u16 {
        let said = std::sync::Mutex::new((0, String::new()));
        let says = async || {
            let readiness = self.readiness().await;
            *said.lock().unwrap() = readiness.clone();
            readiness.1.starts_with(saying)
        };
        until(&format!("readiness does not say {saying:?}"), says, || said.lock().unwrap().1.clone()).await;
        said.into_inner().unwrap().0
    }

    /// Waits until the door lets an image in.
    pub(super) async fn until_allowed(&self, image: &str) {
        let denial = std::sync::Mutex::new(String::new());
        let allowed = async || {
            let said = self.gateway().denial(image).await;
            *denial.lock().unwrap() = said.clone();
            said.is_empty()
        };
        until(&format!("{image} is not allowed"), allowed, || denial.lock().unwrap().clone()).await;
    }

    /// Whether the API server would let a Pod with this image in: why not, otherwise.
    pub(super) fn asked(&self, image: &str) -> Result<(), String> {
        let output = self.plane.kubectl(&["run", "asked", &format!("--image={image}"), "--dry-run=server"]);
        if output.status.success() { Ok(()) } else { Err(String::from_utf8(output.stderr).unwrap()) }
    }

    pub(super) async fn until_admitted(&self, image: &str) {
        let refusal = std::sync::Mutex::new(String::new());
        let admitted = async || match self.asked(image) {
            Ok(()) => true,
            Err(text) => {
                *refusal.lock().unwrap() = text;
                false
            }
        };
        until(&format!("{image} is not admitted"), admitted, || refusal.lock().unwrap().clone()).await;
    }

    pub(super) async fn until_refused(&self, image: &str) -> String {
        self.until_refused_with(image, "").await
    }

    pub(super) async fn until_refused_with(&self, image: &str, why: &str) -> String {
        let refusal = std::sync::Mutex::new(String::new());
        let refused = async || {
            let asked = self.asked(image);
            *refusal.lock().unwrap() = asked.clone().err().unwrap_or_default();
            asked.is_err_and(|text| text.contains(why))
        };
        let what = format!("{image} is not refused with {why:?}");
        until(&what, refused, || refusal.lock().unwrap().clone()).await;
        refusal.into_inner().unwrap()
    }

    /// Waits until a policy's status says so.
    pub(super) async fn until_told(&self, policy: &str, ready: &str) {
        let what = format!("{policy} is not told to be {ready}");
        until(&what, async || self.told(policy)["status"] == ready, || self.told(policy).to_string()).await;
    }

    /// What a policy's status says.
    pub(super) fn told(&self, policy: &str) -> Value {
        let object = self.plane.does(&["get", "cip", policy, "-o", "json"]);
        let object: Value = serde_json::from_str(&object).unwrap();
        let condition = object["status"]["conditions"][0].clone();
        let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        if current { condition } else { Value::Null }
    }

    /// Saved images, as `cgr.dev/chainguard/NAME@digest`.
    pub(super) fn load(&self, folder: &Path) -> Vec<String> {
        real_images::load(&self.stage.origin, folder)
    }

    pub(super) fn unsigned(&self, seed: u64, repository: &str, tag: &str) {
        Image::random(seed).push_to(&self.stage.origin, repository, Some(tag));
    }

    /// An image that the stage's authority signed, and one that nobody did.
    pub(super) fn by_authority(&self) -> (String, String) {
        let (signed, unsigned) =
            (self.stage.signed(11, "acme/app", "v1"), self.stage.unsigned(12, "acme/app", "v0"));
        let reference = |image: &Image| format!("{HOST}/acme/app@{}", image.digest());
        (reference(&signed), reference(&unsigned))
    }

    /// A key's public half, in PEM, and an image that it signed.
    pub(super) fn by_key(&self) -> (String, String) {
        let key = ManagedKey::seeded("release");
        let image = self.stage.unsigned(13, "keyed/app", "v1");
        let recipe = Recipe::image(&image.digest(), &format!("{HOST}/keyed/app")).by_key(&key);
        let layer = self.stage.authority.mint(&recipe).layer();
        self.stage.attach("keyed/app", &image.digest(), &[layer]);
        (key.public_pem(), format!("{HOST}/keyed/app@{}", image.digest()))
    }

    pub(super) fn policy(&self, version: &str, name: &str, glob: &str) -> String {
        keyless(version, name, glob, "acme")
    }

    pub(super) fn policy_on_root(&self, name: &str, glob: &str, root: &str) -> String {
        keyless("v1beta1", name, glob, root)
    }

    pub(super) fn policy_on_secret(&self, name: &str, glob: &str, secret: &str) -> String {
        format!(
            "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {{name: {name}}}\n\
             spec: {{images: [{{glob: '{glob}'}}], authorities: [{{key: {{secretRef: {{name: {secret}}}}}}}]}}\n"
        )
    }

    pub(super) fn secret(&self, name: &str, content: &str) -> String {
        let content = base64::engine::general_purpose::STANDARD.encode(content);
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: cosign-system}}\ndata: {{cosign.pub: {content}}}\n"
        )
    }

    pub(super) fn image_policy(&self, namespace: &str, glob: &str, subject: &str) -> String {
        format!(
            "apiVersion: policy.countersign.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: own, namespace: {namespace}}}\n\
             spec: {{images: [{{glob: '{glob}'}}], authorities: [{{keyless: {{identities: \
             [{{issuer: 'https://token.actions.githubusercontent.com', subject: '{subject}'}}]}}}}]}}\n"
        )
    }

    /// The stage's authority as an object.
    pub(super) fn trust_root(&self, name: &str) -> String {
        crate::scenarios::trust_root(name, &self.stage.authority.trusted_root())
    }
}

fn keyless(version: &str, name: &str, glob: &str, root: &str) -> String {
    let Identity { issuer, subject, .. } = release();
    let subject = subject.as_str();
    format!(
        "apiVersion: policy.sigstore.dev/{version}\nkind: ClusterImagePolicy\nmetadata: {{name: {name}}}\n\
         spec: {{images: [{{glob: '{glob}'}}], authorities: [{{ctlog: {{trustRootRef: {root}}}, keyless: {{trustRootRef: {root}, identities: \
         [{{issuer: '{issuer}', subject: '{subject}'}}]}}}}]}}\n"
    )
}

/// Asks again until it is so, and says what is so otherwise: an API server has no other way to say that something came of
/// an object.
pub(super) async fn until(what: &str, so: impl AsyncFn() -> bool, otherwise: impl Fn() -> String) {
    let patience = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(60), patience).await.is_err() {
        panic!("{what}: {}", otherwise());
    }
}
