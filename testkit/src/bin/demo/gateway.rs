//! The gateway, as a process of its own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::ask::Client;
use crate::stage::Stage;

/// How long it may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A gateway that runs.
pub(crate) struct Gateway {
    /// Its pull door.
    pub(crate) registry: SocketAddr,
    /// Its admission door.
    pub(crate) admission: SocketAddr,
    /// Its pages and metrics.
    pub(crate) admin: SocketAddr,
    token: String,
    program: PathBuf,
    configuration: PathBuf,
    authority: PathBuf,
    process: Child,
}

impl Gateway {
    /// Starts it in front of the stage, and waits until it is ready.
    pub(crate) async fn start(program: Option<PathBuf>, stage: &Stage, admin: u16) -> anyhow::Result<Self> {
        let program = match program {
            Some(program) => program,
            None => std::env::current_exe()?.with_file_name("countersign"),
        };
        let [registry, admission, admin] = [0, 0, admin].map(free);
        let (registry, admission, admin) = (registry?, admission?, admin?);
        let mut random = [0; 16];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| anyhow::anyhow!("the system gives nothing random"))?;
        let token = hex::encode(random);
        let configuration = stage.configure(registry.port(), admission.port(), admin.port(), &token)?;
        let mut command = Command::new(&program);
        // The demo's gateway is configured by the demo alone.
        let variables = std::env::vars_os().map(|(name, _)| name);
        for name in variables.filter(|name| name.to_string_lossy().starts_with("COUNTERSIGN__")) {
            command.env_remove(name);
        }
        let mut process = command
            .arg("serve")
            .arg("--config")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{}", program.display()))?;
        let Some(output) = process.stdout.take() else { bail!("the gateway has no output") };
        let mut lines = BufReader::new(output).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await? {
                if line.contains("ready") {
                    return Ok(());
                }
            }
            bail!("the gateway ended: what it said is above");
        };
        tokio::time::timeout(READY_WITHIN, ready).await.context("the gateway was not ready in time")??;
        // Whatever more it says is read, lest it waits for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let authority = stage.webhook_authority();
        Ok(Self { registry, admission, admin, token, program, configuration, authority, process })
    }

    /// A client of its doors.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        Client::new(self.registry, self.admission, &self.authority)
    }

    /// Its page, with what has to be shown there.
    pub(crate) fn page(&self) -> String {
        format!("http://operator:{}@{}/", self.token, self.admin)
    }

    /// The command that shows what it remembers of an image.
    pub(crate) fn inspect(&self) -> String {
        format!(
            "{} cache inspect registry.example/acme/app:v1 --config {}",
            self.program.display(),
            self.configuration.display()
        )
    }

    /// Lets it finish what it has begun, and waits until it is gone.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(id) = self.process.id() {
            Command::new("kill").arg("-TERM").arg(id.to_string()).status().await?;
        }
        if tokio::time::timeout(READY_WITHIN, self.process.wait()).await.is_err() {
            self.process.kill().await?;
        }
        Ok(())
    }
}

/// An address of this machine that nobody listens at: of this port, or of any where it is 0 or taken.
fn free(port: u16) -> anyhow::Result<SocketAddr> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let listener = bind(port).or_else(|_| bind(0)).context("no port is free")?;
    Ok(listener.local_addr()?)
}
