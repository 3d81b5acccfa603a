//! Real Redis servers: one alone, one behind a sentinel, a cluster. Each process ends when its test does.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::parts::{listening, until};

/// A server, which is killed when this is dropped.
pub(super) struct Redis {
    pub(super) port: u16,
    directory: PathBuf,
    arguments: Vec<String>,
    child: Child,
}

impl Redis {
    /// A server on a port of its own that keeps nothing on disk unless it is told to.
    pub(super) async fn start(directory: &Path) -> Self {
        Self::start_with(directory, &[]).await
    }

    /// The same with more arguments.
    pub(super) async fn start_with(directory: &Path, arguments: &[&str]) -> Self {
        let port = free_port();
        let directory = directory.join(format!("redis-{port}"));
        std::fs::create_dir(&directory).unwrap();
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let child = run(&directory, port, &arguments);
        listening((Ipv4Addr::LOCALHOST, port).into()).await;
        Self { port, directory, arguments, child }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The directory that it dumps to.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Asks what an intruder would ask, one command a line, and gives what the server says.
    pub(super) async fn ask(&self, commands: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.unwrap();
        stream.write_all(format!("{commands}\r\n").as_bytes()).await.unwrap();
        // It answers what it was asked, and closes where nobody asks any more.
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let answered = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer));
        answered.await.expect("an answer in time").unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Every key that begins so.
    pub(super) async fn keys(&self, beginnings: &[&str]) -> Vec<String> {
        let all = self.ask("KEYS *").await;
        let ours = |line: &&str| beginnings.iter().any(|beginning| line.starts_with(beginning));
        all.lines().filter(ours).map(str::to_owned).collect()
    }

    /// Puts a copy of what is under one key under another. Says whether there was anything: what is believed for a moment
    /// only may be gone.
    pub(super) async fn copy(&self, from: &str, to: &str) -> bool {
        self.ask(&format!("COPY {from} {to} REPLACE")).await.starts_with(":1")
    }

    pub(super) fn kill(&mut self) {
        // A process that is stopped where it is has to be killed too.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, on the same port and directory.
    pub(super) async fn restart(&mut self) {
        self.child = run(&self.directory, self.port, &self.arguments);
        listening((Ipv4Addr::LOCALHOST, self.port).into()).await;
    }

    /// Stops it where it is: connections stay and nothing answers.
    pub(super) fn pause(&self) {
        self.signal("STOP");
    }

    pub(super) fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        let killed = Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status();
        assert!(killed.unwrap().success());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A master, a follower, and a sentinel that watches over both.
pub(super) struct Watched {
    pub(super) master: Redis,
    pub(super) follower: Redis,
    sentinel: Redis,
}

impl Watched {
    pub(super) async fn start(directory: &Path) -> Self {
        let master = Redis::start(directory).await;
        let port = master.port.to_string();
        let follow = ["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"];
        let follower = Redis::start_with(directory, &follow).await;
        let configuration = directory.join("sentinel.conf");
        let text = format!(
            "sentinel monitor main 127.0.0.1 {port} 1\nsentinel down-after-milliseconds main 500\n\
             sentinel failover-timeout main 5000\n"
        );
        std::fs::write(&configuration, text).unwrap();
        let sentinel = Redis::start_with(directory, &[configuration.to_str().unwrap(), "--sentinel"]).await;
        let watched = Self { master, follower, sentinel };
        until("the follower follows", async || {
            watched.follower.ask("INFO replication").await.contains("master_link_status:up")
        })
        .await;
        until("the sentinel knows both", async || {
            watched.sentinel.ask("INFO sentinel").await.contains("slaves=1")
        })
        .await;
        watched
    }

    pub(super) fn url(&self) -> String {
        format!("redis+sentinel://127.0.0.1:{}/main", self.sentinel.port)
    }

    /// Waits until the follower is the master.
    pub(super) async fn failed_over(&self) {
        until("the follower is the master", async || {
            self.follower.ask("INFO replication").await.contains("role:master")
        })
        .await;
    }
}

/// Three masters, each with a follower.
pub(super) struct Cluster {
    pub(super) nodes: Vec<Redis>,
}

impl Cluster {
    pub(super) async fn start(directory: &Path) -> Self {
        let arguments =
            ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0"];
        let mut nodes = Vec::new();
        for _ in 0..6 {
            nodes.push(Redis::start_with(directory, &arguments).await);
        }
        let addresses: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        let created = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(&addresses)
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .stdout(Stdio::null())
            .status();
        assert!(created.unwrap().success());
        let cluster = Self { nodes };
        until("all nodes are well", async || cluster.well(0).await == 6).await;
        until("followers follow", async || {
            let mut following = 0;
            for node in &cluster.nodes {
                following +=
                    usize::from(node.ask("INFO replication").await.contains("master_link_status:up"));
            }
            following == 3
        })
        .await;
        cluster
    }

    pub(super) fn url(&self) -> String {
        let addresses: Vec<String> =
            self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        format!("redis+cluster://{}", addresses.join(","))
    }

    /// Waits until the follower of the first master, which was killed, has taken over.
    pub(super) async fn failed_over(&self) {
        until("a follower took over", async || {
            let nodes = self.nodes[1].ask("CLUSTER NODES").await;
            let masters = nodes.lines().filter(|line| line.contains("master") && !line.contains("fail"));
            masters.count() == 3 && self.well(1).await == 5
        })
        .await;
    }

    /// How many of the nodes from this one on say that the cluster is well.
    async fn well(&self, first: usize) -> usize {
        let mut well = 0;
        for node in &self.nodes[first..] {
            well += usize::from(node.ask("CLUSTER INFO").await.contains("cluster_state:ok"));
        }
        well
    }
}

fn run(directory: &Path, port: u16, arguments: &[String]) -> Child {
    // What is given comes first: that is where a configuration has to be.
    Command::new("redis-server")
        .args(arguments)
        .args([
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--port",
            &port.to_string(),
            "--dir",
        ])
        .arg(directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed: scripts/install-tools e2e")
}

/// A port that nobody listens on.
pub(super) fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        // A node of a cluster listens on a second port, 10,000 above.
        if port < 55_000 {
            return port;
        }
    }
}
