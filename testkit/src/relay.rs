//! A way to a server on this machine that takes as long as it is told.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Passes bytes on as they come, and answers later if it is told to. Dropped, it cuts the connections that are open.
pub struct Relay {
    port: u16,
    delay: watch::Sender<Duration>,
    most: watch::Sender<usize>,
    task: JoinHandle<()>,
}

impl Relay {
    /// A relay on a port of its own to this port, both on loopback.
    #[expect(clippy::expect_used, reason = "a test without a loopback port cannot go on")]
    pub async fn to(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a loopback port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let delay = watch::Sender::new(Duration::ZERO);
        let most = watch::Sender::new(usize::MAX);
        let (delays, mosts) = (delay.subscribe(), most.subscribe());
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (delays, mosts) = (delays.clone(), mosts.clone());
                connections.spawn(async move { drop(pass(client, server, delays, mosts).await) });
            }
        });
        Self { port, delay, most, task }
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on every answer takes so much longer.
    pub fn delay(&self, by: Duration) {
        self.delay.send_replace(by);
    }

    /// From now on a connection is cut once this many bytes of answers came over it, those that came before included.
    pub fn cut_after(&self, bytes: usize) {
        self.most.send_replace(bytes);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(
    mut client: TcpStream,
    server: u16,
    delay: watch::Receiver<Duration>,
    most: watch::Receiver<usize>,
) -> io::Result<()> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let answers = async {
        let (mut buffer, mut passed) = (vec![0; 64 * 1024], 0_usize);
        loop {
            let length = from_server.read(&mut buffer).await?;
            passed += length;
            if length == 0 || passed > *most.borrow() {
                return Ok(());
            }
            let delay = *delay.borrow();
            // Even a sleep of no time at all waits for the clock to tick.
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            to_client.write_all(&buffer[..length]).await?;
        }
    };
    tokio::select! {
        questions = tokio::io::copy(&mut from_client, &mut to_server) => questions.map(drop),
        answered = answers => answered,
    }
}
