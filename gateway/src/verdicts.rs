//! The pipeline that both doors call: material, facts, verdict.
//!
//! A verdict is a function of the image's name and digest, the policies and trust roots in force, facts, and whatever of
//! the request policies look at. All of these are in the key that it is remembered under, so a change of any is in force
//! for the next request.

mod evidence;
mod explain;
mod lookups;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use cache::{FlightStats, Flights, Index, Memo, MemoStats};
use oci::{Digest, Name, TagOrDigest};
use policies::{
    Case, Evidence, Facts, Judgement, Lookups, Matching, NoMatch, Request, Subject, Unjudged, Verdict, judge,
};
use tokio::sync::Semaphore;

use self::evidence::{Gap, Gathered};
pub(crate) use self::explain::Explained;
use crate::content::Content;
use crate::cue::Cue;
use crate::fleet::Fleet;
use crate::material::{Demand, Materials};
use crate::metrics::Metrics;
use crate::place::Upstreams;
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
    /// What of the request the verdict depends on, where any policy in force looks at one.
    distinction: Option<Digest>,
}

#[derive(Clone)]
struct Remembered {
    verdict: Arc<Verdict>,
    /// A denial holds only as long as it is believed that no other signature has come, and some verdicts end by themselves.
    until: Option<Instant>,
}

type FactsKey = (Digest, Digest, String);

/// Everything that verdicts are made of and remembered in.
pub struct Verdicts {
    rules: Arc<ArcSwap<Rules>>,
    upstreams: Arc<Upstreams>,
    materials: Arc<Materials>,
    content: Arc<Content>,
    cue: Option<Cue>,
    facts: Memo<FactsKey, Facts>,
    checks: Flights<FactsKey, Result<Arc<Facts>, Undecided>>,
    /// Checking a signature is a millisecond of CPU: more at once than there are cores would stall everything else.
    cores: Arc<Semaphore>,
    remembered: moka::future::Cache<VerdictKey, Remembered>,
    metrics: Arc<Metrics>,
}

impl Verdicts {
    /// A pipeline under these rules, over these stores.
    #[expect(clippy::too_many_arguments, reason = "the parts of the pipeline, put together once")]
    pub fn new(
        rules: Arc<ArcSwap<Rules>>,
        upstreams: Arc<Upstreams>,
        materials: Arc<Materials>,
        content: Arc<Content>,
        cue: Option<Cue>,
        index: &Arc<Index>,
        fleet: Option<&Fleet>,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let (limits, index) = (cache::Limits { entries: 100_000 }, Some(index.clone()));
        let facts = match fleet {
            Some(fleet) => Memo::shared("facts", limits, index, fleet.conclusions(verify::BUILD)),
            None => Memo::new("facts", limits, index),
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Self {
            rules,
            upstreams,
            materials,
            content,
            cue,
            facts,
            checks: Flights::new(),
            cores: Arc::new(Semaphore::new(cores)),
            remembered: moka::future::Cache::builder().max_capacity(200_000).build(),
            metrics,
        })
    }

