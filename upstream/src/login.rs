//! Where the credentials for an endpoint come from.

mod docker;
mod file;
mod helper;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::credentials::Credentials;

pub use docker::DockerLogin;
pub(crate) use file::Mark;

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
    /// The task that looked ended early.
    #[error("a task ended before its work was done")]
    Lost,
}

/// Credentials, and how long they are good for if they say so.
#[derive(Debug)]
pub(crate) struct Lent {
    pub(crate) credentials: Credentials,
    /// For how long they are not asked for again, unless they are refused.
    pub(crate) lifetime: Option<Duration>,
}

/// What is known before any program is run.
pub(crate) enum Written {
    Credentials(Credentials),
    /// This program has them.
    Helper {
        program: String,
        server: String,
    },
}

impl Login {
    /// Whether the files that this names are there and make sense. No program is run.
    ///
    /// # Errors
    /// What is wrong first.
    pub fn check(&self) -> Result<(), LoginError> {
        self.read().map(drop)
    }

    /// What the files say now. Blocks.
    fn read(&self) -> Result<Written, LoginError> {
        match self {
            Self::Fixed(credentials) => Ok(Written::Credentials(credentials.clone())),
            Self::Files { username, password } => {
                let credentials = Credentials::new(file::one_line(username)?, file::one_line(password)?);
                Ok(Written::Credentials(credentials))
            }
            Self::Docker(docker) => docker.read(),
        }
    }

    /// The marks of the files, which differ where they changed. Blocks.
    pub(crate) fn marks(&self) -> Vec<Mark> {
        match self {
            Self::Fixed(_) => Vec::new(),
            Self::Files { username, password } => vec![Mark::of(username), Mark::of(password)],
            Self::Docker(docker) => vec![Mark::of(docker.path())],
        }
    }

    /// The credentials as they are now.
    pub(crate) async fn lend(&self) -> Result<Lent, LoginError> {
        let this = self.clone();
        let read = tokio::task::spawn_blocking(move || this.read());
        match read.await.map_err(|_| LoginError::Lost)?? {
            Written::Credentials(credentials) => Ok(Lent { credentials, lifetime: None }),
            Written::Helper { program, server } => {
                let environment = match self {
                    Self::Docker(docker) => docker.environment(),
                    Self::Fixed(_) | Self::Files { .. } => &[],
                };
                let credentials = helper::ask(&program, &server, environment).await?;
                Ok(Lent { credentials, lifetime: Some(helper::LIFETIME) })
            }
        }
    }
}

impl From<Credentials> for Login {
    fn from(credentials: Credentials) -> Self {
        Self::Fixed(credentials)
    }
}
