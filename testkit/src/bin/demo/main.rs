//! `make demo`: an authority, a registry with images that it signed and images that it did not, Countersign in front of
//! both, and a stream of pulls and reviews. All of it on loopback; nothing of it outlives the program.

mod ask;
mod gateway;
mod scenes;
mod stage;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::ask::{Client, Given};
use crate::gateway::Gateway;
use crate::scenes::{Act, SCENES, Scene};
use crate::stage::Stage;

/// Countersign at work, with nothing but this machine.
///
/// Starts a signing authority, a registry and the gateway, and then pulls images through the gateway and asks its
/// webhook about Pods, until it is ended or has done all its rounds.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many times to go through all of the scenes; without end where it is 0.
    #[arg(long, default_value_t = 0)]
    rounds: u32,
    /// How long to rest after each scene, in milliseconds.
    #[arg(long, default_value_t = 700)]
    pause: u64,
    /// The gateway's program; the one beside this without it.
    #[arg(long)]
    countersign: Option<PathBuf>,
    /// The port of the gateway's pages and metrics; any that is free where it is 0.
    #[arg(long, default_value_t = 9090)]
    admin_port: u16,
}

/// What came of all that was asked.
#[derive(Debug, Default)]
struct Tally {
    allowed: u32,
    denied: u32,
    surprising: u32,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(Tally { surprising: 0, .. }) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprint_line(&format!("demo: {error:#}"));
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<Tally> {
    let directory = tempfile::tempdir()?;
    line("An authority, and a registry with images, some of which it signed …");
    let stage = Stage::set(directory.path()).await?;
    line("Countersign in front of it …");
    let gateway = Gateway::start(arguments.countersign, &stage, arguments.admin_port).await?;
    let client = gateway.client()?;
    line(&prologue(&gateway));
    let mut tally = Tally::default();
    let mut round = 0;
    while arguments.rounds == 0 || round < arguments.rounds {
        let played = play(&stage, &client, round, Duration::from_millis(arguments.pause), &mut tally);
        tokio::select! {
            played = played => played?,
            ended = tokio::signal::ctrl_c() => { ended?; break; }
        }
        round += 1;
    }
    line(&format!(
        "\n{} allowed, {} denied, {} other than the scene expects",
        tally.allowed, tally.denied, tally.surprising
    ));
    gateway.stop().await?;
    Ok(tally)
}

/// Goes through the scenes of a round.
async fn play(
    stage: &Stage,
    client: &Client,
    round: u32,
    pause: Duration,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    for scene in SCENES.iter().filter(|scene| scene.rounds.contains(&round)) {
        if let Some(news) = scene.news {
            line(&format!("\n  {news}"));
        }
        let given = match scene.act {
            Act::Pull => client.pull(scene.image).await?,
            Act::Review => client.review(scene.image).await?,
            Act::Sign => {
                stage.sign(scene.image);
                continue;
            }
        };
        tally.count(scene, &given);
        line(&told(scene, &given));
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

impl Tally {
    fn count(&mut self, scene: &Scene, given: &Given) {
        if given.allowed {
            self.allowed += 1;
        } else {
            self.denied += 1;
        }
        if scene.allowed.is_some_and(|expected| expected != given.allowed) {
            self.surprising += 1;
        }
    }
}

/// What there is to look at meanwhile.
fn prologue(gateway: &Gateway) -> String {
    let (registry, admin, page) = (gateway.registry, gateway.admin, gateway.page());
    format!(
        "\nIt is ready. While the scenes below play, in a browser or another terminal:\n\n  \
           {page}\n  \
           curl http://{admin}/metrics\n  \
           curl -i http://{registry}/v2/registry.example/acme/app/manifests/v1\n  \
           {}\n\nCtrl-C ends it, and leaves nothing behind.\n",
        gateway.inspect()
    )
}

/// One scene and how it ended, on a line or two.
fn told(scene: &Scene, given: &Given) -> String {
    let (sign, color) = if given.allowed { ("✓ allowed", "32") } else { ("✗ denied ", "31") };
    let sign =
        if std::io::stdout().is_terminal() { format!("\x1b[{color}m{sign}\x1b[0m") } else { sign.to_owned() };
    let act = if matches!(scene.act, Act::Pull) { "pull  " } else { "review" };
    let mut told = format!("{sign}  {act}  {:<36} {:>8.1?}  {}", scene.image, given.took, given.source);
    for why in &given.why {
        told.push_str("\n                     ");
        told.push_str(why);
    }
    if scene.allowed.is_some_and(|expected| expected != given.allowed) {
        told.push_str("\n                     this is not what the scene expects");
    }
    told
}

#[expect(clippy::print_stdout, reason = "it is a program to look at")]
fn line(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "it is a program of the command line")]
fn eprint_line(text: &str) {
    eprintln!("{text}");
}