    /// Where lists of material and facts were found.
    pub(crate) fn stats(&self) -> [(&'static str, MemoStats); 2] {
        [("material-lists", self.materials.stats().0), ("facts", self.facts.stats())]
    }

    /// What became of discoveries and checks.
    pub(crate) fn flights(&self) -> [(&'static str, FlightStats); 2] {
        [("discovery", self.materials.stats().1), ("verification", self.checks.stats())]
    }

    /// The policies and trust roots in force now.
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// The verdict, if it is remembered.
    pub async fn remembered(
        &self,
        name: &Name,
        digest: Digest,
        no_match: NoMatch,
        request: &Request,
    ) -> Option<Ruling> {
        let rules = self.rules.load();
        rules.in_force().ok()?;
        let key = VerdictKey::new(&rules, name, digest, no_match, request);
        drop(rules);
        let remembered = self.remembered.get(&key).await?;
        let holds = remembered.until.is_none_or(|until| Instant::now() < until);
        holds.then_some(Ruling { verdict: remembered.verdict, source: Source::Memory })
    }

    /// Judges one image. `name` is canonical (see [`Upstreams::canonical`]) and `digest` is sha256.
    ///
    /// # Errors
    /// [`Undecided`] where the registry or the gateway itself kept the answer from being known, or there is nothing to judge
    /// by.
    pub async fn judge(
        &self,
        name: &Name,
        digest: Digest,
        no_match: NoMatch,
        request: &Request,
    ) -> Result<Ruling, Undecided> {
        if let Some(ruling) = self.remembered(name, digest, no_match, request).await {
            return Ok(ruling);
        }
        let rules = self.rules.load_full();
        rules.in_force()?;
        let key = VerdictKey::new(&rules, name, digest, no_match, request);
        let question = Question {
            rules,
            subject: Subject { name: name.clone(), digest },
            request: request.clone(),
            no_match,
        };
        let (verdict, until, source) = self.answer(&question).await?;
        let verdict = Arc::new(verdict);
        self.metrics.judged(&verdict);
        self.remembered.insert(key, Remembered { verdict: verdict.clone(), until }).await;
        Ok(Ruling { verdict, source })
    }

    async fn answer(&self, question: &Question) -> Result<(Verdict, Option<Instant>, Source), Undecided> {
        let mut gathered = self.gather(question).await?;
        let mut lookups = Arc::new(Lookups::default());
        let mut judgement = match self.decide(question, &gathered, &mut lookups).await {
            Ok(judgement) => judgement,
            Err(Gap::Undecided(undecided)) => return Err(undecided),
            // What material says is known, and the material itself is wanted.
            Err(Gap::Gone) => {
                gathered = self.gather_anew(question, Demand::New).await?;
                self.decide(question, &gathered, &mut lookups).await?
            }
        };
        if matches!(judgement.verdict, Verdict::Deny(_)) && gathered.is_stale() {
            // Somebody may have signed since.
            gathered = self.gather_anew(question, Demand::Fresh).await?;
            judgement = self.decide(question, &gathered, &mut lookups).await?;
        }
        gathered.suffices_for(&judgement.verdict)?;
        let denied = matches!(judgement.verdict, Verdict::Deny(_));
        let fresh = gathered.remaining().filter(|_| denied).map(|remaining| Instant::now() + remaining);
        let until = [fresh, judgement.valid_until.map(instant)].into_iter().flatten().min();
        let source = if gathered.discovered() { Source::Registry } else { Source::Facts };
        Ok((judgement.verdict, until, source))
    }

    /// Judges, and looks up what that needs, as often as it needs more.
    async fn decide(
        &self,
        question: &Question,
        gathered: &Gathered,
        lookups: &mut Arc<Lookups>,
    ) -> Result<Judgement, Gap> {
        for _ in 0..ROUNDS {
            match self.sit(question, &gathered.evidence, lookups).await? {
                Ok(judgement) => return Ok(judgement),
                Err(Unjudged::Exceeded { policy, limit }) => {
                    return Err(Undecided::Program(format!("of policy {policy}: {limit}")).into());
                }
                Err(Unjudged::Needs(needs)) => {
                    let lookups = Arc::make_mut(lookups);
                    for need in needs {
                        self.look_up(question, &gathered.evidence, need, lookups).await?;
                    }
                }
            }
        }
        Err(Undecided::Internal("judgement went on asking".into()).into())
    }

    /// One sitting of judgement. Programs may take milliseconds, and so run where signatures are checked.
    async fn sit(
        &self,
        question: &Question,
        evidence: &Arc<Evidence>,
        lookups: &Arc<Lookups>,
    ) -> Result<Result<Judgement, Unjudged>, Undecided> {
        if !question.matching().runs_programs() {
            return Ok(question.judge(evidence, lookups));
        }
        let (question, evidence, lookups) = (question.clone(), evidence.clone(), lookups.clone());
        on_a_core(self.cores.clone(), move || question.judge(&evidence, &lookups)).await
    }
}

/// Does some work of the processor's, of which no more is under way than there are cores.
async fn on_a_core<T: Send + 'static>(
    cores: Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Undecided> {
    let core = cores.acquire_owned().await;
    let core = core.map_err(|_| Undecided::Internal("shutting down".into()))?;
    let done = tokio::task::spawn_blocking(move || {
        let result = work();
        drop(core);
        result
    });
    done.await.map_err(|error| Undecided::Internal(error.to_string()))
}

/// How often judgement may ask for more: statements and configuration files first, then what programs outside say of
/// attestations, then of the whole.
const ROUNDS: usize = 6;

/// What is to be judged, under which rules, for whom.
#[derive(Clone)]
struct Question {
    rules: Arc<Rules>,
    subject: Subject,
    request: Request,
    no_match: NoMatch,
}

impl Question {
    fn matching(&self) -> Matching<'_> {
        let version = TagOrDigest::Digest(self.subject.digest);
        self.rules.policies.matching(&self.subject.name, &version, &self.request)
    }

    fn judge(&self, evidence: &Evidence, lookups: &Lookups) -> Result<Judgement, Unjudged> {
        self.hear(evidence, lookups, |case| judge(case, now()))
    }

    /// Puts the case together and hands it to somebody who judges or explains it.
    fn hear<T>(&self, evidence: &Evidence, lookups: &Lookups, by: impl FnOnce(&Case<'_>) -> T) -> T {
        let matching = self.matching();
        by(&Case { subject: &self.subject, matching: &matching, evidence, lookups, no_match: self.no_match })
    }
}

impl VerdictKey {
    fn new(rules: &Rules, name: &Name, digest: Digest, no_match: NoMatch, request: &Request) -> Self {
        let distinction = rules
            .reads_requests()
            .then(|| rules.policies.matching(name, &TagOrDigest::Digest(digest), request).distinction());
        Self { name: name.clone(), digest, revision: rules.revision(), no_match, distinction }
    }
}

fn now() -> i64 {
    i64::try_from(crate::clock::seconds_since_1970()).unwrap_or(i64::MAX)
}

/// When a moment of the calendar comes.
fn instant(seconds: i64) -> Instant {
    let away = u64::try_from(seconds.saturating_sub(now())).unwrap_or_default();
    // Whatever is a century away is not reached by any process.
    Instant::now() + Duration::from_secs(away.min(100 * 366 * 24 * 60 * 60))
}
