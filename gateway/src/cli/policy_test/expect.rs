//! What policies are expected to say of a case, and what they say.

use policies::Verdict;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::report::Outcome;

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) enum Word {
    Allow,
    Deny,
    Undecided,
}

/// What policies are to say: one word, or more.
#[derive(Debug)]
pub(super) struct Expect {
    pub(super) verdict: Word,
    /// The ground of an allowance.
    pub(super) ground: Option<String>,
    /// The reason of a denial.
    pub(super) reason: Option<String>,
    /// A policy that fails.
    pub(super) policy: Option<String>,
    /// A policy that only warns and fails.
    pub(super) warns: Option<String>,
    /// What the message of it all has in it.
    pub(super) message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expected {
    verdict: Word,
    #[serde(default)]
    ground: Option<String>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    policy: Option<String>,
    #[serde(default)]
    warns: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

impl<'de> Deserialize<'de> for Expect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if value.is_string() {
            let verdict = Word::deserialize(value).map_err(de::Error::custom)?;
            return Ok(Self {
                verdict,
                ground: None,
                reason: None,
                policy: None,
                warns: None,
                message: None,
            });
        }
        let Expected { verdict, ground, reason, policy, warns, message } =
            Expected::deserialize(value).map_err(de::Error::custom)?;
        let of_denial = reason.is_some() || policy.is_some();
        if (ground.is_some() && verdict != Word::Allow) || (of_denial && verdict != Word::Deny) {
            return Err(de::Error::custom("ground is of an allowance, reason and policy are of a denial"));
        }
        Ok(Self { verdict, ground, reason, policy, warns, message })
    }
}

/// What judgement comes to.
pub(super) enum Said {
    Verdict(Box<Verdict>),
    /// It is not known, as it would not be in earnest.
    Undecided(String),
    /// It is not known for want of something in the table.
    Missing(String),
}

/// What judgement said, by the same names as it is expected.
struct Spoken {
    verdict: Word,
    word: String,
    message: String,
    failed: Vec<String>,
    warned: Vec<String>,
}

impl Expect {
    /// What of it came out otherwise.
    pub(super) fn compare(&self, said: &Said) -> Outcome {
        let spoken = match said {
            Said::Missing(why) => return Outcome::Untold(why.clone()),
            Said::Undecided(why) => Spoken {
                verdict: Word::Undecided,
                word: String::new(),
                message: why.clone(),
                failed: Vec::new(),
                warned: Vec::new(),
            },
            Said::Verdict(verdict) => spoken(verdict),
        };
        let mut differences = Vec::new();
        let mut differs = |what: &str, wanted: &str, got: &str| {
            differences.push(format!("- {what}: {wanted}\n+ {what}: {got}"));
        };
        if self.verdict != spoken.verdict {
            let got = format!("{} {}", shown(spoken.verdict), spoken.word);
            differs("verdict", shown(self.verdict), got.trim_end());
        } else {
            for (what, wanted) in [("ground", &self.ground), ("reason", &self.reason)] {
                if let Some(wanted) = wanted.as_ref().filter(|wanted| **wanted != spoken.word) {
                    differs(what, wanted, &spoken.word);
                }
            }
            for (what, wanted, got) in
                [("policy", &self.policy, &spoken.failed), ("warns", &self.warns, &spoken.warned)]
            {
                if let Some(wanted) = wanted.as_ref().filter(|wanted| !got.contains(wanted)) {
                    differs(what, wanted, &got.join(", "));
                }
            }
        }
        if let Some(wanted) = self.message.as_ref().filter(|wanted| !spoken.message.contains(*wanted)) {
            differs("message", wanted, "has not that in it");
        }
        if differences.is_empty() {
            return Outcome::Passed;
        }
        if !spoken.message.is_empty() {
            differences.push(spoken.message);
        }
        Outcome::Failed(differences.join("\n"))
    }
}

fn spoken(verdict: &Verdict) -> Spoken {
    let names = |failures: &[policies::PolicyFailure]| {
        failures.iter().map(|failure| failure.policy.to_string()).collect()
    };
    match verdict {
        Verdict::Allow(allowed) => {
            let warnings = allowed.warnings().iter().map(|failure| failure.message(allowed.subject()));
            let exempted = allowed.exempted().iter().map(policies::Exempted::message);
            Spoken {
                verdict: Word::Allow,
                word: allowed.ground().as_str().to_owned(),
                message: warnings.chain(exempted).collect::<Vec<_>>().join("\n"),
                failed: Vec::new(),
                warned: names(allowed.warnings()),
            }
        }
        Verdict::Deny(denial) => Spoken {
            verdict: Word::Deny,
            word: denial.as_str().to_owned(),
            message: denial.for_person(),
            failed: match denial.cause() {
                policies::Cause::Failed(failures) => names(failures),
                policies::Cause::NoMatchingPolicy | policies::Cause::Revoked(_) => Vec::new(),
            },
            warned: names(denial.warnings()),
        },
    }
}

fn shown(word: Word) -> &'static str {
    match word {
        Word::Allow => "allow",
        Word::Deny => "deny",
        Word::Undecided => "undecided",
    }
}
