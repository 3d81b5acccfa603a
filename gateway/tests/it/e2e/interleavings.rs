//! What is remembered and what would be computed afresh are one, whatever happened before and in whatever order.
//!
//! Two tenants, each with policies, trust roots and revocations of its own at each of three replicas, share one Redis
//! and one seal key, under prefixes of their own: until there are tenants within a gateway, that is how they are told
//! apart. Rules change at one replica and not at the others, tags move, Redis is emptied, an intruder copies what is in
//! it from place to place, replicas are restarted. Whatever is answered then is compared with what a gateway answers that
//! knows nothing of all this, under the same rules.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use oci::Digest;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use testkit::authority::{Authority, Identity};
use testkit::policy::release;
use tokio::runtime::Runtime;

use super::replicas::{Fleet, Keys, image, manifest};
use crate::stage::{DoorClient, Gateway, HOST, POLICY, Stage};

const TENANTS: usize = 2;
const REPLICAS: usize = 3;
const IMAGES: usize = 7;
const TAGS: usize = 3;

/// How many steps are taken, more or less, where `COUNTERSIGN_STEPS` says nothing else: every question is one, and so is
/// everything that is done.
const STEPS: usize = 3_000;

/// How many acts a world sees at most, and how many steps an act is on average.
const ACTS: usize = 600;
const STEPS_AN_ACT: usize = 5;

/// How long a tag's meaning is believed.
const TAG_FRESHNESS: Duration = Duration::from_millis(40);

/// The rules in force at one replica.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Rules {
    policy: u8,
    root: u8,
    revocation: u8,
}

/// Whom a step is about.
#[derive(Clone, Copy, Debug)]
struct Whom {
    tenant: usize,
    replica: usize,
}

/// What is asked of a gateway.
#[derive(Clone, Copy, Debug)]
enum Question {
    Review(usize),
    Pull(usize),
    PullByTag(usize),
}

#[derive(Clone, Debug)]
enum Act {
    /// Several at once.
    Ask(Vec<(Whom, Question)>),
    /// Other rules at one replica.
    Change(Whom, Rules),
    MoveTag(usize, usize),
    /// The intruder copies one thing over another, chosen by these numbers.
    Copy(usize, usize),
    Empty,
    Restart(Whom),
}

/// What was answered, decision numbers apart.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Answer {
    status: u16,
    text: String,
}

fn whom() -> impl Strategy<Value = Whom> {
    (0..TENANTS, 0..REPLICAS).prop_map(|(tenant, replica)| Whom { tenant, replica })
}

fn rules() -> impl Strategy<Value = Rules> {
    (0..3_u8, 0..2_u8, 0..3_u8).prop_map(|(policy, root, revocation)| Rules { policy, root, revocation })
}

fn question() -> impl Strategy<Value = Question> {
    prop_oneof![
        4 => (0..IMAGES).prop_map(Question::Review),
        2 => (0..IMAGES).prop_map(Question::Pull),
        1 => (0..TAGS).prop_map(Question::PullByTag),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        200 => prop::collection::vec((whom(), question()), 1..12).prop_map(Act::Ask),
        20 => (whom(), rules()).prop_map(|(whom, rules)| Act::Change(whom, rules)),
        20 => (0..TAGS, 0..IMAGES).prop_map(|(tag, image)| Act::MoveTag(tag, image)),
        20 => (any::<usize>(), any::<usize>()).prop_map(|(from, to)| Act::Copy(from, to)),
        4 => Just(Act::Empty),
        2 => whom().prop_map(Act::Restart),
    ]
}

