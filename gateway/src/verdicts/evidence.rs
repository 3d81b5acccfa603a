//! Evidence: material from every source that policies name, checked on every basis that they rest on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oci::Digest;
use policies::{Basis, Cause, Evidence, Facts, Finding, Source, Verdict};
use verify::{Grounds, TrustRoot};

use super::{Question, Verdicts, now, on_a_core};
use crate::material::{Demand, Found, MaterialList, Spot};
use crate::phase::Phase;
use crate::undecided::Undecided;

/// Evidence, and what it was made of.
pub(super) struct Gathered {
    pub(super) evidence: Arc<Evidence>,
    found: Vec<Found>,
    fresh: Duration,
}

impl Gathered {
    /// Whether any of it is too old to say no by.
    pub(super) fn is_stale(&self) -> bool {
        let now = crate::clock::seconds_since_1970();
        self.found.iter().any(|found| found.list.is_stale(now, self.fresh))
    }

    /// Whether enough was looked at for this verdict.
    ///
    /// # Errors
    /// Where what was looked at does not satisfy policies, and there is more.
    pub(super) fn suffices_for(&self, verdict: &Verdict) -> Result<(), Undecided> {
        let beyond = self.found.iter().find_map(|found| found.list.beyond.as_deref());
        match (verdict, beyond) {
            (Verdict::Deny(denial), Some(beyond)) if !matches!(denial.cause(), Cause::Revoked(_)) => {
                Err(Undecided::Beyond(beyond.to_owned()))
            }
            (Verdict::Allow(_) | Verdict::Deny(_), _) => Ok(()),
        }
    }

    /// How much longer it may be believed to be all there is; for ever where none was looked for.
    pub(super) fn remaining(&self) -> Option<Duration> {
        let now = crate::clock::seconds_since_1970();
        self.found.iter().map(|found| found.list.remaining(now, self.fresh)).min()
    }

    /// When the oldest of the lists that it was made of was found, in seconds since 1970; nothing where none was looked for.
    pub(super) fn found_at(&self) -> Option<u64> {
        self.found.iter().map(|found| found.list.found_at).min()
    }

    /// Whether a registry was asked.
    pub(super) fn discovered(&self) -> bool {
        self.found.iter().any(|found| found.discovered)
    }
}

/// Whether what is remembered will do.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Freshness {
    Remembered,
    Anew(Demand),
}

impl Verdicts {
    /// The evidence that judging takes, from memory where it is there.
    pub(super) async fn gather(&self, question: &Question) -> Result<Gathered, Undecided> {
        self.gather_as(question, Freshness::Remembered).await
    }

    /// The same, with every registry asked again.
    pub(super) async fn gather_anew(
        &self,
        question: &Question,
        demand: Demand,
    ) -> Result<Gathered, Undecided> {
        self.gather_as(question, Freshness::Anew(demand)).await
    }

    async fn gather_as(&self, question: &Question, freshness: Freshness) -> Result<Gathered, Undecided> {
        let (matching, fresh) = (question.matching(), self.materials.fresh());
        if matching.is_settled(&question.subject.digest, now()) {
            return Ok(Gathered { evidence: Arc::default(), found: Vec::new(), fresh });
        }
        let wanted: BTreeMap<Source, Vec<Basis>> = matching
            .sources()
            .into_iter()
            .map(|(source, bases)| (source.clone(), bases.into_iter().cloned().collect()))
            .collect();
        let gathering = wanted.iter().map(|(source, bases)| self.from(question, source, bases, freshness));
        let gathered = futures_util::future::try_join_all(gathering).await?;
        let mut evidence = Evidence::default();
        let mut found = Vec::with_capacity(gathered.len());
        for ((source, bases), (facts, from)) in wanted.into_iter().zip(gathered) {
            for (basis, facts) in bases.into_iter().zip(facts) {
                evidence.insert(source.clone(), basis, facts);
            }
            found.push(from);
        }
        Ok(Gathered { evidence: Arc::new(evidence), found, fresh })
    }

