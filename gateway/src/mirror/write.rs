//! Writing: for each runtime, the files of a node that has no other way.

mod certs_d;
mod containers;
mod docker;
mod k3s;
mod talos;

use upstream::Origin;

use super::{Registry, authority, is_authentic, spelled};

/// What a node is to pull through, and what it is not to pull from.
#[derive(Clone, Debug)]
pub(crate) struct Mirror {
    /// The gateway.
    pub(crate) registry: Origin,
    /// The registries that images are named by.
    pub(crate) upstreams: Vec<Registry>,
    /// Who vouches for the gateway's certificate, as PEM, where the system does not.
    pub(crate) ca: Option<String>,
    /// How the node proves who it is.
    pub(crate) client: Option<Client>,
}

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub(crate) struct Client {
    /// The certificate chain, leaf first.
    pub(crate) certificate: String,
    /// The private key of the leaf.
    pub(crate) key: String,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// What is configured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Runtime {
    /// containerd, by its directory of hosts.
    Containerd,
    /// CRI-O.
    Crio,
    /// podman, skopeo and buildah.
    Podman,
    /// Docker Engine from 28 with the containerd image store, by its directory of hosts.
    Docker,
    /// Docker Engine by `registry-mirrors`, which it does not stop at.
    DockerMirrors,
    /// k3s and RKE2.
    K3s,
    /// Talos Linux.
    Talos,
}

/// The files, and what they cannot do.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// The files.
    pub(crate) files: Vec<File>,
    /// What stays open whatever the node does with them.
    pub(crate) holes: Vec<String>,
    /// What has to be true besides.
    pub(crate) conditions: Vec<String>,
}

/// A file of a node.
#[derive(Debug)]
pub(crate) struct File {
    /// Where it belongs, without the slash before it.
    pub(crate) path: String,
    /// What is in it.
    pub(crate) text: String,
    /// Whether it holds a key.
    pub(crate) secret: bool,
}

/// Where certificates are put, for runtimes that are told a path.
const TRUST: &str = "etc/countersign";

impl Mirror {
    /// The configuration of a runtime.
    pub(crate) fn write(&self, runtime: Runtime) -> Written {
        let mut written = match runtime {
            Runtime::Containerd => certs_d::containerd(self),
            Runtime::Crio | Runtime::Podman => containers::write(self, runtime),
            Runtime::Docker => docker::image_store(self),
            Runtime::DockerMirrors => docker::registry_mirrors(self),
            Runtime::K3s => k3s::write(self),
            Runtime::Talos => talos::write(self),
        };
        if !is_authentic(&self.registry) {
            written.holes.push(format!(
                "{} is plain HTTP and not on the node itself: whoever is on the way can answer in its place",
                self.registry
            ));
        }
        written.conditions.push(self.egress());
        written
    }

    /// The registries, as runtimes spell them.
    fn names(&self) -> impl Iterator<Item = String> {
        self.upstreams.iter().flat_map(|registry| &registry.names).map(spelled)
    }

    fn authority(&self) -> String {
        authority(&self.registry)
    }

    /// The certificates as files of their own, for runtimes that are told where they are.
    fn trust_files(&self) -> Vec<File> {
        self.trust_files_as(TRUST, "client.crt")
    }

    fn trust_files_as(&self, folder: &str, certificate: &str) -> Vec<File> {
        let file = |name: &str, text: &String, secret| File {
            path: format!("{folder}/{name}"),
            text: text.clone(),
            secret,
        };
        let mut files: Vec<File> = self.ca.iter().map(|ca| file("ca.crt", ca, false)).collect();
        if let Some(client) = &self.client {
            files.push(file(certificate, &client.certificate, false));
            files.push(file("client.key", &client.key, true));
        }
        files
    }

    /// What the network has to do, since a node's own configuration binds only what reads it.
    fn egress(&self) -> String {
        let mut origins: Vec<String> = Vec::new();
        for host in self.upstreams.iter().flat_map(|registry| &registry.names) {
            if host.is_docker_hub() {
                origins.extend(
                    ["registry-1.docker.io", "auth.docker.io", "production.cloudflare.docker.com"]
                        .map(str::to_owned),
                );
            } else {
                origins.push(host.to_string());
            }
        }
        format!(
            "egress: let nodes reach {} and no registry: deny them TCP to every address outside the cluster, or at least to \
             {}. Other clients on the node, a user's own configuration and static Pods are stopped by nothing else",
            self.authority(),
            origins.join(", ")
        )
    }
}

impl File {
    fn new(path: impl Into<String>, text: String) -> Self {
        Self { path: path.into(), text, secret: false }
    }
}

/// Where a node finds a file that is put below its root.
fn on_node(folder: &str, name: &str) -> String {
    format!("/{folder}/{name}")
}

/// The head of every file that can have one.
const HEAD: &str = "Written by `countersign mirror-config`; `countersign mirror-lint` finds what would be changed for the worse.";

/// Comments, a line each, before whatever a serialiser wrote.
fn commented(lines: &[&str], text: &str) -> String {
    let comments = std::iter::once(HEAD).chain(lines.iter().copied()).flat_map(str::lines);
    let comments: String = comments.map(|line| format!("# {line}\n")).collect();
    format!("{comments}{text}")
}

#[cfg(test)]
mod tests;