impl Rules {
    /// Writes them to where a gateway reads them.
    fn write(self, directory: &Path, world: &Images) {
        let policy = match self.policy {
            0 => POLICY.to_owned(),
            1 => POLICY.replace("release.yaml", "nightly.yaml"),
            _ => format!(
                "{}    - static: {{action: fail, message: frozen}}\n",
                POLICY.split("    - keyless").next().unwrap()
            ),
        };
        let what = match self.revocation {
            0 => None,
            1 => Some(format!("digests: [{{digest: '{}'}}]", world.digests[0])),
            _ => Some(format!("identities: [{{issuer: '{ISSUER}', subject: '{SUBJECT}'}}]")),
        };
        let policies = directory.join("policies");
        std::fs::create_dir_all(&policies).unwrap();
        std::fs::write(policies.join("policy.yaml"), policy).unwrap();
        let revocation = policies.join("revocation.yaml");
        match what {
            Some(what) => {
                std::fs::write(revocation, format!("{REVOCATION}spec: {{reason: leaked, {what}}}\n")).unwrap()
            }
            None => drop(std::fs::remove_file(revocation)),
        }
        let root = world.authorities[usize::from(self.root)].trusted_root();
        std::fs::write(directory.join("trusted_root.json"), root).unwrap();
    }
}

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const SUBJECT: &str = "https://github.com/acme/app/.github/workflows/release.yaml@refs/heads/main";
const REVOCATION: &str =
    "apiVersion: policy.countersign.dev/v1alpha1\nkind: Revocation\nmetadata: {name: leak}\n";

/// What there is to ask for: signed by this authority or that, or both, as this identity or that, or not at all.
struct Images {
    digests: Vec<Digest>,
    authorities: [Authority; 2],
}

impl Images {
    fn push_to(stage: &Stage) -> Self {
        let authorities = [Authority::new("first"), Authority::new("second")];
        let nightly = Identity::github_workflow("acme/app", "nightly.yaml@refs/heads/main");
        let signers: [&[(usize, Identity)]; IMAGES] = [
            &[(0, release())],
            &[(0, nightly.clone())],
            &[(1, release())],
            &[(1, nightly.clone())],
            &[(0, release()), (1, nightly.clone())],
            &[(0, nightly), (0, release()), (1, release())],
            &[],
        ];
        let push = |(seed, signers): (usize, &&[(usize, Identity)])| {
            let digest = stage.unsigned(seed as u64, "acme/app", &format!("seed-{seed}")).digest();
            let sign = |(by, identity): &(usize, Identity)| {
                authorities[*by].sign(&digest, &format!("{HOST}/acme/app"), identity)
            };
            let layers: Vec<_> = signers.iter().map(sign).collect();
            if !layers.is_empty() {
                stage.attach("acme/app", &digest, &layers);
            }
            digest
        };
        let digests = signers.iter().enumerate().map(push).collect();
        Self { digests, authorities }
    }
}

/// The replicas, and what is known of the rest of the world.
struct World {
    fleet: Fleet,
    images: Images,
    replicas: Vec<Vec<Option<Gateway>>>,
    rules: Vec<Vec<Rules>>,
    /// What each tag ever meant, and since when.
    tags: Vec<Vec<(Instant, usize)>>,
}

/// What gateways answered that knew nothing, by the rules and the question.
#[derive(Default)]
struct Afresh(HashMap<(Rules, usize), [Answer; 2]>);

impl World {
    async fn new() -> Self {
        let fleet = Fleet::new().await;
        let images = Images::push_to(&fleet.stage);
        let begun = Instant::now();
        let tags = (0..TAGS).map(|tag| vec![(begun, tag)]).collect();
        for tag in 0..TAGS {
            fleet.stage.origin.tag("acme/app", &format!("t{tag}"), images.digests[tag]);
        }
        let rules = vec![vec![Rules { policy: 0, root: 0, revocation: 0 }; REPLICAS]; TENANTS];
        let mut world = Self { fleet, images, replicas: Vec::new(), rules, tags };
        for tenant in 0..TENANTS {
            let mut replicas = Vec::new();
            for replica in 0..REPLICAS {
                replicas.push(Some(world.start(Whom { tenant, replica }).await));
            }
            world.replicas.push(replicas);
        }
        world
    }

