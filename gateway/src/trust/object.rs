//! `TrustRoot` objects, from what policies hold to what verdicts rest on.

use std::sync::{Arc, MutexGuard, PoisonError};

use oci::{Algorithm, Digest, Hasher};
use policies::{TrustRootObject, TrustRootSource, TrustedRepository};
use std::collections::BTreeMap;
use upstream::Url;
use verify::TrustRoot;
use verify::tuf::{Kept, Repository};

use super::{Repositories, Root, Source, store};
use crate::clock::seconds_since_1970;
use crate::undecided::with_causes;

/// What came of an archive, so that it is unpacked once. That it expires later changes nothing.
pub(super) struct Unpacked {
    of: Digest,
    root: Arc<TrustRoot>,
}

/// The trust root of an object, or why it cannot be used: policy-controller's words where it has any.
pub(crate) fn root_of(object: &TrustRootObject, repositories: &Repositories) -> Result<Root, String> {
    match &object.source {
        TrustRootSource::Keys(keys) => {
            let root = TrustRoot::from_keys(keys).map_err(|error| with_causes(&error))?;
            Ok(Root::Usable(Arc::new(root)))
        }
        TrustRootSource::Remote { mirror, repository } => {
            let url: Url = mirror
                .parse()
                .map_err(|error| format!("invalid value: {mirror}: spec.remote.mirror: {error}"))?;
            let source = Source {
                repository: trusted(repository, "spec.remote.root")?,
                mirror: url,
                targets: repository.targets.trim_matches('/').to_owned(),
            };
            Ok(repositories.follow(&object.name, &source))
        }
        TrustRootSource::Archive { archive, repository } => {
            let trusted = trusted(repository, "spec.repository.root")?;
            repositories.unpack(&object.name, &trusted, &repository.targets, archive).map(Root::Usable)
        }
    }
}

fn trusted(repository: &TrustedRepository, path: &str) -> Result<Repository, String> {
    Repository::new(&repository.root, &repository.target).map_err(|error| {
        format!("invalid value: failed to construct a TUF client: {path}: {}", with_causes(&error))
    })
}

impl Repositories {
    pub(super) fn unpacked(&self) -> MutexGuard<'_, BTreeMap<String, Unpacked>> {
        self.unpacked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The trust root in an archive. One that was good once is good after it expired and after a restart: nothing newer
    /// can come by itself.
    fn unpack(
        &self,
        name: &str,
        repository: &Repository,
        targets: &str,
        archive: &[u8],
    ) -> Result<Arc<TrustRoot>, String> {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(repository.id().hash());
        hasher.update(targets.as_bytes());
        hasher.update(b"\0");
        hasher.update(archive);
        let of = hasher.finish();
        if let Some(known) = self.unpacked().get(name).filter(|known| known.of == of) {
            return Ok(known.root.clone());
        }
        // The archive's digest is in the name, so that what is kept is of this archive alone.
        let stored = format!("{name}@{of}");
        let now = i64::try_from(seconds_since_1970()).unwrap_or(i64::MAX);
        let root = match repository.read_archive(archive, targets, now) {
            Ok((root, kept)) => {
                if let Err(error) = store::write(&self.directory, &stored, &kept) {
                    tracing::warn!(%error, "a trust root is in force and could not be kept on disk");
                }
                root
            }
            Err(error) => {
                let why = with_causes(&error);
                let kept = store::read(&self.directory, &stored, repository);
                let text = kept.as_ref().and_then(Kept::target);
                let root = text.and_then(|text| TrustRoot::from_json(text).ok()).ok_or_else(|| {
                    format!(
                        "invalid value: failed to construct a TUF client: spec.repository.mirrorFS: {why}"
                    )
                })?;
                tracing::error!(name, error = %why, "a trust root's archive is good no longer, its root stays");
                Arc::new(root)
            }
        };
        self.unpacked().insert(name.to_owned(), Unpacked { of, root: root.clone() });
        Ok(root)
    }
}
