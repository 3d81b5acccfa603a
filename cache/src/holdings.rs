//! Holdings: what one domain has of the content that all domains keep in one place.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStream;
use oci::{Digest, Verified};
use tokio::task::JoinSet;

use crate::filling::Origin;
use crate::lock::lock;
use crate::shared::Forgets;
use crate::{
    Beginning, Blob, BlobStats, Blobs, BoxError, Bucket, Filling, Index, Limits, Memo, Part, Shared,
};

/// Content as one domain has it.
///
/// Content is kept once, whoever brought it. That it is here is nobody's business but theirs who have it: a domain has
/// what it brought itself, whole and hashed, and for it nothing else is there. So that somebody else has the same can
/// neither be asked, nor got by naming its digest, nor joined while it arrives.
pub struct Holdings {
    blobs: Arc<Blobs>,
    /// The digests it brought; without, all is its own.
    held: Option<Memo<Digest, ()>>,
    /// Those who note what a fill brings, once it is over.
    noting: Mutex<JoinSet<()>>,
}

/// How many digests are known to be a domain's, in memory and on disk. What is forgotten is brought again.
const LIMITS: Limits = Limits { bytes: 8 * 1024 * 1024, entries: 200_000 };

/// The table, which is purged under this name too.
const TABLE: &str = "held";

impl Holdings {
    /// Everything that is kept: for whoever has no others beside.
    pub fn all(blobs: Arc<Blobs>) -> Arc<Self> {
        Arc::new(Self { blobs, held: None, noting: Mutex::default() })
    }

    /// What the domain of this index brought.
    pub fn of(blobs: &Blobs, index: &Arc<Index>, fleet: Option<Arc<Shared>>) -> Arc<Self> {
        let held = Memo::purged_with(TABLE, LIMITS, Some(index.clone()), fleet);
        Arc::new(Self { blobs: blobs.apart(), held: Some(held), noting: Mutex::default() })
    }

    /// The content of this digest, if it is had.
    pub async fn find(&self, digest: &Digest) -> Option<Blob> {
        if self.has(digest).await { self.blobs.find(digest).await } else { None }
    }

    /// How many bytes the content of this digest has, if it is here, whoever brought it: for whoever operates the
    /// gateway, and for nobody who pulls.
    pub fn size(&self, digest: &Digest) -> Option<u64> {
        self.blobs.size(digest)
    }

    /// As what it is kept, likewise.
    pub fn part(&self, digest: &Digest) -> Option<Part> {
        self.blobs.part(digest)
    }

    /// What is kept, and what became of what was to be kept; of all domains that keep it in one place.
    pub fn stats(&self) -> BlobStats {
        self.blobs.stats()
    }

    /// What replicas share whole content through, if there is such a thing.
    pub fn bucket(&self) -> Option<&Arc<Bucket>> {
        self.blobs.bucket()
    }

    /// Keeps content from making room for other content for this long, as [`Blobs::pin`] does.
    pub fn pin(&self, digests: impl Iterator<Item = Digest>, lasting: Duration) {
        self.blobs.pin(digests, lasting);
    }

    /// The whole content of this digest as [`Blobs::read`] gives it, if it is had.
    ///
    /// # Errors
    /// As there.
    pub async fn read(&self, digest: &Digest, limit: u64) -> io::Result<Option<Verified>> {
        if self.has(digest).await { self.blobs.read(digest, limit).await } else { Ok(None) }
    }

    /// Keeps a document that was brought whole, as [`Blobs::keep`] does. Where it is new to this domain it is written, though
    /// another may have brought it: that the disk is waited for would tell.
    pub async fn keep(&self, content: &Verified) {
        if self.has(&content.digest()).await {
            self.blobs.keep(content).await;
        } else {
            self.blobs.keep_anew(content).await;
        }
        self.note(content.digest()).await;
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
        // What another brought may be here: of that nothing is given, and the source is asked.
        let is_had = self.held.as_ref().is_none_or(|held| held.find_in_memory(&digest).is_some());
        let filling = self.blobs.fill_from(digest, size, is_had, fetch);
        if self.held.is_some() && filling.origin() == Origin::Ours {
            let (this, filling) = (self.clone(), filling.clone());
            let mut noting = lock(&self.noting);
            while noting.try_join_next().is_some() {}
            // It lasts as long as the fill, which has deadlines of its own.
            noting.spawn(async move {
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

    /// Waits until what fills brought by now is noted.
    pub async fn settled(&self) {
        let noting = std::mem::take(&mut *lock(&self.noting));
        noting.join_all().await;
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
        two.a.keep(&content).await;
        assert!(two.a.find(&digest).await.is_some());
        assert!(two.a.read(&digest, 100).await.unwrap().is_some());
        assert!(two.b.find(&digest).await.is_none());
        assert!(two.b.read(&digest, 100).await.unwrap().is_none());
        // It is still so for whoever comes next with the same name.
        let again = Holdings::of(&two.blobs, &two.index.within("a".parse().unwrap()), None);
        assert!(again.find(&digest).await.is_some());
    }

    #[tokio::test]
    async fn keeping_what_another_brought_is_as_much_work_as_keeping_what_nobody_did() {
        use std::os::unix::fs::MetadataExt as _;
        let two = two();
        let content = Verified::of(Bytes::from_static(b"manifest"));
        // A file that was written is another file.
        let file = async || {
            let blob = two.blobs.find(&content.digest()).await.unwrap();
            blob.file().metadata().unwrap().ino()
        };
        two.a.keep(&content).await;
        let by_a = file().await;
        two.b.keep(&content).await;
        let by_b = file().await;
        assert_ne!(by_a, by_b);
        two.b.keep(&content).await;
        assert_eq!(file().await, by_b);
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
    async fn what_another_brought_is_not_given_to_whoever_fills_it_in() {
        let two = two();
        let digest = Digest::of(b"layer");
        fill(&two.a, b"layer").settled().await.unwrap();
        // A source that does not have it, as one that only says that it does.
        let claimed = two.b.fill(digest, 5, || async {
            Ok::<_, Infallible>(stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"other"))]))
        });
        assert!(claimed.settled().await.is_err());
        let refused = two.b.fill(digest, 5, || async {
            Err::<stream::Empty<Result<Bytes, Infallible>>, _>(io::Error::other("no"))
        });
        assert!(refused.started().await.is_err());
        assert!(two.b.find(&digest).await.is_none());
    }

    #[tokio::test]
    async fn what_a_domain_forgets_another_still_has() {
        let two = two();
        let content = Verified::of(Bytes::from_static(b"common"));
        two.a.keep(&content).await;
        two.b.keep(&content).await;
        assert_eq!(two.a.remove(Some(content.digest())).await, 1);
        assert!(two.a.find(&content.digest()).await.is_none());
        assert!(two.b.find(&content.digest()).await.is_some());
    }
}
