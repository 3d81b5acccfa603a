//! Nodes of two tenants, who are told apart by the certificates that real clients show: each pulls what its tenant may,
//! and nothing that only the other may.

use std::path::{Path, PathBuf};
use std::process::Output;

use testkit::authority::{Authority, Identity, SignatureManifest, signature_manifest};
use testkit::image::Image;
use testkit::push;

use super::parts::{Containerd, Origin, Served, run, run_all};
use super::push_image;
use crate::cli::{countersign, exits};
use crate::stage::{HOST, POLICY, release};
use crate::tenants::certificates::{Issued, Pair, keys};
use crate::tenants::nightly;

/// A registry that only `b` may pull from.
const OF_B: &str = "only-b.example";

/// A gateway with the tenants `a`, whose policies want what was released, and `b`, whose policies want what was built at
/// night, and whose registry `only-b.example` is besides.
struct World {
    origin: Origin,
    gateway: Served,
    authority: Issued,
    directory: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let directory = tempfile::TempDir::new().unwrap();
        let origin = Origin::start(directory.path()).await;
        let signers = Authority::new("tenants");
        for (seed, tag, by) in [(1, "released", release()), (2, "nightly", nightly())] {
            let image = Image::random(seed);
            push_image(&origin.url, "acme/app", tag, &image).await;
            sign(&origin.url, &signers, &image, &by).await;
        }
        let authority = Issued::new();
        let config = configuration(directory.path(), &origin, &signers, &authority);
        let gateway = Served::of(&config, &directory.path().join("storage")).await;
        Self { origin, gateway, authority, directory }
    }

    /// Where the gateway is, by the name that its certificate has.
    fn door(&self) -> String {
        format!("localhost:{}", self.gateway.registry.port())
    }

    /// What `countersign mirror-config` writes for a node that shows this.
    fn node(&self, name: &str, runtime: &str, shown: Option<&Pair>) -> PathBuf {
        let node = self.directory.path().join(name);
        std::fs::create_dir(&node).unwrap();
        let file = |name: &str, text: &str| {
            let path = node.join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (url, output) = (format!("https://{}", self.door()), node.join("root").display().to_string());
        let ca = file("ca.pem", &self.authority.pem);
        let mut write = vec!["mirror-config", runtime, "--strict", "--registry", &url, "--ca", &ca];
        write.extend(["--upstream", HOST, "--upstream", OF_B, "--output", &output]);
        let client = shown.map(|pair| (file("client.pem", &pair.certificate), file("client.key", &pair.key)));
        if let Some((certificate, key)) = &client {
            write.extend(["--client-cert", certificate, "--client-key", key]);
        }
        exits(&countersign(&write), 0, &[]);
        node.join("root")
    }

    /// Who there is, what each of them shows, and the images that it may pull of all.
    fn nodes(&self) -> [(&'static str, Option<Pair>, Vec<String>); 4] {
        let [released, at_night, of_b] = images();
        let issue = |common, alternative: &[&str]| Some(self.authority.issue(common, alternative));
        [
            ("a", issue("node-a", &[]), vec![released]),
            ("b", issue("x", &["spiffe://b.example/node"]), vec![at_night, of_b]),
            ("stranger", issue("node-c", &[]), vec![]),
            ("nobody", None, vec![]),
        ]
    }

    /// That each node is given by this client what it may have, is refused all else, and that nobody but the gateway
    /// was ever asked.
    fn are_apart(&self, client: &str, runtime: &str, pull: impl Fn(&Path, &str) -> Output) {
        for (name, shown, may) in self.nodes() {
            let node = self.node(&format!("{client}-{name}"), runtime, shown.as_ref());
            for image in images() {
                let pulled = pull(&node, &image);
                assert_eq!(
                    pulled.status.success(),
                    may.contains(&image),
                    "{client} of {name}: {image}: {pulled:?}"
                );
            }
        }
        let forged = Issued::new().issue("node-a", &[]);
        let node = self.node(&format!("{client}-forged"), runtime, Some(&forged));
        for image in images() {
            let pulled = pull(&node, &image);
            assert!(!pulled.status.success(), "{client} of whom nobody vouches for: {image}: {pulled:?}");
        }
        self.origin.nobody_went_round();
    }
}

/// The files of a node below which skopeo and podman find certificates as they do in `/etc/containers/certs.d`: a user's own
/// home. With them its registries, and what it believes.
fn containers(node: &Path) -> [String; 3] {
    let (etc, home) = (node.join("etc/containers"), node.join("home"));
    std::fs::create_dir_all(home.join(".config/containers")).unwrap();
    let certs = home.join(".config/containers/certs.d");
    if !certs.exists() {
        std::os::unix::fs::symlink(etc.join("certs.d"), certs).unwrap();
    }
    [home, etc.join("registries.conf.d/99-countersign.conf"), etc.join("policy.json")]
        .map(|path| path.display().to_string())
}

/// What either may pull, and the other may not: by its policies, and by its registries.
fn images() -> [String; 3] {
    [
        format!("{HOST}/acme/app:released"),
        format!("{HOST}/acme/app:nightly"),
        format!("{OF_B}/acme/app:nightly"),
    ]
}

async fn sign(url: &str, signers: &Authority, image: &Image, by: &Identity) {
    // The same image is in both registries, so it is signed under the name of either.
    let layers = [HOST, OF_B].map(|host| signers.sign(&image.digest(), &format!("{host}/acme/app"), by));
    let signatures = signature_manifest(&layers);
    push::blob(url, "acme/app", signatures.config.clone()).await;
    for payload in &signatures.payloads {
        push::blob(url, "acme/app", payload.clone()).await;
    }
    let tag = SignatureManifest::tag_for(&image.digest());
    push::manifest(url, "acme/app", &tag, signatures.media_type.as_str(), signatures.manifest.clone()).await;
}

fn configuration(directory: &Path, origin: &Origin, signers: &Authority, authority: &Issued) -> PathBuf {
    let below = directory.display();
    std::fs::write(directory.join("trusted_root.json"), signers.trusted_root()).unwrap();
    std::fs::create_dir(directory.join("policies")).unwrap();
    for (name, workflow) in [("a", "release.yaml"), ("b", "nightly.yaml")] {
        let policy = POLICY.replace("acme-is-signed", name).replace("release.yaml", workflow);
        std::fs::create_dir(directory.join(name)).unwrap();
        std::fs::write(
            directory.join(name).join("own.yaml"),
            policy.replace(&format!("{HOST}/acme/**"), "'**'"),
        )
        .unwrap();
    }
    let url = &origin.url;
    let text = format!(
        "registry: {{listen: '127.0.0.1:0', noMatch: deny{}}}\n\
         admission: {{listen: '127.0.0.1:0'}}\nadmin: {{listen: '127.0.0.1:0'}}\n\
         storage: {{path: {below}/storage}}\ntrust: {{root: {{file: {below}/trusted_root.json}}}}\n\
         policies: {{directory: {below}/policies}}\n\
         upstreams: [{{host: {HOST}, endpoint: '{url}'}}, {{host: {OF_B}, endpoint: '{url}'}}]\n\
         tenants:\n\
         - {{name: a, callers: [{{certificates: [{{commonName: node-a}}]}}], policies: {{directory: {below}/a}}, \
         upstreams: [{{host: {HOST}}}]}}\n\
         - {{name: b, callers: [{{certificates: [{{uri: 'spiffe://b.example/node'}}]}}], policies: {{directory: {below}/b}}}}\n",
        keys(directory, authority)
    );
    let path = directory.join("countersign.yaml");
    std::fs::write(&path, text).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn containerd_is_the_tenant_that_its_client_certificate_names() {
    let world = World::new().await;
    let containerd = Containerd::start(world.directory.path(), &world.door()).await;
    for ctr in ["ctr", "ctr2"] {
        world.are_apart(ctr, "containerd", |node, image| {
            // The files name one another as they lie on a node, which this directory stands for.
            for hosts in std::fs::read_dir(node.join("etc/containerd/certs.d")).unwrap() {
                let file = hosts.unwrap().path().join("hosts.toml");
                let text = std::fs::read_to_string(&file).unwrap();
                let below = format!("\"{}/etc/countersign/", node.display());
                std::fs::write(&file, text.replace("\"/etc/countersign/", &below)).unwrap();
            }
            let hosts = node.join("etc/containerd/certs.d").display().to_string();
            run_all(&containerd.puller(ctr, &hosts), image)
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_and_podman_are_the_tenant_whose_certificate_is_in_their_certs_d() {
    let world = World::new().await;
    world.are_apart("skopeo", "podman", |node, image| {
        let [home, registries, policy] = containers(node);
        let to = tempfile::TempDir::new().unwrap();
        let (home, to) = (format!("HOME={home}"), format!("dir:{}", to.path().display()));
        let under = ["skopeo", "--policy", &policy, "--registries-conf", &registries];
        run("env", &[&[&*home], &under[..], &["copy", &format!("docker://{image}"), &to]].concat())
    });
    world.are_apart("podman", "crio", |node, image| {
        let [home, registries, policy] = containers(node);
        let (home, registries) = (format!("HOME={home}"), format!("CONTAINERS_REGISTRIES_CONF={registries}"));
        let (root, run) = (format!("{}/root", node.display()), format!("{}/run", node.display()));
        let podman = ["podman", "--root", &root, "--runroot", &run, "--storage-driver", "vfs"];
        let command = [&["env", &*home, &registries], &podman[..], &["pull", "--signature-policy", &policy]];
        run_all(&command.concat().into_iter().map(str::to_owned).collect::<Vec<_>>(), image)
    });
}
