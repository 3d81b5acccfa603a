//! A noisy neighbour: what a tenant who has everything at hand notices of another who pulls whatever nobody has.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use oci::Digest;
use testkit::image::Image;
use tokio::time::MissedTickBehavior;

use super::parts::Served;
use crate::stage::{DoorClient, release};
use crate::tenants::{Two, nightly, of, pull};

/// How many images are pulled that nobody has, in CI; by hand `COUNTERSIGN_NOISE` says.
const COLD: u64 = 300;

/// Names another build of the program to measure: a release, say.
const PROGRAM: &str = "COUNTERSIGN_NOISE_PROGRAM";

/// How many of those at once.
const AT_ONCE: usize = 64;

/// How many images the other tenant has at hand.
const WARM: u64 = 20;

/// How many requests it makes with nobody beside it.
const ALONE: usize = 2_000;

/// How much time is between two of its requests.
const PACE: Duration = Duration::from_millis(5);

/// What a quiet tenant was answered.
#[derive(Default)]
struct Heard {
    /// How long it took, and whether it was for a blob.
    took: Vec<(bool, Duration)>,
    hits: usize,
}

impl Heard {
    fn quantile(&self, of_blobs: bool, of: f64) -> Duration {
        let took = self.took.iter().filter(|(is_blob, _)| *is_blob == of_blobs);
        let mut took: Vec<_> = took.map(|(_, took)| *took).collect();
        took.sort();
        took[((took.len() - 1) as f64 * of) as usize]
    }

    fn hit_rate(&self) -> f64 {
        self.hits as f64 / self.took.len() as f64
    }
}

/// The quiet tenant: on a thread of its own, so that the noise does not take the time that it measures with.
struct Quiet {
    registry: SocketAddr,
    admission: SocketAddr,
    admin: SocketAddr,
    ca: PathBuf,
    paths: Vec<String>,
}

impl Quiet {
    /// Asks again and again, a request every so often, until it is enough.
    fn asks(&self, enough: impl Fn(usize) -> bool + Send + 'static) -> JoinHandle<Heard> {
        let (registry, admission, admin) = (self.registry, self.admission, self.admin);
        let (ca, paths) = (self.ca.clone(), self.paths.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let client = DoorClient::new(registry, admission, admin, &ca);
                let (mut heard, mut pace) = (Heard::default(), tokio::time::interval(PACE));
                pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
                for path in paths.iter().cycle() {
                    if enough(heard.took.len()) {
                        break;
                    }
                    pace.tick().await;
                    let begun = Instant::now();
                    let reply = pull(&client, "b", path).await;
                    heard.took.push((path.contains("/blobs/"), begun.elapsed()));
                    assert_eq!(reply.status, 200, "{reply:?}");
                    heard.hits += usize::from(reply.header("countersign-cache") == "hit");
                }
                heard
            })
        })
    }
}

/// Pushes images of a repository, each signed for one tenant.
fn push(two: &Two, repository: &str, seeds: std::ops::Range<u64>, workflow: &str) -> Vec<Image> {
    let identity = if workflow == "release" { release() } else { nightly() };
    let push = |seed: u64| {
        let image = Image::random(seed);
        image.push_to(&two.stage.origin, repository, Some(&format!("v{seed}")));
        two.stage.sign(repository, &image.digest(), &identity);
        image
    };
    seeds.map(push).collect()
}

/// A process that serves both, with less disk than the noise would fill.
async fn process(two: &Two) -> Served {
    let keys = two.keys(&[two.tenant("a", ""), two.tenant("b", "")], "").replace(", accessFreshness: 0s", "");
    let path = two.stage.configuration(&keys);
    let text = std::fs::read_to_string(&path).unwrap().replace("/storage}", "/storage, limit: 2MiB}");
    std::fs::write(&path, text).unwrap();
    let program = std::env::var_os(PROGRAM).unwrap_or_else(|| env!("CARGO_BIN_EXE_countersign").into());
    Served::by(Command::new(program), &path, &two.stage.directory.path().join("storage")).await
}

