//! Verdicts that are in use and about to end, or about to be all that is left of what they rest on.
//!
//! An allowance needs no renewal to be right: the material behind it proves what it proves for ever, and every change of
//! policies, trust roots or revocations is another key. What is renewed of it is only what the fleet shares.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cache::{Beginning, Key as _, KeyBytes};
use policies::{Request, Verdict};

use super::{Concluded, Question, Remembered, Took, VerdictKey, Verdicts, facts_key};
use crate::material::Demand;
use crate::undecided::Undecided;

/// From when on whoever asks for a verdict begins its renewal, if ever: ahead of its end by a fifth of how long a denial
/// holds.
fn due(
    verdict: &Verdict,
    until: Option<Instant>,
    shared_for: Option<Duration>,
    denials: Duration,
) -> Option<Instant> {
    match (until, verdict, shared_for) {
        // What holds for less than that is renewed as soon as it is used again.
        (Some(until), _, _) => Some(until.checked_sub(denials / 5).unwrap_or(until)),
        (None, Verdict::Allow(_), Some(shared_for)) => Instant::now().checked_add(shared_for / 2),
        (None, Verdict::Allow(_) | Verdict::Deny(_), _) => None,
    }
}

impl Verdicts {
    /// From when on whoever asks for a verdict begins its renewal, if ever.
    pub(super) fn due(&self, verdict: &Verdict, until: Option<Instant>) -> Option<Instant> {
        due(verdict, until, self.shared_for, self.materials.fresh())
    }

    /// Renews a verdict, without whoever asked for it.
    pub(super) fn renew(&self, key: &VerdictKey, remembered: &Remembered, request: &Request) {
        let Some(this) = self.this.upgrade() else { return };
        let (name, digest, no_match) = (key.name.clone(), key.digest, key.no_match);
        let (request, remembered) = (request.clone(), remembered.clone());
        let until = remembered.until.map(tokio::time::Instant::from_std);
        let mut bytes = KeyBytes::default();
        key.encode(&mut bytes);
        match &*remembered.verdict {
            // A signature may have come: the registry is asked, while the denial still holds.
            Verdict::Deny(_) => self.renewals.begin(("denial", bytes), None, move || async move {
                let question = this.question(&name, digest, no_match, &request);
                // Where it cannot be told, whoever asks next finds out why.
                drop(this.deny_anew(&question).await);
            }),
            // It ends because a time comes, and before that nothing else can be said. Right after it, it is judged anew
            // from what is known.
            Verdict::Allow(_) if until.is_some() => {
                self.renewals.begin(("end", bytes), until, move || async move {
                    drop(this.judge(&name, digest, no_match, &request).await);
                });
            }
            // The verdict is as it was, under the key that it was judged for, whatever is in force meanwhile.
            Verdict::Allow(_) => {
                let (since, key) = (self.remembered.since(), key.clone());
                self.renewals.begin(("shared", bytes), None, move || async move {
                    this.share_again(&this.question(&name, digest, no_match, &request)).await;
                    let renew = this.due(&remembered.verdict, remembered.until);
                    this.remembered.keep_since(since, &key, Remembered { renew, ..remembered });
                });
            }
        }
    }

    async fn deny_anew(&self, question: &Question) -> Result<(), Undecided> {
        question.rules.in_force()?;
        let since = self.remembered.since();
        let began = Instant::now();
        let gathered = self.gather_anew(question, Demand::Recent).await?;
        let gathering = began.elapsed();
        let judgement = self.decide(question, &gathered, &mut Arc::default()).await?;
        let took = Took { gathering, judging: began.elapsed().saturating_sub(gathering) };
        self.remember(since, question, Concluded::of(question, &gathered, judgement, took)?);
        Ok(())
    }

    /// Tells the fleet again what an image was allowed by.
    async fn share_again(&self, question: &Question) {
        for source in question.matching().sources().into_keys() {
            let Ok(spot) = self.spot(question, source) else { continue };
            let materials = self.materials.share_again(&spot).await;
            for material in materials {
                let keys = self.facts.keys_under(Beginning::of(&material)).await;
                for key in keys.iter().filter_map(facts_key) {
                    self.facts.share_again(&key).await;
                }
            }
        }
    }
}
