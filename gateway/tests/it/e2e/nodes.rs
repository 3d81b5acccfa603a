//! Real clients under each configuration that is written, before an origin that they could reach: what is signed is
//! pulled, what is denied is had from nobody.

use std::path::{Path, PathBuf};
use std::process::Output;

use testkit::authority::Authority;
use testkit::image::Image;

use super::parts::{Containerd, Origin, Served, run, run_all};
use super::{push_image, sign};
use crate::cli::{countersign, exits};
use crate::stage::POLICY;

/// A node, the gateway that it is to pull through, and two registries that it could reach without it.
struct Node {
    origin: Origin,
    /// A registry that is none of the gateway's upstreams.
    stranger: Origin,
    gateway: Served,
    containerd: Containerd,
    signed: Image,
    unsigned: Image,
    directory: tempfile::TempDir,
}

impl Node {
    async fn new() -> Self {
        let directory = tempfile::TempDir::new().unwrap();
        let below = |name: &str| {
            let path = directory.path().join(name);
            std::fs::create_dir(&path).unwrap();
            path
        };
        let origin = Origin::start(&below("origin")).await;
        let stranger = Origin::start(&below("stranger")).await;
        let (signed, unsigned) = (Image::random(1), Image::random(2));
        let authority = Authority::new("nodes");
        push_image(&origin.url, "acme/app", "signed", &signed).await;
        sign(&origin.url, &authority, "acme/app", &signed.digest()).await;
        push_image(&origin.url, "acme/app", "unsigned", &unsigned).await;
        // An open fallback shows only where the registry has the canary.
        push_image(&origin.url, "countersign/canary", "denied", &unsigned).await;
        push_image(&stranger.url, "acme/app", "signed", &signed).await;
        let host = origin.host();
        let upstreams =
            format!("upstreams: [{{host: '{host}', aliases: [origin.example], endpoint: '{}'}}]", origin.url);
        let policy = POLICY.replace("registry.example", host);
        let gateway =
            Served::start_with(&below("gateway"), &upstreams, &authority.trusted_root(), &policy).await;
        let containerd = Containerd::start(directory.path(), &gateway.registry.to_string()).await;
        Self { origin, stranger, gateway, containerd, signed, unsigned, directory }
    }

    /// The gateway's configuration, which says by which other name it has the origin: there is no port in a path.
    fn config(&self) -> String {
        self.directory.path().join("gateway/countersign.yaml").display().to_string()
    }

    fn url(&self) -> String {
        format!("http://{}", self.gateway.registry)
    }

    /// Writes what is to be the configuration of a runtime, which has no holes.
    fn configure(&self, runtime: &str) -> PathBuf {
        let below = self.directory.path().join(format!("node-{runtime}"));
        let (url, output, config) = (self.url(), below.display().to_string(), self.config());
        let about = ["--registry", &url, "--config", &config];
        let write = [&["mirror-config", runtime, "--strict", "--output", &output][..], &about].concat();
        exits(&countersign(&write), 0, &[]);
        exits(&countersign(&[&["mirror-lint", &output][..], &about].concat()), 0, &["0 holes"]);
        below
    }

    /// What is signed is pulled and nothing else is, and no registry hears of it but from the gateway.
    fn is_closed(&self, who: &str, pull: impl Fn(&str) -> Output) {
        let host = self.origin.host();
        let pulled = pull(&format!("{host}/acme/app:signed"));
        assert!(pulled.status.success(), "{who}: {pulled:?}");
        for image in [
            format!("{host}/acme/app:unsigned"),
            format!("{host}/acme/app@{}", self.unsigned.digest()),
            format!("{host}/countersign/canary:denied"),
            format!("{}/acme/app:signed", self.stranger.host()),
        ] {
            let refused = pull(&image);
            assert!(!refused.status.success(), "{who}: {image}: {refused:?}");
        }
        self.origin.nobody_went_round();
        let canary = |line: &String| line.contains("/v2/countersign/canary/");
        assert!(!self.origin.reads().iter().any(canary), "{who}: {:?}", self.origin.reads());
        let blob = |line: &String| line.contains("/blobs/");
        assert!(!self.stranger.reads().iter().any(blob), "{who}: {:?}", self.stranger.reads());
    }

    /// The command by which podman pulls under these files.
    fn podman(&self, registries: &Path, policy: &Path) -> Vec<String> {
        let storage = self.directory.path().join("podman").display().to_string();
        let command = [
            "env",
            &format!("CONTAINERS_REGISTRIES_CONF={}", registries.display()),
            "podman",
            "--root",
            &format!("{storage}/root"),
            "--runroot",
            &format!("{storage}/run"),
            "--storage-driver",
            "vfs",
            "pull",
            "--tls-verify=false",
            "--signature-policy",
            &policy.display().to_string(),
        ];
        command.map(str::to_owned).to_vec()
    }
}

