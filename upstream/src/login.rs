//! Where the credentials for an endpoint come from.

mod acr;
mod cloud;
mod docker;
mod ecr;
mod exchange;
mod file;
mod gar;
mod helper;
mod pull_secret;
mod signature;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::credentials::Credentials;

pub use acr::Acr;
pub use cloud::{Cloud, CloudLogin};
pub use docker::DockerLogin;
pub use ecr::Ecr;
pub(crate) use file::Mark;
pub use gar::{GOOGLE_METADATA, Gar};
pub use pull_secret::{InvalidPullSecret, PullSecret};

/// Where the credentials for an endpoint come from. Files are read again when they change.
#[derive(Clone, Debug)]
pub enum Login {
    /// They are known.
    Fixed(Credentials),
    /// One file each, as Kubernetes mounts them.
    Files {
        /// The user name's file.
        username: PathBuf,
        /// The password's file.
        password: PathBuf,
    },
    /// A Docker `config.json`, and the programs that it names.
    Docker(DockerLogin),
    /// Whoever runs us says who we are.
    Cloud(CloudLogin),
}

/// Why there are no credentials. No secret is in it.
#[derive(Clone, Debug, Error)]
pub enum LoginError {
    /// A file cannot be read.
    #[error("{}: cannot be read", .0.display())]
    Unreadable(PathBuf, #[source] Arc<std::io::Error>),
    /// A file is larger than any such file.
    #[error("{}: is too large", .0.display())]
    TooLarge(PathBuf),
    /// A file is not what it should be.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A program that keeps credentials gave none.
    #[error("{program}: {reason}")]
    Helper {
        /// The program.
        program: String,
        /// What it did instead.
        reason: String,
    },
    /// A service that gives out credentials gave none.
    #[error("{service} {reason}")]
    Service {
        /// The service.
        service: &'static str,
        /// What it did instead.
        reason: String,
    },
    /// The task that looked ended early.
    #[error("a task ended before its work was done")]
    Lost,
}

/// Credentials, and how long they are good for.
#[derive(Debug)]
pub(crate) struct Lent {
    pub(crate) credentials: Credentials,
    /// For how long nobody asks for others, unless these are refused.
    pub(crate) fresh: Option<Duration>,
    /// For how long they are shown at all.
    pub(crate) valid: Option<Duration>,
}

/// What a Docker configuration says of a registry.
enum Written {
    Credentials(Credentials),
    /// This program has them.
    Helper {
        program: String,
        server: String,
    },
}

impl Login {
    /// Whether the files that this names are there and make sense. No program is run, and nobody asked. Blocks.
    ///
    /// # Errors
    /// What is wrong first.
    pub fn check(&self) -> Result<(), LoginError> {
        match self {
            Self::Fixed(_) => Ok(()),
            Self::Files { username, password } => files(username, password).map(drop),
            Self::Docker(docker) => docker.read().map(drop),
            Self::Cloud(cloud) => cloud.check(),
        }
    }

    /// The marks of the files, which differ where they changed. Blocks.
    pub(crate) fn marks(&self) -> Vec<Mark> {
        match self {
            // What a cloud mounts is made anew all the time, and what it was exchanged for lasts longer.
            Self::Fixed(_) | Self::Cloud(_) => Vec::new(),
            Self::Files { username, password } => vec![Mark::of(username), Mark::of(password)],
            Self::Docker(docker) => vec![Mark::of(docker.path())],
        }
    }

    /// The credentials as they are now.
    pub(crate) async fn lend(&self) -> Result<Lent, LoginError> {
        match self {
            Self::Fixed(credentials) => Ok(Lent::for_good(credentials.clone())),
            Self::Files { username, password } => {
                let (username, password) = (username.clone(), password.clone());
                blocking(move || files(&username, &password)).await.map(Lent::for_good)
            }
            Self::Docker(docker) => {
                let reading = docker.clone();
                match blocking(move || reading.read()).await? {
                    Written::Credentials(credentials) => Ok(Lent::for_good(credentials)),
                    Written::Helper { program, server } => {
                        let credentials = helper::ask(&program, &server, docker.environment()).await?;
                        Ok(Lent { fresh: Some(helper::LIFETIME), ..Lent::for_good(credentials) })
                    }
                }
            }
            Self::Cloud(cloud) => cloud.lend().await,
        }
    }
}

impl Lent {
    /// Until they change or are refused.
    fn for_good(credentials: Credentials) -> Self {
        Self { credentials, fresh: None, valid: None }
    }

    /// For a time, before the end of which others are asked for.
    fn for_a_while(credentials: Credentials, valid: Duration) -> Self {
        let fresh = valid.saturating_sub((valid / 5).min(Duration::from_secs(5 * 60)));
        Self { credentials, fresh: Some(fresh), valid: Some(valid) }
    }
}

fn files(username: &Path, password: &Path) -> Result<Credentials, LoginError> {
    Ok(Credentials::new(file::one_line(username)?, file::one_line(password)?))
}

/// Reads files where nothing else waits for them.
async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, LoginError> + Send + 'static,
) -> Result<T, LoginError> {
    tokio::task::spawn_blocking(read).await.map_err(|_| LoginError::Lost)?
}

impl From<Credentials> for Login {
    fn from(credentials: Credentials) -> Self {
        Self::Fixed(credentials)
    }
}
