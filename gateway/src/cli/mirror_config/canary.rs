//! `countersign mirror-config canary`: whether a node that asks for what is always denied gets it from somebody else.

use std::io::{Read as _, Seek as _};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use oci::{Name, TagOrDigest};
use policies::printable;
use tokio::process::Command;
use upstream::Origin;

use super::Registries;
use crate::cli::{Answer, complain, say};
use crate::mirror::{authority, spelled};
use crate::place::{CANARY, Unrouted};

/// Which canaries, and who is to pull them.
#[derive(Args, Debug)]
pub(in crate::cli) struct Canary {
    /// The gateway, whose own canary is then pulled too, so that its denial is seen where no mirror is in between.
    #[arg(long, value_name = "URL")]
    registry: Option<Origin>,
    #[command(flatten)]
    registries: Registries,
    /// A canary besides those that the configuration names; may be given again. Only an image that the registry has
    /// shows that a node falls back to it: few have a countersign/canary.
    #[arg(long = "image", value_name = "IMAGE")]
    images: Vec<oci::Reference>,
    /// How long one pull may take.
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    timeout: jiff::SignedDuration,
    /// Ask again and again, so long apart, until a pull succeeds.
    #[arg(long, value_name = "DURATION")]
    every: Option<jiff::SignedDuration>,
    /// The command that pulls, to which the image is added.
    #[arg(last = true, value_name = "COMMAND", default_values = ["crictl", "pull"])]
    command: Vec<String>,
}

/// What came of one pull.
enum Pulled {
    /// It succeeded.
    Open,
    /// It failed, and the reason is a denial.
    Denied,
    /// It failed for another reason, or did not end: it shows nothing.
    Unclear(String),
}

/// The most bytes of what a client says that are read.
const WORDS: u64 = 64 * 1024;

/// Pulls every canary.
pub(in crate::cli) fn canary(arguments: &Canary) -> anyhow::Result<Answer> {
    let timeout = Duration::try_from(arguments.timeout).context("--timeout")?;
    let every = arguments.every.map(Duration::try_from).transpose().context("--every")?;
    let images = arguments.images()?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        loop {
            let answer = round(&images, &arguments.command, timeout).await?;
            match every {
                Some(pause) if answer != Answer::No => tokio::time::sleep(pause).await,
                Some(_) | None => return Ok(answer),
            }
        }
    })
}

impl Canary {
    /// Every canary, as a client is asked for it.
    fn images(&self) -> anyhow::Result<Vec<String>> {
        let own = self.registry.iter().map(authority);
        let upstreams = self.registries.named()?;
        let hosts = own.chain(upstreams.iter().flat_map(|registry| &registry.names).map(spelled));
        let reserved = hosts.map(|host| format!("{host}/{CANARY}:denied"));
        let configured = self.registries.canaries()?;
        let configured = configured.iter().map(|name| image(name, ":latest"));
        let named = self.images.iter().map(|reference| match reference.version() {
            TagOrDigest::Tag(tag) => image(reference.name(), &format!(":{}", tag.as_str())),
            TagOrDigest::Digest(digest) => image(reference.name(), &format!("@{digest}")),
        });
        Ok(reserved.chain(configured).chain(named).collect())
    }
}

fn image(name: &Name, version: &str) -> String {
    format!("{}/{}{version}", spelled(&name.host), name.repository)
}

async fn round(images: &[String], command: &[String], timeout: Duration) -> anyhow::Result<Answer> {
    let mut answer = Answer::Yes;
    for image in images {
        match pull(image, command, timeout).await? {
            Pulled::Denied => say(&format!("denied: {image}")),
            Pulled::Open => {
                complain(&format!("OPEN: {image} was pulled: this node goes round the gateway"));
                answer = Answer::No;
            }
            Pulled::Unclear(why) => {
                complain(&format!("could not tell: {image}: {why}"));
                answer = if answer == Answer::No { Answer::No } else { Answer::Unclear };
            }
        }
    }
    Ok(answer)
}

async fn pull(image: &str, command: &[String], timeout: Duration) -> anyhow::Result<Pulled> {
    let (program, arguments) = command.split_first().context("no command to pull with")?;
    // A file, not a pipe: whatever the client starts may hold on to a pipe after it has ended.
    let mut words = tempfile::tempfile()?;
    let mut client = Command::new(program)
        .args(arguments)
        .arg(image)
        .stdin(Stdio::null())
        .stdout(words.try_clone()?)
        .stderr(words.try_clone()?)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| program.clone())?;
    let Ok(ended) = tokio::time::timeout(timeout, client.wait()).await else {
        client.kill().await?;
        return Ok(Pulled::Unclear("the pull did not end in time".to_owned()));
    };
    if ended?.success() {
        return Ok(Pulled::Open);
    }
    words.rewind()?;
    let mut said = Vec::new();
    words.take(WORDS).read_to_end(&mut said)?;
    let said = String::from_utf8_lossy(&said);
    Ok(if is_denial(&said) { Pulled::Denied } else { Pulled::Unclear(last_line(&said)) })
}

/// Whether a client failed because it was denied. A client that cannot reach its runtime, or the gateway, fails too.
/// containerd shows the status alone, others the gateway's words.
fn is_denial(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    said.contains("403 forbidden") || said.contains(&Unrouted::Canary.to_string())
}

fn last_line(said: &str) -> String {
    let line =
        said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it failed and said nothing");
    printable(line)
}
