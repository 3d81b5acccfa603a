//! `countersign migrate`: from policy-controller's objects to our chart's values.
//!
//! It asks no cluster and changes none: it reads what `kubectl get … -o yaml` printed, says what will hold and what will be
//! decided otherwise, and prints the commands that change over, in an order in which something is always enforced.

mod commands;
mod differences;
mod installation;
mod objects;
mod selector;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use policies::{Document, External, Externals, PolicySet};
use serde_json::{Value, json};

use self::commands::Place;
use self::installation::Installation;
use self::objects::{Object, Objects};
use super::{Answer, Output, say};
use crate::clock::seconds_since_1970;

/// What was exported, and how it is told.
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLE)]
pub(super) struct Migrate {
    /// What `kubectl get … -o yaml` or `-o json` printed: policies and trust roots, the ConfigMaps, Secrets and Deployments of
    /// policy-controller's namespace, webhook configurations and namespaces, as many of them as there are. `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The namespace that policy-controller is in. Countersign is installed there too, since it has the Secrets that policies name.
    #[arg(long, value_name = "NAME", default_value = "cosign-system")]
    namespace: String,
    /// The Helm release that policy-controller is.
    #[arg(long, value_name = "NAME", default_value = "policy-controller")]
    release: String,
    /// Write the values for our chart here, instead of printing them.
    #[arg(long, value_name = "FILE")]
    values: Option<PathBuf>,
    /// How to answer.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

const EXAMPLE: &str = "\
Export what there is, and ask:

  kubectl get clusterimagepolicies,trustroots,namespaces,mutatingwebhookconfigurations,validatingwebhookconfigurations \\
    -o yaml > cluster.yaml
  kubectl -n cosign-system get configmaps,secrets,deployments -o yaml > installation.yaml
  countersign migrate cluster.yaml installation.yaml --values values.yaml

Exit codes: 0 everything means here what it means there; 1 something is refused, denies, or is decided otherwise; 2 it could
not be read.";

/// What is said of one object.
#[derive(Debug, Eq, PartialEq)]
enum Note {
    /// It cannot be stored here: what it covers is denied until it is written otherwise.
    Refused(String),
    /// It is in force and denies what it speaks of, because it cannot be judged by.
    Denies(String),
    /// It is decided otherwise than by policy-controller.
    Differs(String),
    /// Its author may not have meant it, or somebody has to do something.
    Look(String),
}

impl Note {
    fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Refused(text) => ("refused", text),
            Self::Denies(text) => ("denies", text),
            Self::Differs(text) => ("differs", text),
            Self::Look(text) => ("look", text),
        }
    }

    fn is_otherwise(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Denies(_) | Self::Differs(_) => true,
            Self::Look(_) => false,
        }
    }
}

/// An object, and what is said of it. It holds as it is where nothing is.
#[derive(Debug)]
struct Account {
    object: String,
    notes: Vec<Note>,
}

/// Reads, accounts, and prints.
pub(super) fn migrate(arguments: &Migrate) -> anyhow::Result<Answer> {
    let objects = Objects::read(&arguments.files)?;
    let mut accounts = of_policies(&objects);
    let installation = Installation::of(&objects, &arguments.namespace);
    accounts.extend(installation.accounts);
    anyhow::ensure!(
        !accounts.is_empty(),
        "nothing of policy-controller is in what was read; see `countersign migrate --help`"
    );
    let place = Place { release: &arguments.release, namespace: &arguments.namespace };
    let commands = place.commands();
    let values = serde_saphyr::to_string(&installation.values)?;
    if let Some(path) = &arguments.values {
        std::fs::write(path, &values).with_context(|| path.display().to_string())?;
    }
    match arguments.output {
        Output::Json => say(&json!({
            "objects": accounts.iter().map(account_json).collect::<Vec<_>>(),
            "namespaces": installation.namespaces,
            "values": installation.values,
            "commands": commands,
        })
        .to_string()),
        Output::Text => {
            accounts.iter().for_each(tell);
            say(&told_namespaces(installation.namespaces.as_deref()));
            if arguments.values.is_none() {
                say(&format!("\nvalues.yaml:\n\n{}", indented(&values)));
            }
            say(&format!("\nThen, in this order:\n\n{}", indented(&commands.join("\n"))));
        }
    }
    let otherwise = accounts.iter().any(|account| account.notes.iter().any(Note::is_otherwise));
    Ok(if otherwise { Answer::No } else { Answer::Yes })
}