    async fn start(&self, whom: Whom) -> Gateway {
        let name = format!("{}-{}", whom.tenant, whom.replica);
        let directory = self.fleet.stage.directory.path().join(format!("rules-{name}"));
        self.rules[whom.tenant][whom.replica].write(&directory, &self.images);
        let keys = self.fleet.keys();
        let keys = Keys {
            redis: format!("{}, prefix: tenant-{}", keys.redis, whom.tenant),
            registry: format!("tagFreshness: {}ms", TAG_FRESHNESS.as_millis()),
            policies: directory.join("policies"),
            trust: format!("root: {{file: {}/trusted_root.json}}", directory.display()),
        };
        self.fleet.replica_with(&name, &keys).await
    }

    fn replica(&self, whom: Whom) -> &Gateway {
        self.replicas[whom.tenant][whom.replica].as_ref().unwrap()
    }

    /// Does what is to be done, and says how many steps that was.
    async fn perform(&mut self, act: &Act, afresh: &mut Afresh) -> Result<usize, TestCaseError> {
        match act {
            Act::Ask(questions) => return self.ask(questions, afresh).await,
            Act::Change(whom, rules) => {
                self.rules[whom.tenant][whom.replica] = *rules;
                let name = format!("rules-{}-{}", whom.tenant, whom.replica);
                rules.write(&self.fleet.stage.directory.path().join(name), &self.images);
                self.replica(*whom).reload().await;
            }
            Act::MoveTag(tag, image) => {
                self.fleet.stage.origin.tag("acme/app", &format!("t{tag}"), self.images.digests[*image]);
                self.tags[*tag].push((Instant::now(), *image));
            }
            Act::Copy(from, to) => {
                let keys = self.fleet.redis.keys(&["tenant-"]).await;
                if !keys.is_empty() {
                    let (from, to) = (&keys[from % keys.len()], &keys[to % keys.len()]);
                    if from != to {
                        self.fleet.redis.copy(from, to).await;
                    }
                }
            }
            Act::Empty => drop(self.fleet.redis.ask("FLUSHALL").await),
            Act::Restart(whom) => {
                let stopped = self.replicas[whom.tenant][whom.replica].take().unwrap();
                stopped.stop().await;
                let started = self.start(*whom).await;
                self.replicas[whom.tenant][whom.replica] = Some(started);
            }
        }
        Ok(1)
    }

    /// Asks all at once, and compares every answer.
    async fn ask(&self, questions: &[(Whom, Question)], afresh: &mut Afresh) -> Result<usize, TestCaseError> {
        let begun = Instant::now();
        let asking = questions.iter().map(|(whom, question)| self.answer(*whom, *question));
        let answers = join_all(asking).await;
        for ((whom, question), (answer, served)) in questions.iter().zip(answers) {
            let rules = self.rules[whom.tenant][whom.replica];
            let may_be = match question {
                Question::Review(image) => vec![afresh.of(rules, *image, &self.images).await[0].clone()],
                Question::Pull(image) => vec![afresh.of(rules, *image, &self.images).await[1].clone()],
                Question::PullByTag(tag) => {
                    let mut may_be = Vec::new();
                    for meant in self.meant(*tag, begun) {
                        // What is served is the very image that the answer is about.
                        if served.is_none_or(|served| served == self.images.digests[meant]) {
                            may_be.push(afresh.of(rules, meant, &self.images).await[1].clone());
                        }
                    }
                    may_be
                }
            };
            prop_assert!(
                may_be.contains(&answer),
                "{whom:?} under {rules:?} was asked for {question:?} and said {answer:?}; afresh it is {may_be:?}"
            );
        }
        Ok(questions.len())
    }

    async fn answer(&self, whom: Whom, question: Question) -> (Answer, Option<Digest>) {
        let replica = self.replica(whom);
        match question {
            Question::Review(image) => (review(replica, &self.images.digests[image]).await, None),
            Question::Pull(image) => pull(replica, &self.images.digests[image].to_string()).await,
            Question::PullByTag(tag) => pull(replica, &format!("t{tag}")).await,
        }
    }

    /// What a tag meant at some time that may be believed by now.
    fn meant(&self, tag: usize, asked: Instant) -> Vec<usize> {
        let moves = &self.tags[tag];
        let ended = |at: usize| moves.get(at + 1).map(|(moved, _)| *moved);
        let believed = |at: &usize| ended(*at).is_none_or(|ended| ended + TAG_FRESHNESS + TICK >= asked);
        (0..moves.len()).filter(believed).map(|at| moves[at].1).collect()
    }
}

