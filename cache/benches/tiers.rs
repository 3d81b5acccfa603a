//! What a look costs in each tier, the shared one on a real server with 64 who ask at once.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the stage is our own, and a bench that fails says so"
)]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::hint::black_box;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cache::{Label, Limits, Memo, Seals, Settings, Shared, Sharing, What};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const ENTRIES: u64 = 1_000;
const CALLERS: u64 = 64;
/// How often a caller looks where the machine is not to be busy: 16,000 looks a second, a quarter of what two cores can.
const PAUSE: Duration = Duration::from_millis(4);
const DAY: Duration = Duration::from_secs(24 * 3600);

struct Server {
    child: Child,
    url: String,
    _directory: TempDir,
}

impl Server {
    fn start() -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let directory = TempDir::new().unwrap();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string(), "--dir"])
            .arg(directory.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed: scripts/install-tools e2e");
        Self { child, url: format!("redis://127.0.0.1:{port}"), _directory: directory }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn seals() -> Seals {
    Seals::new(&[std::array::from_fn(|at| at as u8)]).unwrap()
}

async fn memo(server: &Server) -> Memo<String, String> {
    let settings = Settings { budget: Duration::from_secs(1), ..Settings::new(&server.url, seals()) };
    let shared = Shared::connect(settings, None).unwrap();
    shared.answers().await;
    let sharing = Sharing::new(shared, What::Conclusions, DAY);
    Memo::shared("bench", Limits { bytes: 128 * 1024 * 1024, entries: 100_000 }, None, sharing)
}

fn tiers(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let server = Server::start();
    let memo = Arc::new(runtime.block_on(memo(&server)));
    let value = "v".repeat(512);
    let keys: Vec<String> =
        (0..ENTRIES).map(|number| format!("registry.example/acme/app-{number}")).collect();
    runtime.block_on(async {
        for key in &keys {
            memo.keep(key.clone(), value.clone()).await;
        }
    });

    let mut at = 0;
    criterion.bench_function("memory", |bencher| {
        bencher.iter(|| {
            at = (at + 1) % keys.len();
            black_box(memo.find_in_memory(&keys[at])).unwrap()
        });
    });

    let (seals, key) = (seals(), [7; 100]);
    let label = Label { domain: "default", table: "bench", build: "", key: &key };
    let sealed = seals.seal(label, value.as_bytes(), u64::MAX, 0).unwrap();
    criterion.bench_function("seal", |bencher| {
        bencher.iter(|| seals.seal(black_box(label), value.as_bytes(), u64::MAX, 0).unwrap());
    });
    criterion.bench_function("open", |bencher| {
        bencher.iter(|| seals.open(black_box(label), &sealed, 0).unwrap());
    });

    criterion.bench_function("shared, one caller", |bencher| {
        bencher.iter(|| runtime.block_on(memo.find_shared(&keys[7])).unwrap());
    });
    let mut group = criterion.benchmark_group("shared");
    group.throughput(Throughput::Elements(CALLERS));
    group.bench_function("64 callers", |bencher| {
        bencher.iter(|| {
            let looks = keys[..CALLERS as usize].iter().cloned().map(|key| {
                let memo = memo.clone();
                runtime.spawn(async move { memo.find_shared(&key).await.unwrap() })
            });
            runtime.block_on(join_all(looks))
        });
    });
    group.finish();
    percentiles(&runtime, &memo, &keys, None);
    percentiles(&runtime, &memo, &keys, Some(PAUSE));
}

/// How long single looks take while 64 callers look as fast as they can, or each begins one so often.
fn percentiles(
    runtime: &Runtime,
    memo: &Arc<Memo<String, String>>,
    keys: &[String],
    every: Option<Duration>,
) {
    let callers = (0..CALLERS as usize).map(|caller| {
        let (memo, keys) = (memo.clone(), keys.to_vec());
        async move {
            let mut ticks = every.map(tokio::time::interval);
            let mut took = Vec::new();
            for look in 0..1_000 {
                if let Some(ticks) = &mut ticks {
                    ticks.tick().await;
                }
                let begun = Instant::now();
                memo.find_shared(&keys[(caller * 131 + look) % keys.len()]).await.unwrap();
                took.push(begun.elapsed());
            }
            took
        }
    });
    let begun = Instant::now();
    let all = runtime.block_on(join_all(callers.map(|caller| runtime.spawn(caller))));
    let rate = (CALLERS * 1_000) as f64 / begun.elapsed().as_secs_f64();
    let mut took: Vec<Duration> = all.into_iter().flat_map(Result::unwrap).collect();
    took.sort_unstable();
    let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize];
    let how = every.map_or_else(|| "without a pause".to_owned(), |every| format!("one each {every:?}"));
    println!(
        "shared, 64 callers {how}: p50 {:?}, p99 {:?}, p99.9 {:?}, {rate:.0} a second",
        at(0.5),
        at(0.99),
        at(0.999)
    );
}

criterion_group!(benches, tiers);
criterion_main!(benches);
