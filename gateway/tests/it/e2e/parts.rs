//! Programs that the end-to-end tests run, each ended when its test is.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use oci::{Digest, MANIFEST_ACCEPT, MediaType};

use crate::stage::{DoorClient, HOST};

/// A program that runs in the background.
pub(super) struct Running(pub(super) Child);

impl Running {
    /// Kills it where it is: nothing is finished, and nothing given back.
    pub(super) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Runs a program to its end.
pub(super) fn run(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments);
    command
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; `scripts/install-tools e2e` installs it"))
}

/// Runs a program, with one more argument, to its end.
pub(super) fn run_all(command: &[String], last: &str) -> Output {
    let arguments: Vec<&str> = command.iter().skip(1).map(String::as_str).chain([last]).collect();
    run(&command[0], &arguments)
}

/// What a registry answers to a GET of a manifest at this URL.
pub(super) async fn status(url: &str) -> u16 {
    try_status(url).await.unwrap()
}

/// The same, if it answers at all.
pub(super) async fn try_status(url: &str) -> Option<u16> {
    let request = Request::get(url).header(header::ACCEPT, MediaType::OCI_MANIFEST);
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request.body(Empty::<Bytes>::new()).unwrap()).await;
    answer.ok().map(|answer| answer.status().as_u16())
}

/// The same, where perhaps nobody answers.
pub(super) async fn answers(url: &str) -> Option<u16> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    client.get(url.parse().unwrap()).await.ok().map(|answer| answer.status().as_u16())
}

