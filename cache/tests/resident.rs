//! What a hundred thousand images take in memory, all of them remembered: a process of its own, so that nothing else is
//! weighed with it.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::sync::Arc;

use cache::{Index, Limits, Links, Memo, Memory, Scope};
use futures_util::future::join_all;
use oci::{Digest, Name};
use tempfile::TempDir;

const IMAGES: u64 = 100_000;

/// How many are kept at once, as many share a transaction.
const AT_ONCE: u64 = 2_000;

const MIB: u64 = 1024 * 1024;

type InRepository = (Name, Digest);

/// How many bytes of memory the process has.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

fn name(number: u64) -> Name {
    let repository = format!("acme/team-{}/service-{}", number % 40, number % 2_000);
    Name { host: "registry.example".parse().unwrap(), repository: repository.parse().unwrap() }
}

fn digest(of: &str, number: u64) -> Digest {
    Digest::of(format!("{of} {number}").as_bytes())
}

/// What a gateway remembers of images, with its limits.
struct Remembered {
    lists: Memo<InRepository, Vec<Digest>>,
    facts: Memo<Digest, String>,
    members: Memo<InRepository, String>,
    links: Links,
    verdicts: Memory<InRepository, Arc<[u8]>>,
}

impl Remembered {
    fn new(index: &Arc<Index>) -> Self {
        let index = || Some(index.clone());
        let limits = |mib| Limits { bytes: mib * MIB, entries: IMAGES };
        Self {
            lists: Memo::new("lists", limits(16), index()),
            facts: Memo::new("facts", limits(16), index()),
            members: Memo::new("members", limits(8), index()),
            links: Links::new(index()),
            verdicts: Memory::new(32 * MIB, |_, verdict| 200 + verdict.len()),
        }
    }

    async fn image(&self, number: u64) {
        let key = (name(number), digest("image", number));
        let material = digest("material", number);
        let parts: Vec<_> = (0..4).map(|part| (digest(&format!("part {part}"), number), 1_000)).collect();
        let scope = Scope::new(&[b"default", key.0.to_string().as_bytes()]);
        self.links.add(&scope, key.1, &parts).await;
        self.facts.keep(material, "f".repeat(1_200)).await;
        self.members.keep(key.clone(), "application/vnd.oci.image.manifest.v1+json".to_owned()).await;
        self.lists.keep(key.clone(), vec![material]).await;
        self.verdicts.keep(&key, vec![0; 700].into());
    }

    async fn knows(&self, number: u64) -> bool {
        let key = (name(number), digest("image", number));
        let list = self.lists.find(&key).await;
        let facts = self.facts.find(&digest("material", number)).await;
        list.is_some() && facts.is_some() && self.members.find(&key).await.is_some()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_images_are_remembered_in_128_mib() {
    let directory = TempDir::new().unwrap();
    let index = Index::open(directory.path()).unwrap();
    let before = resident();
    let remembered = Remembered::new(&index);
    for from in (0..IMAGES).step_by(AT_ONCE as usize) {
        join_all((from..from + AT_ONCE).map(|number| remembered.image(number))).await;
    }
    let taken = resident() - before;
    eprintln!("{} MiB for {IMAGES} images, {} MiB in all", taken / MIB, resident() / MIB);
    for number in (0..IMAGES).step_by(97) {
        assert!(remembered.knows(number).await, "{number}");
    }
    let held = remembered.lists.held();
    eprintln!(
        "lists: {held:?}, facts: {:?}, verdicts: {:?}",
        remembered.facts.held(),
        remembered.verdicts.stats()
    );
    assert!(taken < 128 * MIB, "{} MiB", taken / MIB);
}
