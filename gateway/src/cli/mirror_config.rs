//! `countersign mirror-config`.

mod canary;
mod place;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use oci::{Host, Name};
use upstream::Origin;

use super::{Answer, complain, input, say};
use crate::config::{self, Config};
use crate::mirror::Registry;
use crate::mirror::write::{Client, File, Mirror, Runtime, Written};

/// What is configured.
#[derive(Debug, Subcommand)]
pub(super) enum MirrorConfig {
    /// containerd: a hosts.toml for each registry, and one for all others.
    Containerd(Wanted),
    /// CRI-O: registries.conf and policy.json.
    Crio(Wanted),
    /// podman, skopeo and buildah: registries.conf and policy.json.
    Podman(Wanted),
    /// Docker Engine from 28, with the containerd image store: hosts.toml files and daemon.json.
    Docker(DockerWanted),
    /// k3s and RKE2: registries.yaml, and that there is no default endpoint.
    K3s(Wanted),
    /// Talos Linux: a patch of the machine configuration.
    Talos(Wanted),
    /// Ask this node's runtime to pull what the gateway always denies, and fail if it can.
    Canary(canary::Canary),
}

/// Which registries are meant.
#[derive(Args, Debug)]
pub(super) struct Registries {
    /// A registry that images are named by; may be given again. Without it those of the configuration are used.
    #[arg(long = "upstream", value_name = "HOST")]
    upstreams: Vec<Host>,
    /// The gateway's configuration, for its upstreams and canaries. Without it the embedded defaults are used.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The configuration that is wanted.
#[derive(Args, Debug)]
pub(super) struct Wanted {
    /// The gateway as nodes reach it: http:// or https://, a host and a port.
    #[arg(long, value_name = "URL")]
    registry: Origin,
    #[command(flatten)]
    registries: Registries,
    /// The certificate of the authority that vouches for the gateway's, as PEM, where nodes do not trust it anyway.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The certificate that nodes show to the gateway, as PEM.
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// Its private key, as PEM.
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
    /// Write nothing, and exit with 1, where a hole would remain.
    #[arg(long)]
    strict: bool,
    /// Write the files below this directory, as they lie on a node, instead of printing them. None is overwritten that
    /// says something else.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// The same for Docker Engine, which has two ways.
#[derive(Args, Debug)]
pub(super) struct DockerWanted {
    #[command(flatten)]
    wanted: Wanted,
    /// For engines before 28, or without the containerd image store. It cannot be closed: the engine goes on to Docker
    /// Hub whatever the mirror says.
    #[arg(long)]
    registry_mirrors: bool,
}

/// Writes the configuration, and says what it cannot do.
pub(super) fn mirror_config(command: &MirrorConfig) -> anyhow::Result<Answer> {
    let (runtime, wanted) = match command {
        MirrorConfig::Containerd(wanted) => (Runtime::Containerd, wanted),
        MirrorConfig::Crio(wanted) => (Runtime::Crio, wanted),
        MirrorConfig::Podman(wanted) => (Runtime::Podman, wanted),
        MirrorConfig::Docker(docker) if docker.registry_mirrors => (Runtime::DockerMirrors, &docker.wanted),
        MirrorConfig::Docker(docker) => (Runtime::Docker, &docker.wanted),
        MirrorConfig::K3s(wanted) => (Runtime::K3s, wanted),
        MirrorConfig::Talos(wanted) => (Runtime::Talos, wanted),
        MirrorConfig::Canary(arguments) => return canary::canary(arguments),
    };
    let written = wanted.mirror()?.write(runtime);
    written.holes.iter().for_each(|hole| complain(&format!("hole: {hole}")));
    if wanted.strict && !written.holes.is_empty() {
        complain("nothing was written: a hole would remain");
        return Ok(Answer::No);
    }
    match &wanted.output {
        Some(directory) => {
            place::below(directory, &written.files)?;
            let names = written.files.iter().map(|file| directory.join(&file.path).display().to_string());
            names.for_each(|name| say(&name));
        }
        None => print(&written),
    }
    written.conditions.iter().for_each(|condition| complain(&format!("note: {condition}")));
    Ok(Answer::Yes)
}

impl Registries {
    /// The registries, by every name that images have for them.
    pub(super) fn named(&self) -> anyhow::Result<Vec<Registry>> {
        if !self.upstreams.is_empty() {
            return Ok(self.upstreams.iter().map(|host| Registry { names: vec![host.clone()] }).collect());
        }
        let upstreams = self.configuration()?.upstreams.into_iter();
        let names =
            upstreams.map(|upstream| std::iter::once(upstream.host).chain(upstream.aliases).collect());
        Ok(names.map(|names| Registry { names }).collect())
    }

    /// The canaries that the configuration names.
    fn canaries(&self) -> anyhow::Result<Vec<Name>> {
        let named = self.config.is_some().then(|| self.configuration()).transpose()?;
        Ok(named.map(|config| config.registry.canaries).unwrap_or_default())
    }

    fn configuration(&self) -> anyhow::Result<Config> {
        Ok(match &self.config {
            Some(path) => config::load(Some(path), std::env::vars())?,
            None => config::load(None, std::iter::empty())?,
        })
    }
}

impl Wanted {
    fn mirror(&self) -> anyhow::Result<Mirror> {
        let pem = |path: &PathBuf| -> anyhow::Result<String> {
            let text = input::text(path)?;
            anyhow::ensure!(text.contains("-----BEGIN "), "{}: no PEM", path.display());
            Ok(text)
        };
        let client = match (&self.client_cert, &self.client_key) {
            (Some(certificate), Some(key)) => Some(Client { certificate: pem(certificate)?, key: pem(key)? }),
            _ => None,
        };
        Ok(Mirror {
            registry: self.registry.clone(),
            upstreams: self.registries.named()?,
            ca: self.ca.as_ref().map(pem).transpose().context("--ca")?,
            client,
        })
    }
}

/// One file as it is, several with their names before them. A file that is nothing but a key is not shown.
fn print(written: &Written) {
    let is_key = |file: &&File| file.path.ends_with("/client.key");
    let shown: Vec<_> = written.files.iter().filter(|file| !is_key(file)).collect();
    for file in &shown {
        if shown.len() > 1 {
            say(&format!("==> /{} <==", file.path));
        }
        say(&file.text);
    }
    for file in written.files.iter().filter(is_key) {
        complain(&format!("note: /{} is to hold the key, which --output writes", file.path));
    }
}
