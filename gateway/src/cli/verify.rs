//! `countersign verify`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use oci::{Reference, TagOrDigest};
use policies::{NoMatch, Signer, Verdict};
use serde_json::json;

use super::{Answer, Output, complain, say};
use crate::app::Core;
use crate::config::{self, Config};
use crate::rules::{Rules, from_files, with_objects};
use crate::trust::Repositories;
use crate::undecided::Undecided;

/// How long a person at a terminal is kept waiting.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn verify(
    image: &str,
    policies: &[PathBuf],
    path: Option<&Path>,
    output: Output,
) -> anyhow::Result<Answer> {
    let reference: Reference = image.parse().with_context(|| format!("{image:?} is no image reference"))?;
    let mut config = config::load(path, std::env::vars())?;
    // A question asked at a terminal neither reads nor changes what a gateway on this machine remembers.
    let scratch = tempfile::tempdir()?;
    config.storage.path = scratch.path().to_owned();
    let repositories = Repositories::new(&config.storage.path, config.trust.refresh)?;
    let rules = if policies.is_empty() {
        Rules::load(&config, &repositories)?
    } else {
        rules_of(&config, policies, &repositories)?
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (name, answer) = runtime.block_on(ask(&config, rules, repositories, &reference))?;
    Ok(match output {
        Output::Text => as_text(&name, &answer),
        Output::Json => as_json(&name, &answer),
    })
}

/// The files' policies under the configuration's trust roots.
fn rules_of(config: &Config, policies: &[PathBuf], repositories: &Repositories) -> anyhow::Result<Rules> {
    let policies_apart = Config {
        policies: config::Policies { directory: None, no_match: config.policies.no_match },
        ..config.clone()
    };
    let configured = Rules::load(&policies_apart, repositories)?;
    let root = |root: &policies::TrustRootRef| {
        configured.trust_root(root).cloned().context("the trust root is not configured")
    };
    let named = config
        .trust
        .roots
        .iter()
        .map(|(name, _)| Ok((name.clone(), root(&policies::TrustRootRef::Named(name.as_str().into()))?)))
        .collect::<anyhow::Result<HashMap<_, _>>>()?;
    let set = from_files(policies)?;
    let named = with_objects(&set, named, repositories)?;
    Ok(Rules::new(set, root(&policies::TrustRootRef::Default)?, named)?)
}

type Asked = (String, Result<Arc<Verdict>, Undecided>);

async fn ask(
    config: &Config,
    rules: Rules,
    repositories: Arc<Repositories>,
    reference: &Reference,
) -> anyhow::Result<Asked> {
    let core = Core::with_rules(config, rules, repositories)?;
    let name = core.upstreams.canonical(reference.name());
    let asked = async {
        let digest = match reference.version() {
            TagOrDigest::Digest(digest) if digest.algorithm() == oci::Algorithm::Sha256 => digest,
            version @ (TagOrDigest::Tag(_) | TagOrDigest::Digest(_)) => {
                let place =
                    core.upstreams.place(&name).ok_or_else(|| Undecided::NoUpstream(name.host.clone()))?;
                match version {
                    TagOrDigest::Tag(tag) => core.content.resolve(&place, &tag).await?,
                    TagOrDigest::Digest(digest) => core.content.manifest(&place, digest).await?.judged,
                }
            }
        };
        Ok((digest, core.verdicts.judge(&name, digest, NoMatch::Deny).await?.verdict))
    };
    match tokio::time::timeout(PATIENCE, asked).await.unwrap_or(Err(Undecided::Deadline)) {
        Ok((digest, verdict)) => Ok((format!("{name}@{digest}"), Ok(verdict))),
        Err(undecided) => Ok((reference.to_string(), Err(undecided))),
    }
}

fn as_text(name: &str, answer: &Result<Arc<Verdict>, Undecided>) -> Answer {
    match answer.as_deref() {
        Ok(Verdict::Allow(allowed)) => {
            say(&format!("allowed: {name} ({})", allowed.ground().as_str()));
            for signer in allowed.signers() {
                say(&match signer {
                    Signer::Certificate(identity) => {
                        format!(
                            "  signed by {}\n  issuer    {}",
                            identity.subjects.join(", "),
                            identity.issuer
                        )
                    }
                    Signer::Key(id) => format!("  signed by the key {id}"),
                });
            }
            for failure in allowed.warnings() {
                say(&format!("  warning: {}", failure.message(allowed.subject())));
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

fn as_json(name: &str, answer: &Result<Arc<Verdict>, Undecided>) -> Answer {
    let (answer, document) = match answer.as_deref() {
        Ok(Verdict::Allow(allowed)) => {
            let signers = allowed.signers();
            let warnings: Vec<_> =
                allowed.warnings().iter().map(|failure| failure.message(allowed.subject())).collect();
            let ground = allowed.ground().as_str();
            (
                Answer::Yes,
                json!({"image": name, "verdict": "allow", "ground": ground, "signers": signers, "warnings": warnings}),
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
    };
    say(&document.to_string());
    answer
}
