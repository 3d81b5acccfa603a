//! `countersign webhooks`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::{Answer, say};
use crate::config;
use crate::kubernetes::webhooks::{At, Webhooks};

#[derive(Args, Debug)]
pub(super) struct Print {
    /// The Service that leads to the gateway's admission door, in the namespace of the installation.
    #[arg(long, value_name = "NAME", default_value = "countersign", conflicts_with = "url")]
    service: String,
    /// Where the admission door is, for an API server that reaches it without a Service.
    #[arg(long, value_name = "https://HOST:PORT")]
    url: Option<String>,
    /// The certificate authorities of the gateway's certificate, in PEM. Without, the gateway fills in those of its own.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The namespace of the installation. Nothing in it is asked about, nor in kube-system.
    #[arg(long, value_name = "NAME", default_value = "cosign-system")]
    namespace: String,
    /// What the configurations are called, and the webhook in messages [default: what the configuration says, else
    /// policy.sigstore.dev].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The gateway's configuration, for the kinds that it knows the images of besides those of Kubernetes.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn print(arguments: Print) -> anyhow::Result<Answer> {
    let Print { service, url, ca, namespace, name, config } = arguments;
    let admission = match &config {
        Some(path) => config::load(Some(path), std::env::vars())?,
        None => config::load(None, std::iter::empty())?,
    }
    .admission;
    let read = |path: PathBuf| std::fs::read_to_string(&path).with_context(|| path.display().to_string());
    let at = url.map_or(At::Service(service), At::Url);
    let name = name.unwrap_or(admission.webhook);
    let webhooks = Webhooks { name, at, ca: ca.map(read).transpose()?, namespace, kinds: admission.kinds };
    say(webhooks.yaml()?.trim_end());
    Ok(Answer::Yes)
}
