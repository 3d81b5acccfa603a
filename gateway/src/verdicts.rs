//! The pipeline that both doors call: material, facts, verdict.
//!
//! A verdict is a function of the image's name and digest, the policies and trust roots in force, and facts. All
//! of these are in the key that it is remembered under, so a change of any is in force for the next request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use cache::{Flights, Index, Memo};
use oci::{Digest, Name, TagOrDigest};
use policies::{Basis, Evidence, Facts, Matching, NoMatch, Subject, Verdict, judge};
use tokio::sync::Semaphore;
use verify::{Grounds, TrustRoot};

use crate::material::{FRESH, Found, MaterialList, Materials};
use crate::metrics::Metrics;
use crate::place::{Place, Upstreams};
use crate::rules::Rules;
use crate::undecided::Undecided;

/// A verdict and where it came from.
#[derive(Clone, Debug)]
pub struct Ruling {
    /// The verdict.
    pub verdict: Arc<Verdict>,
    /// Where it came from.
    pub source: Source,
}

/// How far back the pipeline had to go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// The verdict itself was remembered.
    Memory,
    /// It was judged from what was found before.
    Facts,
    /// The registry was asked.
    Registry,
}

impl Source {
    /// A stable name, for headers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "hit",
            Self::Facts => "facts",
            Self::Registry => "miss",
        }
    }
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct VerdictKey {
    name: Name,
    digest: Digest,
    revision: Digest,
    no_match: NoMatch,
}

#[derive(Clone)]
struct Remembered {
    verdict: Arc<Verdict>,
    /// A denial holds only as long as it is believed that no other signature has come.
    until: Option<Instant>,
}

type FactsKey = (Digest, Digest, String);

/// Everything that verdicts are made of and remembered in.
pub struct Verdicts {
    rules: Arc<ArcSwap<Rules>>,
    upstreams: Arc<Upstreams>,
    materials: Arc<Materials>,
    facts: Memo<FactsKey, Facts>,
    checks: Flights<FactsKey, Result<Arc<Facts>, Undecided>>,
    /// Checking a signature is a millisecond of CPU: more at once than there are cores would stall everything else.
    cores: Arc<Semaphore>,
    remembered: moka::future::Cache<VerdictKey, Remembered>,
    metrics: Arc<Metrics>,
}

