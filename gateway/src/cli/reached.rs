//! A gateway that runs, as commands reach it.

mod client;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use http::{Method, StatusCode};
use serde_json::Value;

use self::client::{Client, Gateway};
use crate::config::{self, short_secret};

/// How the gateway is reached.
#[derive(Args, Debug)]
pub(super) struct Reached {
    /// The configuration of the gateway, which says where its socket is. Without it the default one is tried.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The address of its admin listener, in place of the socket.
    #[arg(long, value_name = "HOST:PORT", requires = "token_file", conflicts_with = "config")]
    address: Option<String>,
    /// A file with the token that admin.tokenFile names at the gateway.
    #[arg(long, value_name = "FILE", requires = "address")]
    token_file: Option<PathBuf>,
}

impl Reached {
    /// The gateway's answer, where it is one of JSON.
    pub(super) fn ask(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let client = match (&self.address, &self.token_file) {
            (Some(address), Some(file)) => {
                let token =
                    short_secret(file).with_context(|| format!("--token-file: {}", file.display()))?;
                Client { gateway: Gateway::Address(address.clone()), token: Some(token) }
            }
            (_, _) => Client { gateway: Gateway::Socket(socket(self.config.as_deref())?), token: None },
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(client.ask(method, path, body))
    }
}

fn socket(path: Option<&Path>) -> anyhow::Result<PathBuf> {
    Ok(config::load(path, std::env::vars())?.admin.socket)
}
