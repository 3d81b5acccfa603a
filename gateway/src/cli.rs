//! The command line.

mod cache;
mod input;
mod man;
mod migrate;
mod mirror_config;
mod mirror_lint;
mod object;
mod policy;
mod policy_test;
mod reached;
mod serve;
mod storage;
mod tenants;
mod verify;
mod verify_bundle;
mod webhooks;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::cue::sandbox;
use crate::kubernetes::crds;

/// The answer to every question that a command is asked: exit codes 0, 1 and 2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// Yes, or done.
    Yes,
    /// No.
    No,
    /// It could not be told, or the question was wrong.
    Unclear,
}

impl From<Answer> for ExitCode {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Yes => Self::from(0),
            Answer::No => Self::from(1),
            Answer::Unclear => Self::from(2),
        }
    }
}

/// A registry that serves, and a webhook that admits, only images that your policies allow.
#[derive(Debug, Parser)]
#[command(
    name = "countersign",
    version,
    after_help = "Exit codes: 0 yes, 1 no, 2 could not tell or bad usage."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway: the pull door, the admission webhook and the admin listener.
    Serve {
        /// The configuration, in YAML. Without it the embedded defaults are used. Single values can be set by
        /// COUNTERSIGN__REGISTRY__LISTEN and the like.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Verify one image as the gateway would, and say why or why not.
    Verify(verify::Verify),
    /// Verify one Sigstore bundle, as the conformance suite of Sigstore clients asks.
    VerifyBundle(verify_bundle::VerifyBundle),
    /// Give up rights and become the `cue` program, for one question.
    #[command(hide = true)]
    CueSandbox {
        /// The program.
        program: PathBuf,
        /// The only directory that it may read.
        directory: PathBuf,
        /// What it is started with.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Print the definitions of the kinds that policies are written as in a cluster, for `kubectl apply -f -`.
    Crds,
    /// Print what tells an API server to ask this gateway, for `kubectl apply -f -`.
    Webhooks(webhooks::Print),
    /// Work on policy files.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Look at what a gateway that runs remembers, and have it forgotten, at every replica.
    #[command(subcommand)]
    Cache(cache::Cache),
    /// Tell why a gateway that runs said what it said: by the name of a decision, of an object or of an image.
    Why(why::Why),
    /// Look through the bytes that a gateway keeps.
    #[command(subcommand)]
    Storage(storage::Storage),
    /// Tell what each tenant of a gateway that runs uses.
    Tenants(tenants::Tenants),
    /// Write the configuration of nodes that leaves them no way but through the gateway.
    #[command(subcommand)]
    MirrorConfig(mirror_config::MirrorConfig),
    /// Read the configuration of nodes, and name every way past the gateway.
    MirrorLint(mirror_lint::MirrorLint),
    /// Read what policy-controller's installation is, say what will hold, and how to change over.
    Migrate(migrate::Migrate),
    /// Write the manual, a page for each command.
    Man(man::Man),
    /// Print what completes commands in a shell.
    Completions(man::Completions),
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Check policy files, in the webhook's words.
    Check(policy::Check),
    /// Run the tables that a team keeps beside its policies: images, evidence, and what policies are to say.
    Test(policy_test::Test),
}

/// How a command answers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
enum Output {
    /// For a person.
    #[default]
    Text,
    /// For a machine.
    Json,
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    // Whoever builds a TLS configuration here names the provider; this is for what is built elsewhere.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            drop(error.print());
            return if error.use_stderr() { Answer::Unclear } else { Answer::Yes }.into();
        }
    };
    match command(arguments.command) {
        Ok(answer) => answer,
        Err(error) => {
            complain(&format!("{error:#}"));
            Answer::Unclear
        }
    }
    .into()
}

fn command(command: Command) -> anyhow::Result<Answer> {
    match command {
        Command::Serve { config } => serve::serve(config.as_deref()),
        Command::Verify(arguments) => verify::verify(&arguments),
        Command::VerifyBundle(arguments) => verify_bundle::verify_bundle(&arguments),
        Command::Cache(command) => cache::cache(&command),
        Command::Why(arguments) => why::why(&arguments),
        Command::Storage(command) => storage::storage(&command),
        Command::Tenants(arguments) => tenants::tenants(&arguments),
        Command::Policy(PolicyCommand::Check(arguments)) => policy::check(&arguments),
        Command::Policy(PolicyCommand::Test(arguments)) => policy_test::test(&arguments),
        Command::Crds => {
            say(crds::yaml()?.trim_end());
            Ok(Answer::Yes)
        }
        Command::Webhooks(arguments) => webhooks::print(arguments),
        Command::MirrorConfig(arguments) => mirror_config::mirror_config(&arguments),
        Command::MirrorLint(arguments) => mirror_lint::mirror_lint(&arguments),
        Command::Migrate(arguments) => migrate::migrate(&arguments),
        Command::Man(arguments) => man::man(&arguments, Arguments::command()),
        Command::Completions(arguments) => man::completions(&arguments, Arguments::command()),
        Command::CueSandbox { program, directory, arguments } => {
            Err(sandbox::enter(&program, &directory, &arguments))
        }
    }
}

#[expect(clippy::print_stderr, reason = "the command line's own voice")]
fn complain(text: &str) {
    eprintln!("countersign: {text}");
}

#[expect(clippy::print_stdout, reason = "the command line's own voice")]
fn say(text: &str) {
    println!("{text}");
}
