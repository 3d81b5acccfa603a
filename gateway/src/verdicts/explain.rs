//! How a verdict comes about, for a person at a terminal.

use std::sync::Arc;

use oci::{Digest, Name};
use policies::{Explanation, Lookups, NoMatch, Request, Subject, Verdict, explain};

use super::{Question, Verdicts, now, on_a_core};
use crate::material::Demand;
use crate::undecided::Undecided;

/// A verdict, or why there is none, and the account of how it came about.
pub(crate) struct Explained {
    pub(crate) verdict: Result<Arc<Verdict>, Undecided>,
    pub(crate) explanation: Explanation,
}

impl Verdicts {
    /// Judges one image as [`Verdicts::judge`] does, from evidence that is found anew, and says how.
    ///
    /// # Errors
    /// [`Undecided`] where the evidence cannot be had, so that there is nothing to tell.
    pub(crate) async fn explain(
        &self,
        name: &Name,
        digest: Digest,
        no_match: NoMatch,
        request: &Request,
    ) -> Result<Explained, Undecided> {
        let subject = Subject { name: name.clone(), digest };
        let rules = self.rules.load_full();
        rules.in_force()?;
        let no_match = rules.no_match(no_match, request);
        let question = Question { rules, subject, request: request.clone(), no_match, by: None };
        let gathered = self.gather_anew(&question, Demand::New).await?;
        let mut lookups = Arc::new(Lookups::default());
        let decided = self.decide(&question, &gathered, &mut lookups).await;
        let verdict = decided.map_err(Undecided::from).and_then(|judgement| {
            gathered.suffices_for(&judgement.verdict)?;
            Ok(Arc::new(judgement.verdict))
        });
        let evidence = gathered.evidence.clone();
        let explanation = on_a_core(self.cores.clone(), move || {
            question.hear(&evidence, &lookups, |case| explain(case, now()))
        })
        .await?;
        Ok(Explained { verdict, explanation })
    }
}
