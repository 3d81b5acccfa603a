//! Every answer to one of two tenants is that of a gateway which has this tenant alone, byte for byte.

use std::path::PathBuf;
use std::time::Instant;

use oci::Digest;
use serde_json::{Value, json};
use testkit::authority::SignatureManifest;

use super::{Two, admit, nightly, pull_with};
use crate::stage::{Gateway, HOST, Reply, Stage, pod, release, review};

const TENANTS: [&str; 2] = ["a", "b"];

/// How many requests are made in CI; by hand `COUNTERSIGN_TENANT_REQUESTS` says.
const REQUESTS: usize = 240;

/// What there is to ask about: an image, and the repository that it is in.
struct Asked {
    host: &'static str,
    repository: &'static str,
    tag: String,
    digest: Digest,
    layer: Digest,
}

/// The gateway that has both tenants, and one for each of them alone.
pub(crate) struct Compared {
    two: Two,
    images: Vec<Asked>,
    /// Of the one that has both, and of those that have one each.
    configurations: [PathBuf; 3],
    both: Gateway,
    alone: [Gateway; 2],
    random: Random,
}

/// What only `b` may ask, without showing anything there.
const OF_B: &str = "docker.io";

/// How many requests are made between two starts of all gateways.
const UNTIL_RESTART: usize = 10_000;

/// Numbers that are the same in every run with the same seed (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }
}

impl Compared {
    /// Over this stage; `cache(name)` is what a gateway of this name shares with others, as lines of YAML.
    pub(crate) async fn over(stage: Stage, cache: impl Fn(&str) -> String, seed: u64) -> Self {
        let two = Two::on(stage);
        let images = push(&two);
        let [a, b] = TENANTS.map(|name| two.tenant(name, ""));
        let b = b.replace("upstreams: [", &format!("upstreams: [{{host: {OF_B}}}, "));
        let configure = |name: &str, tenants: &[String]| {
            let keys = format!("{}{}", two.keys(tenants, ""), cache(name));
            let path = two.stage.configuration(&keys);
            let text = std::fs::read_to_string(&path).unwrap().replace("/storage}", &format!("/{name}}}"));
            let own = two.stage.directory.path().join(format!("{name}.yaml"));
            std::fs::write(&own, text).unwrap();
            own
        };
        let configurations = [
            configure("both", &[a.clone(), b.clone()]),
            configure("alone-a", &[a]),
            configure("alone-b", &[b]),
        ];
        let (both, alone) = started(&configurations).await;
        Self { images, configurations, both, alone, random: Random(seed), two }
    }

    /// Makes so many requests of each kind of gateway, and says how many were compared.
    pub(crate) async fn run(mut self, requests: usize) -> usize {
        let mut answered = std::collections::BTreeMap::<u16, usize>::new();
        for number in 0..requests {
            if self.random.below(40) == 0 {
                self.change_rights();
            }
            if self.random.below(200) == 0 {
                self.change_policies().await;
            }
            if number % UNTIL_RESTART == UNTIL_RESTART / 2 {
                self = self.restarted().await;
            }
            let tenant = self.random.below(2);
            let status = if self.random.below(4) == 0 {
                self.review(tenant, number).await
            } else {
                self.pull(tenant, number).await
            };
            *answered.entry(status).or_default() += 1;
        }
        // It would mean little if all were refused.
        assert!(
            requests < 200 || [200, 403, 404].iter().all(|status| answered.contains_key(status)),
            "{answered:?}"
        );
        requests
    }

    fn change_rights(&mut self) {
        let (user, repository) =
            (TENANTS[self.random.below(2)], ["acme/private-a", "acme/private-b"][self.random.below(2)]);
        if self.random.below(2) == 0 {
            self.two.rights.give(user, repository);
        } else {
            self.two.rights.take(user, repository);
        }
    }

    /// Has one of them want what the other wants, or what it wanted before.
    async fn change_policies(&mut self) {
        let name = TENANTS[self.random.below(2)];
        let workflow = ["release.yaml", "nightly.yaml"][self.random.below(2)];
        self.two.want(name, workflow);
        for gateway in [&self.both, &self.alone[0], &self.alone[1]] {
            gateway.reload().await;
        }
    }

    /// Everything that is remembered is then what is on disk.
    async fn restarted(self) -> Self {
        let Self { two, images, configurations, both, alone, random } = self;
        both.stop().await;
        for gateway in alone {
            gateway.stop().await;
        }
        let (both, alone) = started(&configurations).await;
        Self { two, images, configurations, both, alone, random }
    }

    async fn pull(&mut self, tenant: usize, number: usize) -> u16 {
        let asked = &self.images[self.random.below(self.images.len())];
        let (digest, layer) = (asked.digest, asked.layer);
        let what = match self.random.below(10) {
            0 => format!("manifests/{}", asked.tag),
            1..=3 => format!("manifests/{digest}"),
            4..=6 => format!("blobs/{layer}"),
            7 => format!("referrers/{digest}"),
            8 => "tags/list".to_owned(),
            _ => format!("manifests/{}", SignatureManifest::tag_for(&digest)),
        };
        let path = if self.random.below(3) == 0 {
            format!("/v2/{}/{what}?ns={}", asked.repository, asked.host)
        } else {
            format!("/v2/{}/{}/{what}", asked.host, asked.repository)
        };
        let method = ["GET", "HEAD"][self.random.below(2)];
        let entity = format!("\"{digest}\"");
        let headers: &[(&str, &str)] = match self.random.below(6) {
            0 => &[("range", "bytes=0-9")],
            1 => &[("if-none-match", &entity)],
            2 => &[("x-forwarded-host", "b.mirror.example")],
            _ => &[],
        };
        let name = TENANTS[tenant];
        let together = pull_with(&self.both, method, name, &path, headers).await;
        let alone = pull_with(&self.alone[tenant], method, name, &path, headers).await;
        let is_blob = path.contains("/blobs/");
        assert_eq!(
            as_compared(&together, is_blob),
            as_compared(&alone, is_blob),
            "request {number}: {name} {method} {path} {headers:?}"
        );
        together.status.as_u16()
    }

