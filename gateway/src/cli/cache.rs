//! `countersign cache`: what a gateway that runs remembers, shown and forgotten.

mod told;

use anyhow::bail;
use clap::{Args, Subcommand};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::reached::Reached;
use super::{Answer, Output, complain, say};

/// What is done to what is remembered.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Exit codes: 0 done or found, 1 nothing is remembered, 2 could not tell or bad usage."
)]
pub(super) enum Cache {
    /// Show what is remembered of an image: lists of signature material and their age, signers, verdicts, tags, links
    /// and blobs, and which tier has each.
    Inspect(Inspect),
    /// Forget lists of signature material, also the empty ones, tags, links and verdicts, here and at every replica.
    ///
    /// Whatever is forgotten is found again when it is needed, and judged by the policies in force: a purge never
    /// allows anything. Replicas that are away forget when they are back.
    Purge(Purge),
}

/// Which image.
#[derive(Args, Debug)]
pub(super) struct Inspect {
    /// The image: NAME for all images of a repository, NAME:TAG, NAME@DIGEST, or a digest alone. Without one it is told
    /// how much is remembered in memory.
    #[arg(value_name = "IMAGE|DIGEST")]
    image: Option<String>,
    /// Of which tenant, where the gateway has several.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    #[command(flatten)]
    gateway: Reached,
    /// How to answer.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// What is forgotten.
#[derive(Args, Debug)]
pub(super) struct Purge {
    #[command(flatten)]
    target: Target,
    /// Also remove the bytes: of an image by digest its manifest, blobs and signatures; of a digest itself; or all.
    /// They are fetched again when they are wanted, if the registry is there.
    #[arg(long)]
    bytes: bool,
    #[command(flatten)]
    gateway: Reached,
    /// How to answer.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
struct Target {
    /// An image: NAME for all of a repository, NAME:TAG for what that is remembered to mean, or NAME@DIGEST.
    #[arg(long, conflicts_with_all = ["digest", "all"])]
    image: Option<String>,
    /// A digest, in whichever repositories it is.
    #[arg(long, conflicts_with = "all")]
    digest: Option<String>,
    /// All that is remembered for this tenant; with an image or a digest, that alone. Where the gateway has no tenants there
    /// is one: default.
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    tenant: Option<String>,
    /// Everything, of all tenants, also what cryptography said of signatures.
    #[arg(long)]
    all: bool,
}

/// Asks the gateway.
pub(super) fn cache(command: &Cache) -> anyhow::Result<Answer> {
    match command {
        Cache::Inspect(arguments) => inspect(arguments),
        Cache::Purge(arguments) => purge(arguments),
    }
}

fn inspect(arguments: &Inspect) -> anyhow::Result<Answer> {
    let Some(image) = &arguments.image else {
        return summary(arguments);
    };
    let kind = if image.starts_with("sha256:") { "digest" } else { "image" };
    let encoded = percent_encoding::utf8_percent_encode(image, percent_encoding::NON_ALPHANUMERIC);
    let path = format!("/cache?{kind}={encoded}{}", of_tenant(arguments, '&'));
    let (status, report) = arguments.gateway.ask(Method::GET, &path, &Value::Null)?;
    let found = match status {
        StatusCode::OK => true,
        StatusCode::NOT_FOUND => false,
        other => bail!("the gateway answered {other}"),
    };
    match arguments.output {
        Output::Json => say(&report.to_string()),
        Output::Text if found => told::report(&report).iter().for_each(|line| say(line)),
        Output::Text => complain(&format!("{image}: nothing is remembered")),
    }
    Ok(if found { Answer::Yes } else { Answer::No })
}

/// The part of a query that says whose memory is meant.
fn of_tenant(arguments: &Inspect, after: char) -> String {
    let tenant = arguments.tenant.as_ref().map(|name| {
        let name = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
        format!("{after}tenant={name}")
    });
    tenant.unwrap_or_default()
}

fn summary(arguments: &Inspect) -> anyhow::Result<Answer> {
    let (status, summary) =
        arguments.gateway.ask(Method::GET, &format!("/cache{}", of_tenant(arguments, '?')), &Value::Null)?;
    if status != StatusCode::OK {
        bail!("the gateway answered {status}");
    }
    match arguments.output {
        Output::Json => say(&summary.to_string()),
        Output::Text => told::summary(&summary).iter().for_each(|line| say(line)),
    }
    Ok(Answer::Yes)
}

fn purge(arguments: &Purge) -> anyhow::Result<Answer> {
    let target = &arguments.target;
    let asked = json!({
        "image": target.image, "digest": target.digest, "tenant": target.tenant, "all": target.all,
        "bytes": arguments.bytes,
    });
    let (status, purged) = arguments.gateway.ask(Method::POST, "/purge", &asked)?;
    if status != StatusCode::OK {
        bail!("the gateway answered {status}");
    }
    match arguments.output {
        Output::Json => say(&purged.to_string()),
        Output::Text => {
            say(&told::purged(&purged));
            if purged["told"] == json!(false) {
                complain("Redis could not be told: the other replicas are as soon as it can");
            }
        }
    }
    Ok(if told::is_nothing(&purged) { Answer::No } else { Answer::Yes })
}
