//! `countersign verify`.

mod explanation;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use oci::{Digest, Reference, TagOrDigest};
use policies::{Explanation, NoMatch, Request, Signer, Verdict, printable};
use serde_json::{Value, json};

use super::{Answer, Output, complain, input, object, say};
use crate::config::{self, Config};
use crate::core::Core;
use crate::metrics::Metrics;
use crate::place::Unrouted;
use crate::remote::RemoteFiles;
use crate::rules::Rules;
use crate::trust::Repositories;
use crate::undecided::Undecided;
use crate::verdicts::Explained;

/// How long a person at a terminal is kept waiting.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is asked of one image.
#[derive(Args, Debug)]
pub(super) struct Verify {
    /// The image, by tag or digest.
    image: String,
    /// A file of policies; may be given again. Without it those of the configuration are used.
    #[arg(long = "policy", value_name = "FILE")]
    policies: Vec<PathBuf>,
    /// The configuration, for upstreams, credentials and trust roots.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A Kubernetes object, in YAML or JSON: the image is judged as admission would judge it there. Without one it is
    /// judged as a pull.
    #[arg(long, value_name = "FILE")]
    object: Option<PathBuf>,
    /// The namespace of the object, where it names none itself.
    #[arg(long, value_name = "NAME", requires = "object")]
    namespace: Option<String>,
    /// Also tell how the verdict comes about: each policy, authority, signature and check.
    #[arg(long)]
    explain: bool,
    /// How to answer.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// What an image is judged for, and what becomes of it if no policy speaks of it.
struct Asking {
    request: Request,
    no_match: NoMatch,
    explain: bool,
}

pub(super) fn verify(arguments: &Verify) -> anyhow::Result<Answer> {
    let image = &arguments.image;
    let reference: Reference = image.parse().with_context(|| format!("{image:?} is no image reference"))?;
    let mut config = config::load(arguments.config.as_deref(), std::env::vars())?;
    // A question asked at a terminal neither reads nor changes what a gateway on this machine remembers.
    let scratch = tempfile::tempdir()?;
    config.storage.path = scratch.path().to_owned();
    config.redis = None;
    let asking = asking(arguments, &config)?;
    let policies = &arguments.policies;
    let repositories = Repositories::new(&config.storage.path, config.trust.refresh)?;
    let remote = RemoteFiles::new(&config.storage.path)?;
    let load = || {
        if policies.is_empty() {
            Rules::load(&config, &repositories, &remote)
        } else {
            Rules::load_files(&config, policies, &repositories, &remote)
        }
    };
    load()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let asked = runtime.block_on(async {
        // What a gateway fetches in the background is fetched first here.
        let fetching = async {
            remote.fetch_wanted().await;
            repositories.refresh_due(&Metrics::new()).await;
        };
        drop(tokio::time::timeout(PATIENCE, fetching).await);
        let rules = load()?;
        let core = Core::with_rules(&config, rules, repositories.clone(), remote.clone())?;
        if core.upstreams.is_canary(reference.name()) {
            return Ok(None);
        }
        Ok::<_, anyhow::Error>(Some(ask(&core, &reference, &asking).await))
    })?;
    let Some(asked) = asked else {
        return Ok(canary(&reference, arguments.output));
    };
    Ok(match arguments.output {
        Output::Text => as_text(&asked),
        Output::Json => as_json(&asked),
    })
}

/// A canary is denied without being looked at.
fn canary(reference: &Reference, output: Output) -> Answer {
    let why = Unrouted::Canary.to_string();
    match output {
        Output::Text => say(&format!("denied: {reference}: {why}")),
        Output::Json => {
            let image = reference.to_string();
            let document = json!({"image": image, "verdict": "deny", "reason": "canary", "message": why});
            say(&document.to_string());
        }
    }
    Answer::No
}

fn asking(arguments: &Verify, config: &Config) -> anyhow::Result<Asking> {
    let explain = arguments.explain;
    let Some(path) = &arguments.object else {
        return Ok(Asking { request: Request::Pull, no_match: NoMatch::Deny, explain });
    };
    let request = object::admission_of(&input::document(path)?, arguments.namespace.as_deref())
        .with_context(|| path.display().to_string())?;
    Ok(Asking { request, no_match: config.policies.no_match, explain })
}

/// What came of a question.
struct Asked {
    name: String,
    verdict: Result<Arc<Verdict>, Undecided>,
    explanation: Option<Explanation>,
}

async fn ask(core: &Core, reference: &Reference, asking: &Asking) -> Asked {
    let name = core.upstreams.canonical(reference.name());
    let asked = async {
        let digest = resolve(core, &name, reference).await?;
        let (request, no_match) = (&asking.request, asking.no_match);
        let (verdict, explanation) = if asking.explain {
            let Explained { verdict, explanation } =
                core.verdicts.explain(&name, digest, no_match, request).await?;
            (verdict, Some(explanation))
        } else {
            (Ok(core.verdicts.judge(&name, digest, no_match, request).await?.verdict), None)
        };
        Ok(Asked { name: format!("{name}@{digest}"), verdict, explanation })
    };
    let asked = tokio::time::timeout(PATIENCE, asked).await.unwrap_or(Err(Undecided::Deadline));
    asked.unwrap_or_else(|undecided| Asked {
        name: reference.to_string(),
        verdict: Err(undecided),
        explanation: None,
    })
}

/// The digest that an image is judged by.
async fn resolve(core: &Core, name: &oci::Name, reference: &Reference) -> Result<Digest, Undecided> {
    match reference.version() {
        TagOrDigest::Digest(digest) if digest.algorithm() == oci::Algorithm::Sha256 => Ok(digest),
        version @ (TagOrDigest::Tag(_) | TagOrDigest::Digest(_)) => {
            let place = core.upstreams.place(name).ok_or_else(|| Undecided::NoUpstream(name.host.clone()))?;
            match version {
                TagOrDigest::Tag(tag) => Ok(core.content.resolve_now(&place, &tag).await?),
                TagOrDigest::Digest(digest) => Ok(core.content.manifest(&place, digest).await?.judged),
            }
        }
    }
}

fn as_text(asked: &Asked) -> Answer {
    let answer = verdict_as_text(&asked.name, &asked.verdict);
    if let Some(explanation) = &asked.explanation {
        explanation::lines(explanation).iter().for_each(|line| say(line));
    }
    answer
}

fn verdict_as_text(name: &str, verdict: &Result<Arc<Verdict>, Undecided>) -> Answer {
    match verdict.as_deref() {
        Ok(Verdict::Allow(allowed)) => {
            say(&format!("allowed: {name} ({})", allowed.ground().as_str()));
            for signer in allowed.signers() {
                say(&match signer {
                    Signer::Certificate(identity) => format!(
                        "  signed by {}\n  issuer    {}",
                        printable(&identity.subjects.join(", ")),
                        printable(&identity.issuer)
                    ),
                    Signer::Key(id) => format!("  signed by the key {id}"),
                });
            }
            for failure in allowed.warnings() {
                say(&format!("  warning: {}", failure.message(allowed.subject())));
            }
            for exempted in allowed.exempted() {
                say(&format!("  {}", exempted.message()));
            }
            Answer::Yes
        }
        Ok(Verdict::Deny(denial)) => {
            say(&format!("denied: {}", denial.for_person()));
            Answer::No
        }
        Err(undecided) => {
            complain(&format!("{name}: could not tell: {undecided}"));
            Answer::Unclear
        }
    }
}

fn as_json(asked: &Asked) -> Answer {
    let (answer, mut document) = verdict_as_json(&asked.name, &asked.verdict);
    if let Some(explanation) = &asked.explanation {
        document["explanation"] = json!(explanation);
    }
    say(&document.to_string());
    answer
}

fn verdict_as_json(name: &str, verdict: &Result<Arc<Verdict>, Undecided>) -> (Answer, Value) {
    match verdict.as_deref() {
        Ok(Verdict::Allow(allowed)) => {
            let signers = allowed.signers();
            let warnings: Vec<_> =
                allowed.warnings().iter().map(|failure| failure.message(allowed.subject())).collect();
            let ground = allowed.ground().as_str();
            let exempted: Vec<_> = allowed.exempted().iter().map(policies::Exempted::message).collect();
            (
                Answer::Yes,
                json!({"image": name, "verdict": "allow", "ground": ground, "signers": signers, "warnings": warnings, "exemptions": exempted}),
            )
        }
        Ok(Verdict::Deny(denial)) => (
            Answer::No,
            json!({"image": name, "verdict": "deny", "reason": denial.as_str(), "message": denial.for_person()}),
        ),
        Err(undecided) => (
            Answer::Unclear,
            json!({"image": name, "verdict": null, "reason": undecided.as_str(), "message": undecided.to_string()}),
        ),
    }
}