const CTRS: [&str; 2] = ["ctr", "ctr2"];

#[tokio::test(flavor = "multi_thread")]
async fn attack_42_containerd_that_is_asked_directly_has_no_other_way() {
    let node = Node::new().await;
    for (runtime, certs) in [("containerd", "etc/containerd/certs.d"), ("docker", "etc/docker/certs.d")] {
        let hosts = node.configure(runtime).join(certs).display().to_string();
        for ctr in CTRS {
            let command = node.containerd.puller(ctr, &hosts);
            node.is_closed(&format!("{ctr} under {runtime}"), |image| run_all(&command, image));
        }
    }
    // Nor is a registry asked of which nothing is said.
    assert_eq!(node.stranger.reads(), Vec::<String>::new());
    assert_eq!(node.containerd.content(&node.signed.digest()), node.signed.manifest);
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_42_nor_have_skopeo_and_podman() {
    let node = Node::new().await;
    for runtime in ["crio", "podman"] {
        let etc = node.configure(runtime).join("etc/containers");
        let (registries, policy) =
            (etc.join("registries.conf.d/99-countersign.conf"), etc.join("policy.json"));
        node.is_closed(&format!("skopeo under {runtime}"), |image| {
            let to = tempfile::TempDir::new().unwrap();
            let (from, to) = (format!("docker://{image}"), format!("dir:{}", to.path().display()));
            let [registries, policy] = [&registries, &policy].map(|path| path.display().to_string());
            let under = ["--policy", &policy, "--registries-conf", &registries];
            run("skopeo", &[&under[..], &["copy", "--src-tls-verify=false", &from, &to]].concat())
        });
        let command = node.podman(&registries, &policy);
        node.is_closed(&format!("podman under {runtime}"), |image| run_all(&command, image));
    }
}

/// Configurations that look closed, by the kind of hole that they have.
fn open_hosts(gateway: &str, origin: &str) -> Vec<(&'static str, String, &'static [&'static str])> {
    let host = format!("[host.\"{gateway}\"]\n  capabilities = [\"pull\", \"resolve\"]\n");
    vec![
        ("no-server", host.clone(), &CTRS),
        ("origin-as-server", format!("server = \"{origin}\"\n{host}"), &CTRS),
        ("unknown-capability", format!("server = \"{gateway}\"\n{}", host.replace("pull", "pul")), &CTRS),
        ("unparsable", format!("server = \"{gateway}\"\n{host}]\n"), &CTRS),
        // 1.6 alone cannot read it.
        ("no-host", format!("server = \"{gateway}\"\n"), &["ctr"]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_shows_each_hole_that_lint_names_and_no_other() {
    let node = Node::new().await;
    let host = node.origin.host();
    let canary = |command: &[String]| {
        let about = ["mirror-config", "canary", "--upstream", host, "--"].map(str::to_owned);
        let arguments = [&about[..], command].concat();
        countersign(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    for (kind, text, ctrs) in open_hosts(&node.url(), &node.origin.url) {
        let hosts = node.directory.path().join(kind).join("certs.d");
        std::fs::create_dir_all(hosts.join("_default")).unwrap();
        std::fs::write(hosts.join("_default/hosts.toml"), text).unwrap();
        let hosts = hosts.display().to_string();
        let lint = ["mirror-lint", &hosts, "--registry", &node.url(), "--config", &node.config()];
        exits(&countersign(&lint), 1, &[&format!("{kind}: ")]);
        for ctr in ctrs {
            exits(&canary(&node.containerd.puller(ctr, &hosts)), 1, &["OPEN: "]);
        }
    }
    let open = node.directory.path().join("registries.conf");
    let mirror = format!(
        "[[registry.mirror]]\nlocation = \"{}/origin.example\"\ninsecure = true\n",
        node.gateway.registry
    );
    std::fs::write(&open, format!("[[registry]]\nlocation = \"{host}\"\n{mirror}")).unwrap();
    let lint =
        ["mirror-lint", &open.display().to_string(), "--registry", &node.url(), "--config", &node.config()];
    exits(&countersign(&lint), 1, &["not-blocked: ", "unlisted: "]);
    let etc = node.configure("podman").join("etc/containers");
    let (closed, policy) = (etc.join("registries.conf.d/99-countersign.conf"), etc.join("policy.json"));
    exits(&canary(&node.podman(&open, &policy)), 1, &["OPEN: "]);
    exits(&canary(&node.podman(&closed, &policy)), 0, &["denied: "]);

    let hosts = node.configure("containerd").join("etc/containerd/certs.d").display().to_string();
    for ctr in CTRS {
        exits(&canary(&node.containerd.puller(ctr, &hosts)), 0, &["denied: "]);
    }
}
