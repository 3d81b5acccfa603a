//! A thousand policies, and what they cost. `COUNTERSIGN` names the program that is measured, if not the one that tests are
//! built with.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::super::parts::Running;
use super::world::World;

/// The product as a process of its own, its admin listener and when it was started.
struct Served {
    process: Running,
    admin: String,
    started: Instant,
}

impl Served {
    /// Under this configuration.
    fn start(world: &World, text: &str) -> Self {
        let admin = super::super::parts::free_address();
        let text =
            text.replacen("admin: {listen: '127.0.0.1:0'}", &format!("admin: {{listen: '{admin}'}}"), 1);
        let path = world.plane.directory.path().join("served.yaml");
        std::fs::write(&path, text).unwrap();
        let program = std::env::var_os("COUNTERSIGN");
        let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_countersign").into());
        let started = Instant::now();
        let mut process = Command::new(program)
            .args(["serve", "--config"])
            .arg(&path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        // Whoever stops reading stops a writer in the end.
        std::thread::spawn(move || output.lines().map_while(Result::ok).for_each(drop));
        Self { process: Running(process), admin: format!("http://{admin}/readyz"), started }
    }

    /// How long it took until it was ready.
    async fn ready(&self) -> Duration {
        for _ in 0..6000 {
            if super::super::parts::answers(&self.admin).await == Some(200) {
                return self.started.elapsed();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it is not ready");
    }

    /// Its memory, in MiB.
    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().split(' ').next().unwrap().parse::<u64>().unwrap() / 1024
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_policies_fit() {
    let mut world = World::without_gateway().await;
    let mut text = String::new();
    for index in 0..1000 {
        let policy = world.policy("v1beta1", &format!("p{index}"), &format!("registry.example/p{index}/**"));
        write!(text, "---\n{policy}").unwrap();
    }
    let directory = world.plane.directory.path().join("policies");
    let file = directory.join("policies.yaml");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(&file, text).unwrap();
    world.plane.does(&["create", "-f", &file.display().to_string()]);

    let by_cluster = std::fs::read_to_string(world.configuration("")).unwrap();
    let served = Served::start(&world, &by_cluster);
    let with = served.ready().await;
    // It leads, and tells what came of them, one by one.
    world.until_told("p0", "True").await;
    let resident = served.resident();
    drop(served);

    world.plane.stop_api_server();
    let served = Served::start(&world, &by_cluster);
    let away = served.ready().await;
    drop(served);

    let (begins, ends) =
        (by_cluster.find("kubernetes: true").unwrap(), by_cluster.find("}\nupstreams").unwrap());
    let by_files =
        format!("{}directory: {}{}", &by_cluster[..begins], directory.display(), &by_cluster[ends..]);
    let served = Served::start(&world, &by_files);
    let without = served.ready().await;
    let alone = served.resident();
    // For whoever asks for the figures.
    eprintln!(
        "1000 policies: ready after {with:?} with an API server and {away:?} while it is away, {resident} MiB resident; \
         of files, after {without:?}, {alone} MiB"
    );
    // A build that is not optimised is larger than the one that runs somewhere.
    assert!(resident < 96 && alone < 96, "{resident} and {alone} MiB");
}
