//! What judgement asks for beside evidence, within limits.

use std::sync::Arc;

use policies::{Evidence, Lookups, Need};

use super::evidence::Gap;
use super::{Question, Verdicts};
use crate::image_configs::image_configs;
use crate::undecided::{Undecided, with_causes};

impl Verdicts {
    /// Looks up one thing.
    pub(super) async fn look_up(
        &self,
        question: &Question,
        evidence: &Arc<Evidence>,
        need: Need,
        lookups: &mut Lookups,
    ) -> Result<(), Gap> {
        let subject = &question.subject;
        match need {
            Need::Statement(digest) => {
                let material = evidence.material_of(&digest);
                let material =
                    material.ok_or_else(|| Undecided::Internal("nobody made that statement".into()))?;
                let kept = self.materials.read(material).await;
                let statement = kept.ok_or(Gap::Gone)?.statement();
                let statement =
                    statement.ok_or_else(|| Undecided::Internal("that material states nothing".into()))?;
                let added = lookups.statement(digest, &statement);
                added.map_err(|error| Undecided::Internal(error.to_string()).into())
            }
            Need::Configs => {
                let place = self.place(question, &subject.name)?;
                lookups.configs(image_configs(&self.content, &place, subject.digest).await?);
                Ok(())
            }
            Need::Answer(asked) => {
                let cue = self.cue.as_ref();
                let cue = cue.ok_or_else(|| Undecided::Program("no cue program is configured".into()))?;
                let answer = cue.answer(&asked).await;
                let answer = answer.map_err(|error| Undecided::Program(with_causes(&error)))?;
                lookups.answer(asked, answer);
                Ok(())
            }
        }
    }
}