    /// The facts of one source on every basis. Material that is listed and no longer kept is discovered again: by whoever
    /// in the fleet comes first, and where that does not bring it here, because it is too large to share, by us.
    async fn from(
        &self,
        question: &Question,
        source: &Source,
        bases: &[Basis],
        freshness: Freshness,
    ) -> Result<(Vec<Vec<Arc<Facts>>>, Found), Undecided> {
        let spot = self.spot(question, source)?;
        let found = match freshness {
            Freshness::Remembered => self.materials.find(&spot).await?,
            Freshness::Anew(demand) => self.materials.discover(&spot, demand).await?,
        };
        match self.check_all(question, &found.list, bases).await {
            Err(Gap::Undecided(undecided)) => Err(undecided),
            Ok(facts) => Ok((facts, found)),
            Err(Gap::Gone) => {
                self.materials.forget(&spot).await;
                let found = self.materials.discover(&spot, Demand::New).await?;
                match self.check_all(question, &found.list, bases).await {
                    Err(Gap::Gone) => {}
                    facts => return Ok((facts?, found)),
                }
                let found = self.materials.discover(&spot, Demand::Own).await?;
                let facts = self.check_all(question, &found.list, bases).await?;
                Ok((facts, found))
            }
        }
    }

    /// Where to look for the material of a source.
    pub(super) fn spot(&self, question: &Question, source: &Source) -> Result<Spot, Undecided> {
        let named = source.repository.as_ref().unwrap_or(&question.subject.name);
        let place = self.place(question, named)?;
        Ok(Spot { place, digest: question.subject.digest, tag_prefix: source.tag_prefix.clone() })
    }

    async fn check_all(
        &self,
        question: &Question,
        list: &MaterialList,
        bases: &[Basis],
    ) -> Result<Vec<Vec<Arc<Facts>>>, Gap> {
        let mut all = Vec::with_capacity(bases.len());
        for basis in bases {
            let trust_root = question.rules.trust_root_of(basis)?;
            let facts = list.materials.iter().map(|material| self.facts(*material, &trust_root, basis));
            all.push(futures_util::future::try_join_all(facts).await?);
        }
        Ok(all)
    }

    async fn facts(&self, material: Digest, root: &Arc<TrustRoot>, basis: &Basis) -> Result<Arc<Facts>, Gap> {
        let key = (material, grounds(root, basis).id(), verify::BUILD.to_owned());
        if let Some(facts) = self.facts.find(&key).await {
            return Ok(facts);
        }
        let since = self.facts.since(&key);
        let material = self.materials.read(material).await.ok_or(Gap::Gone)?;
        let claimed_time = material.claimed_time();
        let (cores, root, basis) = (self.cores.clone(), root.clone(), basis.clone());
        let metrics = self.metrics.clone();
        let check = move || {
            let started = Instant::now();
            let facts = verify::check(&material, &grounds(&root, &basis));
            let took = started.elapsed();
            Phase::Verify.took(matches!(facts.finding, Finding::Signed(_)), took);
            metrics.verified(&facts, took);
            Arc::new(facts)
        };
        let work = move || on_a_core(cores, check);
        let checking = Phase::Verify.wait(self.checks.run(key.clone(), work));
        let facts = checking.await.map_err(Undecided::from)??;
        // A log entry of the future is refused, and what is the future is a matter of our own clock: that is no fact to
        // keep for ever.
        if claimed_time.is_none_or(|time| time <= now()) {
            self.facts.keep_since(since, key, facts.clone()).await;
        }
        Ok(facts)
    }
}

/// Why evidence is not complete.
pub(super) enum Gap {
    /// Material that a list names is not kept any more.
    Gone,
    Undecided(Undecided),
}

impl From<Undecided> for Gap {
    fn from(undecided: Undecided) -> Self {
        Self::Undecided(undecided)
    }
}

/// For whoever cannot close a gap.
impl From<Gap> for Undecided {
    fn from(gap: Gap) -> Self {
        match gap {
            Gap::Undecided(undecided) => undecided,
            Gap::Gone => Self::Internal("material is not kept".into()),
        }
    }
}

/// What a basis means for verification, with its trust root looked up.
fn grounds<'a>(trust_root: &'a TrustRoot, basis: &'a Basis) -> Grounds<'a> {
    Grounds { trust_root, profile: basis.profile, key: basis.key.as_ref() }
}
