//! The pipeline that both doors call: material, facts, verdict.
//!
//! A verdict is a function of the image's name and digest, the policies and trust roots in force, facts, and whatever of
//! the request policies look at. All of these are in the key that it is remembered under, so a change of any is in force
//! for the next request.

mod evidence;
mod explain;
mod hearing;
mod key;
mod lookups;
mod remembered;
mod renewal;

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use cache::{FlightStats, Flights, Forgets, Index, Limits, Memo, MemoStats, MemoryStats, Shared, Since};
use oci::{Digest, Name, TagOrDigest};
use policies::{
    Case, Evidence, Facts, Judgement, Lookups, Matching, NoMatch, Request, Subject, Unjudged, Verdict, judge,
};
use upstream::Upstream;

use self::evidence::{Gap, Gathered};
pub(crate) use self::explain::Explained;
pub(crate) use self::hearing::Hearing;
use self::hearing::Took;
use self::key::{Remembered, VerdictKey, weight};
use self::remembered::facts_key;
use crate::content::Content;
use crate::cue::Cue;
use crate::fleet::Fleet;
use crate::material::{Demand, Materials};
use crate::metrics::Metrics;
use crate::phase::Phase;
use crate::place::{Place, Upstreams};
use crate::renewals::Renewals;
use crate::rules::Rules;
use crate::turns::Turns;
use crate::undecided::Undecided;

/// A verdict and where it came from.
#[derive(Clone, Debug)]
pub struct Ruling {
    /// The verdict.
    pub verdict: Arc<Verdict>,
    /// How it came about.
    pub hearing: Arc<Hearing>,
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

type FactsKey = (Digest, Digest, String);

/// The table that purges speak of. Verdicts are in no store.
const VERDICTS: &str = "verdicts";

/// How much memory they may take.
const BYTES: u64 = 24 * 1024 * 1024;

const FACTS: Limits = Limits { bytes: 8 * 1024 * 1024, entries: 100_000 };

/// Everything that verdicts are made of and remembered in.
pub struct Verdicts {
    rules: Arc<ArcSwap<Rules>>,
    upstreams: Arc<Upstreams>,
    materials: Arc<Materials>,
    content: Arc<Content>,
    cue: Option<Cue>,
    facts: Memo<FactsKey, Arc<Facts>>,
    checks: Flights<FactsKey, Result<Arc<Facts>, Undecided>>,
    /// Checking a signature is a millisecond of CPU: more at once than there are cores would stall everything else.
    cores: Turns,
    remembered: Arc<cache::Memory<VerdictKey, Remembered>>,
    metrics: Arc<Metrics>,
    renewals: Arc<Renewals>,
    /// What the fleet shares, and how long it keeps that.
    shared: Option<Arc<Shared>>,
    shared_for: Option<Duration>,
    /// For renewals, which outlive whoever begins them.
    this: Weak<Self>,
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
        cores: Turns,
        index: &Arc<Index>,
        fleet: Option<&Fleet>,
        metrics: Arc<Metrics>,
        renewals: Arc<Renewals>,
    ) -> Arc<Self> {
        let bytes = index.domain().bytes(BYTES);
        let index = Some(index.clone());
        let facts = match fleet {
            Some(fleet) => Memo::shared("facts", FACTS, index, fleet.conclusions(verify::BUILD)),
            None => Memo::new("facts", FACTS, index),
        };
        let remembered = Arc::new(cache::Memory::new(bytes, weight));
        if let Some(fleet) = fleet {
            let forgets: Arc<dyn Forgets> = remembered.clone();
            fleet.shared().add(VERDICTS, Arc::downgrade(&forgets));
        }
        Arc::new_cyclic(|this| Self {
            rules,
            upstreams,
            materials,
            content,
            cue,
            facts,
            checks: Flights::new(),
            cores,
            remembered,
            metrics,
            renewals,
            shared: fleet.map(|fleet| fleet.shared().clone()),
            shared_for: fleet.map(Fleet::lifetime),
            this: this.clone(),
        })
    }