    async fn review(&mut self, tenant: usize, number: usize) -> u16 {
        let asked = &self.images[self.random.below(self.images.len())];
        let image = format!("{}/{}@{}", asked.host, asked.repository, asked.digest);
        let namespace = format!("ns-{}", TENANTS[tenant]);
        if self.random.below(4) == 0 {
            let mut review = review(&pod(&[&format!("{}/{}:{}", asked.host, asked.repository, asked.tag)]));
            review["request"]["namespace"] = json!(namespace);
            let ask = async |gateway: &Gateway| {
                let reply = gateway.post("/admission/mutate", review.to_string()).await;
                anonymous(&reply.json())
            };
            assert_eq!(
                ask(&self.both).await,
                ask(&self.alone[tenant]).await,
                "request {number}: {namespace} {image}"
            );
            return 200;
        }
        let together = anonymous(&admit(&self.both, &namespace, &image).await);
        let alone = anonymous(&admit(&self.alone[tenant], &namespace, &image).await);
        assert_eq!(together, alone, "request {number}: {namespace} {image}");
        if together["allowed"] == true { 200 } else { 403 }
    }
}

async fn started(configurations: &[PathBuf; 3]) -> (Gateway, [Gateway; 2]) {
    let [both, a, b] = configurations;
    (Gateway::start(both).await, [Gateway::start(a).await, Gateway::start(b).await])
}

/// Images of every kind there is to tell apart: in whose repository, and signed by whom.
fn push(two: &Two) -> Vec<Asked> {
    let mut images = Vec::new();
    for (at, repository) in ["acme/private-a", "acme/private-b", "acme/public"].into_iter().enumerate() {
        for (kind, signers) in
            [vec![release()], vec![nightly()], vec![release(), nightly()], vec![]].into_iter().enumerate()
        {
            // The same image in two repositories has the same digest.
            let seed = if kind == 2 { 99 } else { (at * 10 + kind) as u64 };
            let tag = format!("v{kind}");
            let image = two.stage.unsigned(seed, repository, &tag);
            let digest = image.digest();
            let sign =
                |identity| two.stage.authority.sign(&digest, &format!("{HOST}/{repository}"), identity);
            let layers: Vec<_> = signers.iter().map(sign).collect();
            if !layers.is_empty() {
                two.stage.attach(repository, &digest, &layers);
            }
            let layer = Digest::of(image.blobs().next().unwrap());
            images.push(Asked { host: HOST, repository, tag: tag.clone(), digest, layer });
            if repository == "acme/public" {
                // The same registry, under the name that only one may ask it by.
                images.push(Asked { host: OF_B, repository, tag, digest, layer });
            }
        }
    }
    images
}

/// An answer without what is another in every answer: its name and its time.
fn as_compared(reply: &Reply, is_blob: bool) -> (u16, Vec<(String, String)>, Result<String, String>) {
    let is_of_it = |name: &str| {
        // A blob is at hand from when it was written, which whoever read it does not wait for.
        !(matches!(name, "countersign-decision" | "date") || is_blob && name == "countersign-cache")
    };
    let headers = reply.headers.iter().filter(|(name, _)| is_of_it(name.as_str()));
    let mut headers: Vec<_> = headers
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    headers.sort();
    let is_json = reply.header("content-type") == "application/json" && reply.status != 200;
    let body = match &reply.body {
        Ok(bytes) if is_json && !bytes.is_empty() => Ok(anonymous(&reply.json()).to_string()),
        Ok(bytes) => Ok(Digest::of(bytes).to_string()),
        Err(error) => Err(error.clone()),
    };
    // An error's length is that of its name too.
    if is_json {
        headers.retain(|(name, _)| name != "content-length");
    }
    (reply.status.as_u16(), headers, body)
}

/// The same without the name of the decision, wherever it is.
fn anonymous(answer: &Value) -> Value {
    match answer {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| *name != "decision")
            .map(|(name, value)| (name.clone(), anonymous(value)))
            .collect(),
        Value::Array(all) => all.iter().map(anonymous).collect(),
        Value::String(text) => text.split("\ndecision ").next().unwrap().into(),
        Value::Null | Value::Bool(_) | Value::Number(_) => answer.clone(),
    }
}

/// How many requests there are to be.
pub(crate) fn requests() -> usize {
    std::env::var("COUNTERSIGN_TENANT_REQUESTS").map_or(REQUESTS, |requests| requests.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_that_of_a_gateway_with_this_tenant_alone() {
    let compared = Compared::over(Stage::new().await, |_| String::new(), 7).await;
    let begun = Instant::now();
    report(compared.run(requests()).await, begun);
}

#[expect(clippy::print_stderr, reason = "figures that are reported and not asserted")]
pub(crate) fn report(requests: usize, begun: Instant) {
    eprintln!(
        "tenants: {requests} requests, each answered as by a gateway with that tenant alone, in {:.1?}",
        begun.elapsed()
    );
}