impl Verdicts {
    /// A pipeline under these rules, over these stores.
    pub fn new(
        rules: Arc<ArcSwap<Rules>>,
        upstreams: Arc<Upstreams>,
        materials: Arc<Materials>,
        index: &Arc<Index>,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Self {
            rules,
            upstreams,
            materials,
            facts: Memo::new("facts", cache::Limits { entries: 100_000 }, Some(index.clone())),
            checks: Flights::new(),
            cores: Arc::new(Semaphore::new(cores)),
            remembered: moka::future::Cache::builder().max_capacity(200_000).build(),
            metrics,
        })
    }

    /// The policies and trust roots in force now.
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// The verdict, if it is remembered.
    pub async fn remembered(&self, name: &Name, digest: Digest, no_match: NoMatch) -> Option<Ruling> {
        let revision = self.rules.load().revision();
        let key = VerdictKey { name: name.clone(), digest, revision, no_match };
        let remembered = self.remembered.get(&key).await?;
        let holds = remembered.until.is_none_or(|until| Instant::now() < until);
        holds.then_some(Ruling { verdict: remembered.verdict, source: Source::Memory })
    }

    /// Judges one image. `name` is canonical (see [`Upstreams::canonical`]) and `digest` is sha256.
    ///
    /// # Errors
    /// [`Undecided`] where the registry or the gateway itself kept the answer from being known.
    pub async fn judge(&self, name: &Name, digest: Digest, no_match: NoMatch) -> Result<Ruling, Undecided> {
        if let Some(ruling) = self.remembered(name, digest, no_match).await {
            return Ok(ruling);
        }
        let rules = self.rules.load_full();
        let subject = Subject { name: name.clone(), digest };
        let matching = rules.policies.matching(name, &TagOrDigest::Digest(digest));
        let bases = matching.bases();
        let (verdict, until, source) = if bases.is_empty() {
            // Nothing that is in a registry can change this verdict.
            (judge(&subject, &matching, &Evidence::default(), no_match), None, Source::Facts)
        } else {
            self.judge_material(&rules, &subject, &matching, &bases, no_match).await?
        };
        let verdict = Arc::new(verdict);
        self.metrics.judged(&verdict);
        let key = VerdictKey { name: name.clone(), digest, revision: rules.revision(), no_match };
        self.remembered.insert(key, Remembered { verdict: verdict.clone(), until }).await;
        Ok(Ruling { verdict, source })
    }

    async fn judge_material(
        &self,
        rules: &Rules,
        subject: &Subject,
        matching: &Matching<'_>,
        bases: &[Basis],
        no_match: NoMatch,
    ) -> Result<(Verdict, Option<Instant>, Source), Undecided> {
        let place = self.upstreams.place(&subject.name);
        let place = place.ok_or_else(|| Undecided::NoUpstream(subject.name.host.clone()))?;
        let mut found = self.materials.find(&place, subject.digest).await?;
        let mut evidence = self.evidence(rules, &place, subject.digest, &mut found, bases).await?;
        let mut verdict = judge(subject, matching, &evidence, no_match);
        let now = crate::clock::seconds_since_1970();
        if matches!(verdict, Verdict::Deny(_)) && found.list.is_stale(now) {
            // Somebody may have signed since.
            found = self.materials.discover(&place, subject.digest).await?;
            evidence = self.evidence(rules, &place, subject.digest, &mut found, bases).await?;
            verdict = judge(subject, matching, &evidence, no_match);
        }
        if let (Verdict::Deny(_), Some(beyond)) = (&verdict, &found.list.beyond) {
            // What was looked at is not enough, and there is more.
            return Err(Undecided::Beyond(beyond.clone()));
        }
        let until = match verdict {
            Verdict::Allow(_) => None,
            Verdict::Deny(_) => Some(Instant::now() + remaining(&found.list)),
        };
        Ok((verdict, until, if found.discovered { Source::Registry } else { Source::Facts }))
    }

    /// The facts of all material on every basis. Material that is listed and no longer kept is discovered again, once.
    async fn evidence(
        &self,
        rules: &Rules,
        place: &Place,
        digest: Digest,
        found: &mut Found,
        bases: &[Basis],
    ) -> Result<Evidence, Undecided> {
        match self.gather(rules, &found.list, bases).await {
            Err(Gap::Undecided(undecided)) => Err(undecided),
            Ok(evidence) => Ok(evidence),
            Err(Gap::Gone) => {
                self.materials.forget(place, digest).await;
                *found = self.materials.discover(place, digest).await?;
                self.gather(rules, &found.list, bases).await.map_err(|gap| match gap {
                    Gap::Undecided(undecided) => undecided,
                    Gap::Gone => Undecided::Internal("material is not kept".into()),
                })
            }
        }
    }

    async fn gather(&self, rules: &Rules, list: &MaterialList, bases: &[Basis]) -> Result<Evidence, Gap> {
        let mut evidence = Evidence::default();
        for basis in bases {
            let trust_root = rules.trust_root_of(basis)?;
            let facts = list.materials.iter().map(|material| self.facts(*material, &trust_root, basis));
            let facts = futures_util::future::try_join_all(facts).await?;
            evidence.insert(basis.clone(), facts);
        }
        Ok(evidence)
    }

    async fn facts(&self, material: Digest, root: &Arc<TrustRoot>, basis: &Basis) -> Result<Arc<Facts>, Gap> {
        let key = (material, grounds(root, basis).id(), verify::BUILD.to_owned());
        if let Some(facts) = self.facts.find(&key).await {
            return Ok(Arc::new(facts));
        }
        let material = self.materials.read(material).await.ok_or(Gap::Gone)?;
        let claimed_time = material.claimed_time();
        let (cores, root, basis) = (self.cores.clone(), root.clone(), basis.clone());
        let metrics = self.metrics.clone();
        let work = move || async move {
            let _core =
                cores.acquire_owned().await.map_err(|_| Undecided::Internal("shutting down".into()))?;
            let checked = tokio::task::spawn_blocking(move || {
                let started = Instant::now();
                let facts = verify::check(&material, &grounds(&root, &basis));
                metrics.verified(&facts, started.elapsed());
                Arc::new(facts)
            });
            checked.await.map_err(|error| Undecided::Internal(error.to_string()))
        };
        let facts = self.checks.run(key.clone(), work).await.map_err(Undecided::from)??;
        // A log entry of the future is refused, and what is the future is a matter of our own clock: that is no fact to
        // keep for ever.
        let now = i64::try_from(crate::clock::seconds_since_1970()).unwrap_or(i64::MAX);
        if claimed_time.is_none_or(|time| time <= now) {
            self.facts.keep(key, Facts::clone(&facts)).await;
        }
        Ok(facts)
    }
}

/// Why evidence is not complete.
enum Gap {
    /// Material that a list names is not kept any more.
    Gone,
    Undecided(Undecided),
}

impl From<Undecided> for Gap {
    fn from(undecided: Undecided) -> Self {
        Self::Undecided(undecided)
    }
}

/// What a basis means for verification, with its trust root looked up.
fn grounds<'a>(trust_root: &'a TrustRoot, basis: &'a Basis) -> Grounds<'a> {
    Grounds { trust_root, profile: basis.profile, key: basis.key.as_ref() }
}

/// How much longer a list may be believed to be all there is.
fn remaining(list: &MaterialList) -> Duration {
    let age = crate::clock::seconds_since_1970().saturating_sub(list.found_at);
    FRESH.saturating_sub(Duration::from_secs(age))
}
