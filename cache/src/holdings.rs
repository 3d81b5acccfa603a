//! Holdings: what one domain has of the content that all domains keep in one place.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStream;
use oci::{Digest, Verified};

use crate::filling::Origin;
use crate::shared::Forgets;
use crate::{Beginning, Blob, Blobs, BoxError, Filling, Index, Limits, Memo, Shared};

/// Content as one domain has it.
///
/// Content is kept once, whoever brought it. That it is here is nobody's business but theirs who have it: a domain has
/// what it brought itself, whole and hashed, and for it nothing else is there. So that somebody else has the same can
/// neither be asked, nor got by naming its digest, nor joined while it arrives.
pub struct Holdings {
    blobs: Arc<Blobs>,
    /// The digests it brought; without, all is its own.
    held: Option<Memo<Digest, ()>>,
}

/// How many digests are known to be a domain's, in memory and on disk. What is forgotten is brought again.
const LIMITS: Limits = Limits { bytes: 16 * 1024 * 1024, entries: 200_000 };

/// The table, which is purged under this name too.
const TABLE: &str = "held";

impl Holdings {
    /// Everything that is kept: for whoever has no others beside.
    pub fn all(blobs: Arc<Blobs>) -> Arc<Self> {
        Arc::new(Self { blobs, held: None })
    }

    /// What the domain of this index brought.
    pub fn of(blobs: &Blobs, index: &Arc<Index>, fleet: Option<Arc<Shared>>) -> Arc<Self> {
        let held = Memo::purged_with(TABLE, LIMITS, Some(index.clone()), fleet);
        Arc::new(Self { blobs: blobs.apart(), held: Some(held) })
    }

    /// The content of this digest, if it is had.
    pub async fn find(&self, digest: &Digest) -> Option<Blob> {
        if self.has(digest).await { self.blobs.find(digest).await } else { None }
    }

    /// How many bytes the content of this digest has, if it is had. That somebody asked is no use of it.
    pub async fn size(&self, digest: &Digest) -> Option<u64> {
        if self.has(digest).await { self.blobs.size(digest) } else { None }
    }

    /// The whole content of this digest as [`Blobs::read`] gives it, if it is had.
    ///
    /// # Errors
    /// As there.
    pub async fn read(&self, digest: &Digest, limit: u64) -> io::Result<Option<Verified>> {
        if self.has(digest).await { self.blobs.read(digest, limit).await } else { Ok(None) }
    }

    /// Keeps content that was brought whole. It is on disk when this returns.
    ///
    /// # Errors
    /// What the system says; nothing is kept then.
    pub async fn keep(&self, content: &Verified) -> io::Result<()> {
        self.blobs.keep(content).await?;
        self.note(content.digest()).await;
        Ok(())
    }

    /// Fills in the content of this digest as [`Blobs::fill`] does, or joins a fill of this domain's. It is had when
    /// that is over.
    pub fn fill<Fetch, Fetching, Source, Error>(
        self: &Arc<Self>,
        digest: Digest,
        size: u64,
        fetch: Fetch,
    ) -> Filling
    where
        Fetch: FnOnce() -> Fetching + Send + 'static,
        Fetching: Future<Output = Result<Source, Error>> + Send + 'static,
        Source: TryStream<Ok = Bytes> + Send + 'static,
        Source::Error: Into<BoxError> + Send,
        Error: Into<BoxError> + Send + 'static,
    {
        let filling = self.blobs.fill(digest, size, fetch);
        if self.held.is_some() && filling.origin() == Origin::Ours {
            let (this, filling) = (self.clone(), filling.clone());
            // It lasts as long as the fill, which has deadlines of its own.
            tokio::spawn(async move {
                if filling.settled().await.is_ok() {
                    this.note(digest).await;
                }
            });
        }
        filling
    }