/// What becomes of each policy and trust root, in the words that they would be refused or warned of with.
fn of_policies(objects: &Objects) -> Vec<Account> {
    let policies =
        objects.of("policy.sigstore.dev", &["ClusterImagePolicy", "TrustRoot"]).collect::<Vec<_>>();
    let named = loaded(&policies).0;
    // Of what else was exported only that is read which policies name.
    let companions = named.externals().filter_map(|external| match external {
        External::Secret(name) => objects.named("", "Secret", name),
        External::ConfigMap { name, .. } => objects.named("", "ConfigMap", name),
        External::Remote { .. } | External::Kms(_) => None,
    });
    let all = policies.iter().copied().chain(companions).collect::<Vec<_>>();
    let (set, problems) = loaded(&all);
    let now = i64::try_from(seconds_since_1970()).unwrap_or(i64::MAX);
    let warnings = set.warnings_at(now);
    let unusable = set.unusable().collect::<Vec<_>>();
    policies
        .iter()
        .map(|object| {
            let mut notes = Vec::new();
            let wrong = problems.iter().filter(|problem| problem.origin == object.origin());
            notes.extend(wrong.map(|problem| Note::Refused(problem.message.clone())));
            let refused = !notes.is_empty();
            let dead = unusable.iter().filter(|(name, _)| !refused && *name == object.name);
            let dead = dead.map(|(_, why)| *why).collect::<Vec<_>>();
            notes.extend(dead.iter().map(|why| Note::Denies((*why).to_owned())));
            let odd = warnings.iter().filter(|warning| warning.origin == object.origin());
            let odd = odd.filter(|warning| !dead.iter().any(|why| warning.message.contains(why)));
            notes.extend(odd.map(|warning| Note::Look(warning.message.clone())));
            notes.extend(differences::of(object));
            Account { object: object.origin().to_owned(), notes }
        })
        .collect()
}

fn loaded(objects: &[&Object]) -> (PolicySet, Vec<policies::Problem>) {
    let documents = objects.iter().map(|object| Document { origin: object.origin(), text: object.text() });
    PolicySet::load_closed(documents, &Externals::default().with_cue())
}

fn tell(account: &Account) {
    if account.notes.is_empty() {
        return say(&format!("{}: holds", account.object));
    }
    for (is, text) in account.notes.iter().map(Note::parts) {
        say(&format!("{}: {is}: {}", account.object, text.replace('\n', ": ")));
    }
}

fn account_json(account: &Account) -> Value {
    let notes = account.notes.iter().map(Note::parts).map(|(is, text)| json!({"is": is, "says": text}));
    json!({"object": account.object, "notes": notes.collect::<Vec<_>>()})
}

fn told_namespaces(names: Option<&[String]>) -> String {
    match names {
        None => {
            "\nNo namespaces were read: whichever carry the label policy.sigstore.dev/include=true take part."
                .to_owned()
        }
        Some([]) => "\nNo namespace takes part, so nothing is enforced anywhere.".to_owned(),
        Some(names) => format!("\nThese namespaces take part, and will: {}", names.join(", ")),
    }
}

fn indented(text: &str) -> String {
    let lines = text.trim_end().lines();
    lines
        .map(|line| if line.is_empty() { String::new() } else { format!("  {line}") })
        .collect::<Vec<_>>()
        .join("\n")
}
