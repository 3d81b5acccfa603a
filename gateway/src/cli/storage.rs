//! `countersign storage`: the bytes that a gateway keeps, hashed again and told apart.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytesize::ByteSize;
use cache::{Audit, Audited, Finding};
use clap::{Args, Subcommand};
use http::{Method, StatusCode};
use policies::printable;
use serde_json::{Value, json};

use super::reached::Reached;
use super::{Answer, Output, complain, say};
use crate::config::{self, Config};

/// How often it is said how far it is.
const EVERY: Duration = Duration::from_secs(5);

/// What is done with the bytes that are kept.
#[derive(Debug, Subcommand)]
#[command(after_help = "Exit codes: 0 all is right, 1 something is not, 2 could not tell or bad usage.")]
pub(super) enum Storage {
    /// Hash everything that is kept, and name what is not what its name says. A gateway may run meanwhile.
    ///
    /// A gateway hashes what it finds at start before it serves it, and again what was changed since. This finds what a
    /// disk does to bytes without telling, before somebody wants them.
    Verify(Verify),
    /// Say how much is kept, of what and for which repositories, as a gateway that runs knows it.
    Usage(Usage),
}

/// What is looked through.
#[derive(Args, Debug)]
pub(super) struct Verify {
    /// The configuration of the gateway, which says where its storage is. Without it the default one is looked at.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The storage itself, in place of a configuration.
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "config")]
    path: Option<PathBuf>,
    /// The store of this tenant, which has one of its own (`quotas.disk`), in place of the one that all others share.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Remove what is wrong. It is fetched again when somebody wants it.
    #[arg(long)]
    repair: bool,
    /// How to answer.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Whose usage.
#[derive(Args, Debug)]
pub(super) struct Usage {
    #[command(flatten)]
    gateway: Reached,
    /// Of which tenant, where the gateway has several.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// How to answer.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Looks through what is kept.
pub(super) fn storage(command: &Storage) -> anyhow::Result<Answer> {
    match command {
        Storage::Verify(arguments) => verify(arguments),
        Storage::Usage(arguments) => usage(arguments),
    }
}

fn verify(arguments: &Verify) -> anyhow::Result<Answer> {
    let path = match (&arguments.path, &arguments.tenant) {
        (Some(path), None) => path.clone(),
        (Some(path), Some(tenant)) => path.join(config::STORES).join(tenant),
        (None, tenant) => {
            let config = config::load(arguments.config.as_deref(), std::env::vars())?;
            store(&config, tenant.as_deref())?
        }
    };
    if !path.is_dir() {
        bail!("{}: there is no such directory", path.display());
    }
    let mut said = Instant::now();
    let mut wrong = Vec::new();
    let each = |audited: &Audited| {
        if let Some(line) = told(audited) {
            complain(&line);
            wrong.push(json!({"digest": audited.digest, "finding": line}));
        }
        if said.elapsed() >= EVERY {
            said = Instant::now();
            complain(&format!("{} of {}", ByteSize(audited.bytes), ByteSize(audited.of)));
        }
    };
    let audit = cache::audit(&path, arguments.repair, each);
    let audit = audit.with_context(|| path.display().to_string())?;
    let Audit { files, bytes, changed, removed, unreadable } = audit;
    match arguments.output {
        Output::Json => say(&json!({
            "files": files, "bytes": bytes, "changed": changed, "removed": removed, "unreadable": unreadable, "wrong": wrong,
        })
        .to_string()),
        Output::Text => say(&format!(
            "{files} files, {}: {changed} changed, {removed} removed, {unreadable} unreadable",
            ByteSize(bytes)
        )),
    }
    Ok(match (changed, unreadable) {
        (0, 0) => Answer::Yes,
        (0, _) => Answer::Unclear,
        (_, _) => Answer::No,
    })
}

/// Where the content is that this tenant has to itself; that of all others without one.
fn store(config: &Config, tenant: Option<&str>) -> anyhow::Result<PathBuf> {
    let Some(name) = tenant else { return Ok(config.storage.path.clone()) };
    let named = config.tenants.iter().flatten().find(|tenant| tenant.name.name() == name);
    let named = named.with_context(|| format!("there is no tenant {name:?} in the configuration"))?;
    named.own_store(&config.storage.path).with_context(|| {
        format!("tenant {name} has no store of its own (quotas.disk): its content is in the common one, which is looked through without --tenant")
    })
}

/// What there is to say of one file, if it is not right.
fn told(audited: &Audited) -> Option<String> {
    let what = match &audited.finding {
        Finding::Right | Finding::Gone => return None,
        Finding::Changed => "has changed".to_owned(),
        Finding::Removed => "has changed, and was removed".to_owned(),
        Finding::Unreadable(error) => format!("cannot be told: {error}"),
    };
    Some(format!("{}: {what}", audited.digest))
}

fn usage(arguments: &Usage) -> anyhow::Result<Answer> {
    let of_tenant = arguments.tenant.as_ref().map(|name| {
        let name = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
        format!("?tenant={name}")
    });
    let path = format!("/storage{}", of_tenant.unwrap_or_default());
    let (status, usage) = arguments.gateway.ask(Method::GET, &path, &Value::Null)?;
    if status != StatusCode::OK {
        bail!("the gateway answered {status}");
    }
    match arguments.output {
        Output::Json => say(&usage.to_string()),
        Output::Text => lines(&usage).iter().for_each(|line| say(line)),
    }
    Ok(Answer::Yes)
}

/// What the gateway answered, for a person. The names in it were chosen by strangers.
fn lines(usage: &Value) -> Vec<String> {
    let bytes = |value: &Value| ByteSize(value.as_u64().unwrap_or_default()).to_string();
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let each = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| printable(value.as_str().unwrap_or_default());
    let limit = usage["limit"]
        .as_u64()
        .map_or_else(|| "no limit".to_owned(), |limit| format!("limit {}", ByteSize(limit)));
    let mut lines = vec![limit];
    for part in ["documents", "layers"] {
        let of = &usage[part];
        lines.push(format!("{part}: {} in {} files", bytes(&of["bytes"]), number(&of["files"])));
    }
    for upstream in each(&usage["upstreams"]) {
        let (name, tenant) = (text(&upstream["upstream"]), text(&upstream["tenant"]));
        lines.push(format!(
            "{name}, tenant {tenant}: {} in {} files",
            bytes(&upstream["bytes"]),
            number(&upstream["files"])
        ));
        for of in each(&upstream["repositories"]) {
            lines.push(format!(
                "  {}: {} in {} files",
                text(&of["repository"]),
                bytes(&of["bytes"]),
                number(&of["files"])
            ));
        }
        match number(&upstream["more"]) {
            0 => {}
            more => lines.push(format!("  and {more} more")),
        }
    }
    match number(&usage["unlinkedBytes"]) {
        0 => {}
        unlinked => lines.push(format!("{} of layers that no manifest is known to name", ByteSize(unlinked))),
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_told_a_line_each() {
        let usage = json!({
            "limit": null, "documents": {"files": 1, "bytes": 10}, "layers": {"files": 2, "bytes": 2048},
            "upstreams": [{"tenant": "default", "upstream": "a.example", "files": 3, "bytes": 2058, "more": 1,
                "repositories": [{"repository": "acme/app", "files": 3, "bytes": 2058}]}],
            "unlinkedBytes": 7,
        });
        let lines = lines(&usage);
        assert_eq!(lines.len(), 7, "{lines:?}");
        assert!(lines[4].starts_with("  acme/app: ") && lines[5] == "  and 1 more", "{lines:?}");
    }
}
