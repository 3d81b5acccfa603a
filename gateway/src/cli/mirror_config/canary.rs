//! `countersign mirror-config canary`: whether a node that asks for what is always denied gets it from somebody else.

use std::io::Read as _;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
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
    /// An image that registry.canaries names; may be given again. Only an image that the registry has shows that a node
    /// falls back to it: few have a countersign/canary.
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

/// The most of a client's last words that is kept.
const WORDS: usize = 64 * 1024;

/// Pulls every canary.
pub(in crate::cli) fn canary(arguments: &Canary) -> anyhow::Result<Answer> {
    let timeout = Duration::try_from(arguments.timeout).context("--timeout")?;
    let every = arguments.every.map(Duration::try_from).transpose().context("--every")?;
    let images = arguments.images()?;
    loop {
        let answer = round(&images, &arguments.command, timeout)?;
        match every {
            Some(pause) if answer != Answer::No => std::thread::sleep(pause),
            Some(_) | None => return Ok(answer),
        }
    }
}

impl Canary {
    fn images(&self) -> anyhow::Result<Vec<String>> {
        let own = self.registry.iter().map(authority);
        let upstreams = self.registries.named()?;
        let hosts = own.chain(upstreams.iter().flat_map(|registry| &registry.names).map(spelled));
        let reserved = hosts.map(|host| format!("{host}/{CANARY}:denied"));
        Ok(reserved
            .chain(self.images.iter().map(|image| {
                let name = image.name();
                format!(
                    "{}/{}:{}",
                    spelled(&name.host),
                    name.repository,
                    image.tag().map_or("latest", |tag| tag.as_str())
                )
            }))
            .collect())
    }
}

fn round(images: &[String], command: &[String], timeout: Duration) -> anyhow::Result<Answer> {
    let mut answer = Answer::Yes;
    for image in images {
        match pull(image, command, timeout)? {
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

fn pull(image: &str, command: &[String], timeout: Duration) -> anyhow::Result<Pulled> {
    let (program, arguments) = command.split_first().context("no command to pull with")?;
    let mut words = tempfile::tempfile()?;
    let mut client = Command::new(program)
        .args(arguments)
        .arg(image)
        .stdin(Stdio::null())
        .stdout(words.try_clone()?)
        .stderr(words.try_clone()?)
        .spawn()
        .with_context(|| program.clone())?;
    let Some(status) = wait(&mut client, timeout)? else {
        return Ok(Pulled::Unclear("the pull did not end in time".to_owned()));
    };
    if status.success() {
        return Ok(Pulled::Open);
    }
    std::io::Seek::rewind(&mut words)?;
    let mut said = Vec::new();
    words.take(WORDS as u64).read_to_end(&mut said)?;
    let said = String::from_utf8_lossy(&said);
    Ok(if is_denial(&said) { Pulled::Denied } else { Pulled::Unclear(last_line(&said)) })
}

/// Waits for a client, and ends it where it takes too long.
fn wait(client: &mut std::process::Child, timeout: Duration) -> std::io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(status) = client.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            client.kill()?;
            client.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
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
    policies::printable(line).to_string()
}