/// A pull as a client makes it: what the tag means, the manifest, and a layer.
async fn pulls(gateway: &DoorClient, seed: u64, image: &Image) {
    let tagged = pull(gateway, "a", &of("acme/noise", &format!("manifests/v{seed}"))).await;
    assert_eq!(tagged.status, 200, "{tagged:?}");
    let layer = Digest::of(&image.layers[1]);
    let layer = pull(gateway, "a", &of("acme/noise", &format!("blobs/{layer}"))).await;
    assert_eq!((layer.status.as_u16(), layer.bytes()), (200, &image.layers[1]), "{layer:?}");
}

#[expect(clippy::print_stderr, reason = "figures that are reported and not asserted")]
fn report(alone: &Heard, beside: &Heard, cold: u64, took: Duration) {
    eprintln!(
        "noise: {cold} cold pulls in {took:.1?} ({:.0}/s), {} warm requests beside them, {:.2} % of them hits",
        cold as f64 / took.as_secs_f64(),
        beside.took.len(),
        beside.hit_rate() * 100.0,
    );
    for (what, of_blobs) in [("manifest", false), ("blob", true)] {
        let [a50, a99, b50, b99] = [(alone, 0.5), (alone, 0.99), (beside, 0.5), (beside, 0.99)]
            .map(|(heard, of)| heard.quantile(of_blobs, of));
        eprintln!(
            "noise: a warm {what}: alone p50 {a50:.1?} p99 {a99:.1?}, beside p50 {b50:.1?} p99 {b99:.1?}: p99 x{:.2}",
            b99.as_secs_f64() / a99.as_secs_f64()
        );
    }
}

fn ca(directory: &Path) -> PathBuf {
    directory.join("storage/ca.pem")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_has_all_at_hand_still_has_it_while_another_pulls_what_nobody_has() {
    let cold = std::env::var("COUNTERSIGN_NOISE").map_or(COLD, |cold| cold.parse().unwrap());
    let two = Two::new().await;
    let warm = push(&two, "acme/warm", 0..WARM, "nightly");
    let noise = push(&two, "acme/noise", WARM..WARM + cold, "release");
    let gateway = process(&two).await;
    let paths = warm.iter().flat_map(|image| {
        let layer = Digest::of(&image.layers[1]);
        [format!("manifests/{}", image.digest()), format!("blobs/{layer}")].map(|what| of("acme/warm", &what))
    });
    let paths: Vec<String> = paths.collect();
    let quiet = Quiet {
        registry: gateway.registry,
        admission: gateway.doors.admission(),
        admin: gateway.doors.admin_address(),
        ca: ca(two.stage.directory.path()),
        paths,
    };
    let times = quiet.paths.len();
    let warming = quiet.asks(move |asked| asked == times);
    tokio::task::spawn_blocking(|| warming.join().unwrap()).await.unwrap();
    let alone = quiet.asks(|asked| asked == ALONE);
    let alone = tokio::task::spawn_blocking(|| alone.join().unwrap()).await.unwrap();

    let over = Arc::new(AtomicBool::new(false));
    let told = over.clone();
    let beside = quiet.asks(move |asked| asked > 0 && told.load(Ordering::Relaxed));
    let begun = Instant::now();
    let doors = &gateway.doors;
    let flood = noise.iter().zip(WARM..).map(|(image, seed)| pulls(doors, seed, image));
    futures_util::stream::iter(flood).buffer_unordered(AT_ONCE).for_each(async |()| ()).await;
    let took = begun.elapsed();
    over.store(true, Ordering::Relaxed);
    let beside = tokio::task::spawn_blocking(|| beside.join().unwrap()).await.unwrap();

    report(&alone, &beside, cold, took);
    assert!((alone.hit_rate() - 1.0).abs() < f64::EPSILON, "{}", alone.hit_rate());
    assert!(beside.hit_rate() >= 0.95, "{} of {}", beside.hits, beside.took.len());
}