/// What a question that was under way when a tag moved may add to its age.
const TICK: Duration = Duration::from_millis(5);

impl Afresh {
    /// What a gateway says at its doors that was started for this, with nothing on its disk and nobody to ask but the
    /// registry.
    async fn of(&mut self, rules: Rules, image: usize, images: &Images) -> &[Answer; 2] {
        if !self.0.contains_key(&(rules, image)) {
            let stage = Stage::new().await;
            let there = Images::push_to(&stage);
            rules.write(stage.directory.path(), images);
            std::fs::remove_file(stage.directory.path().join("policies/acme.yaml")).unwrap();
            let gateway = stage.gateway().await;
            for (at, digest) in there.digests.iter().enumerate() {
                let reviewed = review(&gateway, digest).await;
                let (pulled, _) = pull(&gateway, &digest.to_string()).await;
                self.0.insert((rules, at), [reviewed, pulled]);
            }
        }
        &self.0[&(rules, image)]
    }
}

async fn review(gateway: &DoorClient, digest: &Digest) -> Answer {
    let response = gateway.validate(&[&image(digest)]).await;
    let status = if response["allowed"] == true { 200 } else { response["status"]["code"].as_u64().unwrap() };
    Answer {
        status: status as u16,
        text: undated(response["status"]["message"].as_str().unwrap_or_default()),
    }
}

/// The answer, and which manifest it served.
async fn pull(gateway: &DoorClient, version: &str) -> (Answer, Option<Digest>) {
    let reply = gateway.get(&manifest(version)).await;
    let status = reply.status.as_u16();
    if status == 200 {
        let served = Digest::of(reply.bytes());
        return (Answer { status, text: served.to_string() }, Some(served));
    }
    let text = reply.json()["errors"][0]["message"].as_str().unwrap_or_default().to_owned();
    (Answer { status, text: undated(&text) }, None)
}

/// A message without the number of the decision, which is at its end.
fn undated(message: &str) -> String {
    message.split("decision ").next().unwrap().trim_end().to_owned()
}

#[test]
fn what_is_remembered_is_what_would_be_computed_afresh() {
    let steps = std::env::var("COUNTERSIGN_STEPS").map_or(STEPS, |steps| steps.parse().unwrap());
    let runtime = Runtime::new().unwrap();
    // Set by hand, it is another run every time; in CI all runs are one.
    let seed = if steps == STEPS { RngSeed::Fixed(5) } else { RngSeed::Random };
    let acts = steps.div_ceil(STEPS_AN_ACT);
    let worlds = acts.div_ceil(ACTS);
    let config = Config {
        cases: worlds as u32,
        rng_seed: seed,
        max_shrink_iters: 64,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let begun = Instant::now();
    let afresh = tokio::sync::Mutex::new(Afresh::default());
    let taken = AtomicUsize::new(0);
    let outcome = runner.run(&prop::collection::vec(act(), acts.div_ceil(worlds)), |acts| {
        runtime.block_on(async {
            let mut world = World::new().await;
            let mut afresh = afresh.lock().await;
            for act in &acts {
                taken.fetch_add(world.perform(act, &mut afresh).await?, Ordering::Relaxed);
            }
            progress(taken.load(Ordering::Relaxed), begun.elapsed());
            Ok(())
        })
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    report(taken.into_inner(), begun.elapsed(), runtime.block_on(afresh.lock()).0.len());
}

#[expect(clippy::print_stderr, reason = "a long run says how far it is")]
fn progress(steps: usize, took: Duration) {
    eprintln!("interleavings: {steps} steps so far, in {took:.0?}");
}

#[expect(clippy::print_stderr, reason = "figures that are reported and not asserted")]
fn report(steps: usize, took: Duration, afresh: usize) {
    eprintln!(
        "interleavings: {steps} steps in {took:.1?}, compared with {afresh} answers that were computed afresh"
    );
}