    /// Where lists of material and facts were found.
    pub(crate) fn stats(&self) -> [(&'static str, MemoStats); 2] {
        [("material-lists", self.materials.stats().0), ("facts", self.facts.stats())]
    }

    /// What is in memory of each, and of verdicts.
    pub(crate) fn held(&self) -> [(&'static str, MemoryStats); 3] {
        let (lists, facts) = (self.materials.held(), self.facts.held());
        [("material-lists", lists), ("facts", facts), (VERDICTS, self.remembered.stats())]
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
        let key = VerdictKey::new(&rules, name, digest, rules.no_match(no_match, request), request);
        drop(rules);
        let remembered = self.remembered.find(&key)?;
        let now = Instant::now();
        if remembered.until.is_some_and(|until| until <= now) {
            return None;
        }
        if remembered.renew.is_some_and(|renew| renew <= now) {
            self.renew(&key, &remembered, request);
        }
        let Remembered { verdict, hearing, .. } = remembered;
        Some(Ruling { verdict, hearing, source: Source::Memory })
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
        self.find_out(self.question(name, digest, no_match, request)).await
    }

    /// The same for whoever is given this place: where it is theirs by credentials of their own, what has to be found out is
    /// asked of its registry with these.
    ///
    /// # Errors
    /// As [`Verdicts::judge`].
    pub(crate) async fn judge_at(
        &self,
        place: &Place,
        digest: Digest,
        no_match: NoMatch,
        request: &Request,
    ) -> Result<Ruling, Undecided> {
        if let Some(ruling) = self.remembered(&place.name, digest, no_match, request).await {
            return Ok(ruling);
        }
        let by = place.upstream.is_by_caller().then(|| place.upstream.clone());
        self.find_out(Question { by, ..self.question(&place.name, digest, no_match, request) }).await
    }

    async fn find_out(&self, question: Question) -> Result<Ruling, Undecided> {
        let since = self.remembered.since();
        question.rules.in_force()?;
        let (concluded, source) = self.answer(&question).await?;
        let (verdict, hearing) = self.remember(since, &question, concluded);
        Ok(Ruling { verdict, hearing, source })
    }

    /// Where a repository is that a question leads to, as it is given to whom the question is asked for. Credentials of
    /// theirs are for the registry that they were shown for, and no other.
    fn place(&self, question: &Question, named: &Name) -> Result<Place, Undecided> {
        let place = self.upstreams.place(named).ok_or_else(|| Undecided::NoUpstream(named.host.clone()))?;
        match &question.by {
            Some(by) if by.host() == place.upstream.host() => Ok(Place { upstream: by.clone(), ..place }),
            _ if self.upstreams.is_for_callers_alone(&place.name.host) => {
                Err(Undecided::NoCredentials(place.name.host))
            }
            _ => Ok(place),
        }
    }

    fn question(&self, name: &Name, digest: Digest, no_match: NoMatch, request: &Request) -> Question {
        let (rules, subject) = (self.rules.load_full(), Subject { name: name.clone(), digest });
        let no_match = rules.no_match(no_match, request);
        Question { rules, subject, request: request.clone(), no_match, by: None }
    }

    /// Remembers what a question came to, unless anything was purged since it was asked.
    fn remember(
        &self,
        since: Since,
        question: &Question,
        concluded: Concluded,
    ) -> (Arc<Verdict>, Arc<Hearing>) {
        let Concluded { verdict, until, hearing } = concluded;
        let (verdict, hearing) = (Arc::new(verdict), Arc::new(hearing));
        self.metrics.judged(&verdict);
        let renew = self.due(&verdict, until);
        let Subject { name, digest } = &question.subject;
        let key = VerdictKey::new(&question.rules, name, *digest, question.no_match, &question.request);
        let remembered = Remembered { verdict: verdict.clone(), hearing: hearing.clone(), until, renew };
        self.remembered.keep_since(since, &key, remembered);
        (verdict, hearing)
    }

    async fn answer(&self, question: &Question) -> Result<(Concluded, Source), Undecided> {
        let began = Instant::now();
        let mut gathered = self.gather(question).await?;
        let gathering = began.elapsed();
        let mut lookups = Arc::new(Lookups::default());
        let mut judgement = match self.decide(question, &gathered, &mut lookups).await {
            Ok(judgement) => judgement,
            Err(Gap::Undecided(undecided)) => return Err(undecided),
            Err(Gap::Gone) => self.decide_by_material(question, &mut gathered, &mut lookups).await?,
        };
        if matches!(judgement.verdict, Verdict::Deny(_)) && gathered.is_stale() {
            // Somebody may have signed since.
            gathered = self.gather_anew(question, Demand::Fresh).await?;
            judgement = self.decide(question, &gathered, &mut lookups).await?;
        }
        let source = if gathered.discovered() { Source::Registry } else { Source::Facts };
        let took = Took { gathering, judging: began.elapsed().saturating_sub(gathering) };
        Ok((Concluded::of(question, &gathered, judgement, took)?, source))
    }

    /// Judges where what material says is known and the material itself is wanted: of whoever in the fleet finds it first,
    /// and where that does not bring it here, because it is too large to share, of the registry.
    async fn decide_by_material(
        &self,
        question: &Question,
        gathered: &mut Gathered,
        lookups: &mut Arc<Lookups>,
    ) -> Result<Judgement, Undecided> {
        *gathered = self.gather_anew(question, Demand::New).await?;
        match self.decide(question, gathered, lookups).await {
            Err(Gap::Gone) => {}
            judgement => return Ok(judgement?),
        }
        *gathered = self.gather_anew(question, Demand::Own).await?;
        Ok(self.decide(question, gathered, lookups).await?)
    }

    /// Judges, and looks up what that needs, as often as it needs more.
    async fn decide(
        &self,
        question: &Question,
        gathered: &Gathered,
        lookups: &mut Arc<Lookups>,
    ) -> Result<Judgement, Gap> {
        for _ in 0..ROUNDS {
            let sitting = Phase::Judge.time(self.sit(question, &gathered.evidence, lookups));
            match Phase::Judge.wait(sitting).await? {
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

/// A verdict, how it came about, and until when it holds.
struct Concluded {
    verdict: Verdict,
    until: Option<Instant>,
    hearing: Hearing,
}

impl Concluded {
    /// What judgement came to.
    ///
    /// # Errors
    /// Where not enough was looked at for it.
    fn of(
        question: &Question,
        gathered: &Gathered,
        judgement: Judgement,
        took: Took,
    ) -> Result<Self, Undecided> {
        gathered.suffices_for(&judgement.verdict)?;
        let denied = matches!(judgement.verdict, Verdict::Deny(_));
        let fresh = gathered.remaining().filter(|_| denied).map(|remaining| Instant::now() + remaining);
        let until = [fresh, judgement.valid_until.map(instant)].into_iter().flatten().min();
        let hearing = Hearing::new(question, gathered, &judgement.verdict, took);
        Ok(Self { verdict: judgement.verdict, until, hearing })
    }
}

/// Does some work of the processor's, of which no more is under way than there are cores.
async fn on_a_core<T: Send + 'static>(
    cores: Turns,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Undecided> {
    let core = cores.take().await;
    let core = core.ok_or_else(|| Undecided::Internal("shutting down".into()))?;
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
    /// The registry of the image as whoever it is asked for is given it by credentials of their own, if by any.
    by: Option<Arc<Upstream>>,
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

fn now() -> i64 {
    i64::try_from(crate::clock::seconds_since_1970()).unwrap_or(i64::MAX)
}

/// When a moment of the calendar comes.
fn instant(seconds: i64) -> Instant {
    let away = u64::try_from(seconds.saturating_sub(now())).unwrap_or_default();
    // Whatever is a century away is not reached by any process.
    Instant::now() + Duration::from_secs(away.min(100 * 366 * 24 * 60 * 60))
}