/// An answer, read whole.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// What a registry answers to a GET of this URL by somebody who takes every manifest.
pub(super) async fn get(url: &str) -> Answer {
    let request = Request::get(url).header(header::ACCEPT, MANIFEST_ACCEPT);
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

pub(super) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Waits until somebody listens there. Programs that are not ours have no other way to say that they are ready.
pub(super) async fn listening(address: SocketAddr) {
    for _ in 0..200 {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nobody listens on {address}");
}

/// Waits until something is so, for as long as a test may take. For what has no event that could be awaited: programs
/// that are not ours, files that are looked at now and then.
#[track_caller]
pub(super) fn until(what: &str, mut so: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    let caller = Location::caller();
    async move {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !so().await {
            assert!(Instant::now() < deadline, "{caller}: waited in vain until {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Debian's `docker-registry`, and its log.
pub(super) struct Origin {
    pub(super) url: String,
    log: PathBuf,
    _process: Running,
}

impl Origin {
    pub(super) async fn start(directory: &Path) -> Self {
        let address = free_address();
        let (config, log) = (directory.join("registry.yaml"), directory.join("registry.log"));
        let text = format!(
            "version: 0.1\nlog: {{accesslog: {{disabled: false}}, level: warn}}\n\
             storage: {{filesystem: {{rootdirectory: {}/registry}}}}\nhttp: {{addr: '{address}'}}\n",
            directory.display()
        );
        std::fs::write(&config, text).unwrap();
        let output = File::create(&log).unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("docker-registry: {error}; `scripts/install-tools e2e` installs it")
            });
        let process = Running(process);
        listening(address).await;
        Self { url: format!("http://{address}"), log, _process: process }
    }

    /// The host and the port.
    pub(super) fn host(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// The lines of its access log that are reads, by whom it was in them.
    pub(super) fn reads(&self) -> Vec<String> {
        let log = std::fs::read_to_string(&self.log).unwrap();
        let is_read = |line: &&str| line.contains("\"GET /v2/") || line.contains("\"HEAD /v2/");
        log.lines().filter(is_read).map(str::to_owned).collect()
    }

    /// Every read that the origin's own access log has is Countersign's.
    pub(super) fn nobody_went_round(&self) {
        let reads = self.reads();
        assert!(
            reads.iter().any(|line| line.contains("countersign/")),
            "the log does not show who reads: {reads:?}"
        );
        for line in reads {
            for client in ["skopeo", "containerd", "containers/", "libpod/", "podman"] {
                assert!(!line.contains(client), "{line}");
            }
        }
    }
}

/// The product itself, as its binary.
pub(super) struct Served {
    pub(super) registry: SocketAddr,
    pub(super) doors: DoorClient,
    pub(super) process: Running,
    config: PathBuf,
    log: Arc<Mutex<String>>,
}

impl Served {
    pub(super) async fn start(directory: &Path, origin: &str, trusted_root: &str, policy: &str) -> Self {
        let upstreams = format!("upstreams: [{{host: {HOST}, endpoint: '{origin}'}}]");
        Self::start_with(directory, &upstreams, trusted_root, policy).await
    }

    /// The same with upstreams of its own, a line of YAML.
    pub(super) async fn start_with(
        directory: &Path,
        upstreams: &str,
        trusted_root: &str,
        policy: &str,
    ) -> Self {
        let policies = directory.join("policies");
        std::fs::create_dir(&policies).unwrap();
        std::fs::write(policies.join("policy.yaml"), policy).unwrap();
        std::fs::write(directory.join("trusted_root.json"), trusted_root).unwrap();
        let config = directory.join("countersign.yaml");
        let text = format!(
            "registry: {{listen: '127.0.0.1:0'}}\nadmission: {{listen: '127.0.0.1:0'}}\nadmin: {{listen: '127.0.0.1:0'}}\n\
             storage: {{path: {0}/storage}}\ntrust: {{root: {{file: {0}/trusted_root.json}}}}\n\
             policies: {{directory: {0}/policies}}\n{upstreams}\n",
            directory.display()
        );
        std::fs::write(&config, text).unwrap();
        Self::of(&config, &directory.join("storage")).await
    }

    /// A process of this configuration, whose storage is there.
    pub(super) async fn of(config: &Path, storage: &Path) -> Self {
        Self::by(Command::new(env!("CARGO_BIN_EXE_countersign")), config, storage).await
    }

    /// The same, started by this command, which is given the arguments.
    pub(super) async fn by(mut command: Command, config: &Path, storage: &Path) -> Self {
        let mut process =
            command.args(["serve", "--config"]).arg(config).stdout(Stdio::piped()).spawn().unwrap();
        let output = process.stdout.take().unwrap();
        let (process, log) = (Running(process), Arc::default());
        let logged = Arc::clone(&log);
        let [registry, admission, admin] =
            tokio::task::spawn_blocking(move || addresses(output, logged)).await.unwrap();
        let doors = DoorClient::new(registry, admission, admin, &storage.join("ca.pem"));
        Self { registry, doors, process, config: config.to_owned(), log }
    }

    /// What it has logged since it was ready.
    pub(super) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until it has logged a line at this level that says so.
    #[track_caller]
    pub(super) fn logs(&self, level: &str, what: &str) -> impl Future<Output = ()> {
        let says = move |line: &str| line.contains(level) && line.contains(what);
        until("it is logged", async move || self.log().lines().any(says))
    }

    /// The pull door and `countersign verify` both allow an image, or both deny it.
    pub(super) async fn agrees(&self, image: &str, allowed: bool, what: &str) {
        let (name, digest) = image.split_once('@').unwrap();
        let url = format!("http://{}/v2/{name}/manifests/{digest}", self.registry);
        assert_eq!(status(&url).await, if allowed { 200 } else { 403 }, "{what}");
        let config = self.config.display().to_string();
        let asked = run(env!("CARGO_BIN_EXE_countersign"), &["verify", image, "--config", &config]);
        assert_eq!(asked.status.code(), Some(i32::from(!allowed)), "{what}: {asked:?}");
    }
}

/// Where the doors are, as the product says when it is ready. What it says afterwards is added to its log.
fn addresses(output: ChildStdout, log: Arc<Mutex<String>>) -> [SocketAddr; 3] {
    let mut lines = BufReader::new(output).lines();
    let mut after = |mark: &str| -> SocketAddr {
        let line =
            lines.by_ref().map_while(Result::ok).find_map(|line| Some(line.split_once(mark)?.1.to_owned()));
        let line = line.expect("countersign did not start");
        line.split(['/', ' ']).next().unwrap().parse().unwrap()
    };
    let addresses = [after("docker://"), after("https://"), after("http://")];
    // Whoever stops reading stops a writer in the end.
    std::thread::spawn(move || {
        lines.map_while(Result::ok).for_each(|line| *log.lock().unwrap() += &(line + "\n"));
    });
    addresses
}

/// containerd, with its own root, state and socket, told that the gateway is the registry.
pub(super) struct Containerd {
    socket: String,
    hosts: String,
    _process: Running,
}

impl Containerd {
    pub(super) async fn start(directory: &Path, gateway: &str) -> Self {
        let root = directory.join("containerd");
        let hosts = root.join("certs.d");
        std::fs::create_dir_all(hosts.join(HOST)).unwrap();
        let text = format!(
            "server = \"http://{gateway}\"\n[host.\"http://{gateway}\"]\n  capabilities = [\"pull\", \"resolve\"]\n"
        );
        std::fs::write(hosts.join(HOST).join("hosts.toml"), text).unwrap();
        let socket = root.join("containerd.sock");
        let config = root.join("config.toml");
        let text = format!(
            "version = 2\nroot = \"{0}/root\"\nstate = \"{0}/state\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\n  address = \"{1}\"\n",
            root.display(),
            socket.display()
        );
        std::fs::write(&config, text).unwrap();
        let log = File::create(root.join("log")).unwrap();
        let process = Command::new("containerd")
            .arg("--config")
            .arg(&config)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("containerd: {error}; `scripts/install-tools e2e` installs it"));
        let process = Running(process);
        for _ in 0..200 {
            if tokio::net::UnixStream::connect(&socket).await.is_ok() {
                let [socket, hosts] = [socket, hosts].map(|path| path.display().to_string());
                return Self { socket, hosts, _process: process };
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("containerd did not start: {}", std::fs::read_to_string(root.join("log")).unwrap());
    }

    pub(super) fn pull(&self, reference: &str) -> Output {
        run_all(&self.puller("ctr", &self.hosts), reference)
    }

    /// The command that pulls an image, which comes last, by a directory of hosts: with `ctr`, which is containerd's of
    /// Debian, or with `ctr2`, in which the newer version resolves and fetches by itself.
    pub(super) fn puller(&self, ctr: &str, hosts: &str) -> Vec<String> {
        let local: &[&str] = if ctr == "ctr2" { &["--local"] } else { &[] };
        let address = [ctr, "--address", &self.socket, "images", "pull"];
        let how = ["--hosts-dir", hosts, "--snapshotter", "native"];
        [&address, local, &how].concat().into_iter().map(str::to_owned).collect()
    }

    pub(super) fn content(&self, digest: &Digest) -> Vec<u8> {
        let output = run("ctr", &["--address", &self.socket, "content", "get", &digest.to_string()]);
        assert!(output.status.success(), "{output:?}");
        output.stdout
    }
}
