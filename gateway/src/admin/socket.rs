//! The admin socket: whoever may open it may operate the gateway, and that is its owner alone.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};

/// How long another process may take to answer for a socket.
const PATIENCE: Duration = Duration::from_secs(1);

/// A socket that is listened on. Its file goes with it.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    file: u64,
}

impl Socket {
    /// Makes the socket, in place of one that a process left which is no more.
    ///
    /// # Errors
    /// Where another process listens on it, where there is something else than a socket, or what the system says.
    pub(crate) async fn bind(path: &Path) -> io::Result<Self> {
        refuse_to_replace(path).await?;
        // Made where nobody else can reach it, so that it is never there with other rights than it is to have.
        let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let aside = tempfile::Builder::new().prefix(".").rand_bytes(6).tempdir_in(directory)?;
        let made = aside.path().join("s");
        let listener = UnixListener::bind(&made)?;
        std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&made, path)?;
        let file = std::fs::symlink_metadata(path)?.ino();
        Ok(Self { listener, path: path.to_owned(), file })
    }

    /// The next who opens it.
    pub(crate) async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let ours = std::fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.file);
        if ours && let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "the admin socket cannot be removed");
        }
    }
}

async fn refuse_to_replace(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(file) if !file.file_type().is_socket() => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "something else than a socket is there",
            ));
        }
        Ok(_) => {}
    }
    match tokio::time::timeout(PATIENCE, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(Err(error)) => Err(error),
        Ok(Ok(_)) | Err(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens on it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn its_owner_alone_may_open_it_and_it_goes_with_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let socket = Socket::bind(&path).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let (opened, accepted) = tokio::join!(UnixStream::connect(&path), socket.accept());
        assert!(opened.is_ok() && accepted.is_ok());
        drop(socket);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn one_that_a_process_left_is_replaced_and_one_that_lives_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        // A process that is killed leaves its file.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let socket = Socket::bind(&path).await.unwrap();
        let refused = Socket::bind(&path).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        let (opened, accepted) = tokio::join!(UnixStream::connect(&path), socket.accept());
        assert!(opened.is_ok() && accepted.is_ok(), "the one that lives still does");
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        std::fs::write(&path, "mine").unwrap();
        assert_eq!(Socket::bind(&path).await.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }
}
