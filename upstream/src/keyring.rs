//! The credentials for one endpoint, kept until they change.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::credentials::Credentials;
use crate::error::{FetchError, Outage};
use crate::login::{Lent, Login, Mark};

/// Credentials, wherever they come from. All who need them at once share one look.
pub(crate) struct Keyring {
    login: Option<Login>,
    /// Held while somebody looks, so that one does. Nobody who has what he needs waits for it.
    kept: Mutex<Option<Kept>>,
    /// Another number whenever the credentials are others.
    serial: AtomicU64,
}

struct Kept {
    credentials: Credentials,
    marks: Vec<Mark>,
    /// From when on others are asked for, and until when these are shown at all.
    fresh_until: Option<Instant>,
    valid_until: Option<Instant>,
    lent_at: Instant,
    looked_at: Instant,
    refused: bool,
}

/// How often it is looked whether files changed.
const LOOK: Duration = Duration::from_secs(1);
/// How long credentials are kept though a registry refuses them: a program is not run for every refusal.
const AT_LEAST: Duration = Duration::from_secs(5);

impl Keyring {
    pub(crate) fn new(login: Option<Login>) -> Self {
        Self { login, kept: Mutex::default(), serial: AtomicU64::new(0) }
    }

    /// A number that is another one once the credentials are others. It is looked, now and then, whether they are.
    pub(crate) async fn serial(&self) -> u64 {
        if let Some(login) = &self.login
            && let Ok(mut slot) = self.kept.try_lock()
            && let Some(kept) = slot.as_mut()
            && !kept.marks.is_empty()
            && kept.looked_at.elapsed() >= LOOK
        {
            let before = kept.marks.clone();
            let now = marks(login).await;
            kept.looked_at = Instant::now();
            if now.is_some_and(|now| now != before) {
                self.renew(login, kept).await;
            }
        }
        self.serial.load(Ordering::SeqCst)
    }

    /// The credentials as they are now, or nothing where none are configured; and their [number](Self::serial).
    ///
    /// # Errors
    /// They could not be had, which is an outage like any other: it says nothing of the content.
    pub(crate) async fn credentials(&self) -> Result<(Option<Credentials>, u64), FetchError> {
        let Some(login) = &self.login else { return Ok((None, 0)) };
        let mut slot = self.kept.lock().await;
        if let Some(kept) = slot.as_mut() {
            if over(kept.fresh_until) || (kept.refused && kept.is_old_enough()) {
                self.renew(login, kept).await;
            }
            // What has ended would be refused, which must not be taken for a refusal of us.
            if over(kept.valid_until) {
                *slot = None;
            }
        }
        if slot.is_none() {
            *slot = Some(lend(login).await?);
            self.serial.fetch_add(1, Ordering::SeqCst);
        }
        let credentials = slot.as_ref().map(|kept| kept.credentials.clone());
        Ok((credentials, self.serial.load(Ordering::SeqCst)))
    }

    /// A registry refuses what was shown. Where it comes from is looked at anew.
    pub(crate) async fn refused(&self) {
        if let Some(kept) = self.kept.lock().await.as_mut() {
            kept.refused = true;
        }
    }

    /// Replaces what is kept by what there is now. What is kept stays where there is nothing better: a file may be in the
    /// middle of being written.
    async fn renew(&self, login: &Login, kept: &mut Kept) {
        match lend(login).await {
            Ok(now) => {
                if now.credentials != kept.credentials {
                    self.serial.fetch_add(1, Ordering::SeqCst);
                    tracing::info!("the credentials for an upstream changed");
                }
                *kept = now;
            }
            Err(error) => {
                let error = chain(&error);
                tracing::warn!(%error, "the credentials for an upstream could not be had anew, those before stay");
                kept.refused = false;
                kept.fresh_until = kept.fresh_until.map(|_| Instant::now() + AT_LEAST);
            }
        }
    }
}

impl Kept {
    /// Files cost nothing to read again. What a program said does.
    fn is_old_enough(&self) -> bool {
        self.fresh_until.is_none() || self.lent_at.elapsed() >= AT_LEAST
    }
}

fn over(end: Option<Instant>) -> bool {
    end.is_some_and(|end| Instant::now() >= end)
}

async fn lend(login: &Login) -> Result<Kept, FetchError> {
    // Before they are read: a change in between is then seen as one.
    let marks = marks(login).await.unwrap_or_default();
    let Lent { credentials, fresh, valid } = login.lend().await.map_err(Outage::Credentials)?;
    let now = Instant::now();
    let after = |lifetime: Option<Duration>| lifetime.map(|lifetime| now + lifetime);
    let (fresh_until, valid_until) = (after(fresh), after(valid));
    Ok(Kept { credentials, marks, fresh_until, valid_until, lent_at: now, looked_at: now, refused: false })
}

async fn marks(login: &Login) -> Option<Vec<Mark>> {
    let login = login.clone();
    tokio::task::spawn_blocking(move || login.marks()).await.ok()
}

/// An error and its causes on one line.
fn chain(error: &FetchError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refusal_has_files_read_again_and_a_change_is_another_number() {
        let directory = tempfile::tempdir().unwrap();
        let [username, password] = ["user", "password"].map(|name| directory.path().join(name));
        std::fs::write(&username, "user\n").unwrap();
        std::fs::write(&password, "old\n").unwrap();
        let keyring = Keyring::new(Some(Login::Files { username, password: password.clone() }));
        assert_eq!(keyring.credentials().await.unwrap().0, Some(Credentials::new("user", "old")));
        let before = keyring.serial().await;
        keyring.refused().await;
        assert_eq!(keyring.credentials().await.unwrap().0, Some(Credentials::new("user", "old")));
        assert_eq!(keyring.serial().await, before);

        std::fs::write(&password, "new\n").unwrap();
        keyring.refused().await;
        assert_eq!(keyring.credentials().await.unwrap().0, Some(Credentials::new("user", "new")));
        assert_ne!(keyring.serial().await, before);

        // What is gone takes nothing from us that we have.
        std::fs::remove_file(&password).unwrap();
        keyring.refused().await;
        assert_eq!(keyring.credentials().await.unwrap().0, Some(Credentials::new("user", "new")));
    }

    #[tokio::test]
    async fn a_changed_file_is_noticed_though_nobody_refuses_anything() {
        let directory = tempfile::tempdir().unwrap();
        let [username, password] = ["user", "password"].map(|name| directory.path().join(name));
        std::fs::write(&username, "user").unwrap();
        std::fs::write(&password, "old").unwrap();
        let keyring = Keyring::new(Some(Login::Files { username, password: password.clone() }));
        keyring.credentials().await.unwrap();
        let before = keyring.serial().await;
        std::fs::write(&password, "newer").unwrap();
        keyring.kept.lock().await.as_mut().unwrap().looked_at -= LOOK;
        assert_ne!(keyring.serial().await, before);
    }

    #[tokio::test]
    async fn what_cannot_be_had_is_an_outage() {
        let gone = std::path::PathBuf::from("/nowhere");
        let keyring = Keyring::new(Some(Login::Files { username: gone.clone(), password: gone }));
        let error = keyring.credentials().await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        assert_eq!(Keyring::new(None).credentials().await.unwrap().0, None);
    }
}