    /// Has the content of this digest no more, or none at all without one. Says how much that was. The bytes go where
    /// nobody else can have them.
    pub async fn remove(&self, digest: Option<Digest>) -> usize {
        let Some(held) = &self.held else {
            return self.blobs.remove(digest).await;
        };
        let beginning = digest.map_or_else(Beginning::of_all, |digest| Beginning::of(&digest));
        let keys = held.keys_under(beginning.clone()).await;
        held.forget_under(beginning).await;
        keys.len()
    }

    /// The same of content whose digest, as a key, begins so. Waits for the disk.
    pub fn remove_under(&self, beginning: &Beginning) {
        match &self.held {
            Some(held) => held.forget_at_once(beginning),
            None => self.blobs.remove_under(beginning),
        }
    }

    async fn has(&self, digest: &Digest) -> bool {
        match &self.held {
            Some(held) => held.find(digest).await.is_some(),
            None => true,
        }
    }

    async fn note(&self, digest: Digest) {
        if let Some(held) = &self.held
            && held.find(&digest).await.is_none()
        {
            held.keep(digest, ()).await;
        }
    }
}

/// What is purged of content is had no more.
impl Forgets for Holdings {
    fn forget_under(&self, beginning: &Beginning) {
        self.remove_under(beginning);
    }
}

impl fmt::Debug for Holdings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Holdings").field("all", &self.held.is_none()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use super::*;

    struct Two {
        a: Arc<Holdings>,
        b: Arc<Holdings>,
        index: Arc<Index>,
        blobs: Arc<Blobs>,
        _directory: tempfile::TempDir,
    }

    fn two() -> Two {
        let directory = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(directory.path(), None).unwrap();
        let index = Index::in_memory();
        let of = |name: &str| Holdings::of(&blobs, &index.within(name.parse().unwrap()), None);
        Two { a: of("a"), b: of("b"), index: index.clone(), blobs: blobs.clone(), _directory: directory }
    }

    fn fill(holdings: &Arc<Holdings>, content: &'static [u8]) -> Filling {
        holdings.fill(Digest::of(content), content.len() as u64, move || async move {
            Ok::<_, Infallible>(stream::iter([Ok::<_, Infallible>(Bytes::from_static(content))]))
        })
    }

    #[tokio::test]
    async fn what_one_domain_brought_is_not_there_for_another() {
        let two = two();
        let content = Verified::of(Bytes::from_static(b"secret"));
        let digest = content.digest();
        two.a.keep(&content).await.unwrap();
        assert!(two.a.find(&digest).await.is_some());
        assert!(two.a.read(&digest, 100).await.unwrap().is_some());
        assert!(two.b.find(&digest).await.is_none());
        assert!(two.b.read(&digest, 100).await.unwrap().is_none());
        assert_eq!((two.a.size(&digest).await, two.b.size(&digest).await), (Some(6), None));
        // It is still so for whoever comes next with the same name.
        let again = Holdings::of(&two.blobs, &two.index.within("a".parse().unwrap()), None);
        assert!(again.find(&digest).await.is_some());
    }

    #[tokio::test]
    async fn nobody_joins_the_fill_of_another_domain() {
        let two = two();
        let (of_a, of_b) = (fill(&two.a, b"layer"), fill(&two.b, b"layer"));
        assert_eq!((of_a.origin(), of_b.origin()), (Origin::Ours, Origin::Ours));
        assert_eq!(fill(&two.a, b"layer").origin(), Origin::Joined);
        of_a.settled().await.unwrap();
        of_b.settled().await.unwrap();
        assert_eq!(two.blobs.usage(), 5, "and the bytes are kept once");
    }

    #[tokio::test]
    async fn what_a_domain_forgets_another_still_has() {
        let two = two();
        let content = Verified::of(Bytes::from_static(b"common"));
        two.a.keep(&content).await.unwrap();
        two.b.keep(&content).await.unwrap();
        assert_eq!(two.a.remove(Some(content.digest())).await, 1);
        assert!(two.a.find(&content.digest()).await.is_none());
        assert!(two.b.find(&content.digest()).await.is_some());
    }
}
