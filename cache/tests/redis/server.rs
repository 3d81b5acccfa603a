//! Redis servers, each a process on a port of its own with a directory of its own.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::{Client, Connection, FromRedisValue};
use tempfile::TempDir;

/// A server. It is killed when this is dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) directory: TempDir,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// A server that keeps nothing on disk unless it is told to.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// A server with these arguments too.
    pub(crate) fn with(arguments: &[&str]) -> Self {
        let server = Self::unready(free_port(), arguments);
        server.until_it_answers();
        server
    }

    /// A server on this port that may never answer plainly.
    pub(crate) fn unready(port: u16, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut server = Self { port, directory: TempDir::new().unwrap(), arguments, child: None };
        server.run();
        server
    }

    /// Starts it again, on the same port and directory.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.run();
        self.until_it_answers();
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A process that is stopped has to be killed too.
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Stops it where it is: connections stay and nothing answers.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Somebody who may write whatever there is.
    pub(crate) fn intruder(&self) -> Connection {
        Client::open(self.url()).unwrap().get_connection_with_timeout(Duration::from_secs(5)).unwrap()
    }

    pub(crate) fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(*word);
        }
        command.query(&mut self.intruder()).unwrap()
    }

    fn run(&mut self) {
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
            .arg(self.directory.path())
            .args(["--port", &self.port.to_string()])
            .args(&self.arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is installed: scripts/install-tools e2e");
        self.child = Some(child);
    }

    pub(crate) fn until_it_answers(&self) {
        until("the server answers", || {
            let client = Client::open(self.url()).unwrap();
            let connection = client.get_connection_with_timeout(Duration::from_millis(200));
            connection.is_ok_and(|mut connection| redis::cmd("PING").query::<String>(&mut connection).is_ok())
        });
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        // A node of a cluster listens on a second port, 10,000 above.
        if port < 55_000 {
            return port;
        }
    }
}

/// Asks until it is so, with a deadline.
#[track_caller]
#[expect(
    clippy::disallowed_methods,
    reason = "servers are started before there is anything that could be held up"
)]
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
