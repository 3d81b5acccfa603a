use std::convert::Infallible;
use std::io::ErrorKind;
use std::path::PathBuf;

use futures_util::{Stream, TryStreamExt, stream};
use oci::Algorithm;

use super::*;
use crate::{HOLD_BACK, ReadError};

mod fills;
mod kept;

const HELD: usize = HOLD_BACK as usize;

/// Bytes that repeat nowhere near.
fn content(length: usize) -> Vec<u8> {
    (0..length as u32 / 4 + 1).flat_map(u32::to_be_bytes).take(length).collect()
}

/// A fill whose source gives these bytes in pieces and ends.
fn fill_with(blobs: &Arc<Blobs>, digest: Digest, size: u64, bytes: &[u8]) -> Filling {
    let pieces: Vec<_> =
        bytes.chunks(10_000).map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece))).collect();
    blobs.fill(digest, size, || async { Ok::<_, Infallible>(stream::iter(pieces)) })
}

async fn collect(stream: impl Stream<Item = Result<Bytes, ReadError>>) -> Result<Vec<u8>, ReadError> {
    stream.try_fold(Vec::new(), |all, bytes| async move { Ok([&all[..], &bytes].concat()) }).await
}

/// The directory opened anew, once the last fill has let go of it, which ends a moment after whoever waits for it hears so.
async fn reopened(blobs: Arc<Blobs>, directory: &Path) -> Arc<Blobs> {
    let gone = Arc::downgrade(&blobs);
    drop(blobs);
    while gone.strong_count() > 0 {
        tokio::task::yield_now().await;
    }
    Blobs::open(directory, None).unwrap()
}

/// Every file but the lock.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![directory.join("blobs"), directory.join("documents")];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        } else if !path.ends_with("lock") {
            found.push(path);
        }
    }
    found
}

async fn find(blobs: &Blobs, digest: &Digest) -> Option<Vec<u8>> {
    let blob = blobs.find(digest).await?;
    let size = blob.size();
    Some(collect(blob.read(0..size)).await.unwrap())
}

#[tokio::test]
async fn what_is_kept_is_found_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), None).unwrap();
    let small = Verified::of(Bytes::from_static(b"manifest"));
    let long = Bytes::from_static(b"long name");
    let long = Verified::check(Digest::with(Algorithm::Sha512, &long), long).unwrap();
    for content in [&small, &long] {
        assert!(blobs.find(&content.digest()).await.is_none());
        blobs.keep(content).await;
        blobs.keep(content).await;
    }
    assert_eq!(blobs.usage(), 17);
    drop(blobs);

    let blobs = Blobs::open(directory.path(), None).unwrap();
    assert_eq!(blobs.usage(), 17);
    for content in [small, long] {
        assert_eq!(blobs.read(&content.digest(), 9).await.unwrap(), Some(content.clone()));
        assert_eq!(find(&blobs, &content.digest()).await.as_deref(), Some(&content.bytes()[..]));
        let hex = content.digest().hex();
        let algorithm = content.digest().algorithm().as_str();
        assert!(directory.path().join("documents").join(algorithm).join(&hex[..2]).join(&hex).is_file());
    }
    assert_eq!(blobs.read(&Digest::of(b"other"), 9).await.unwrap(), None);
}

#[tokio::test]
async fn what_was_left_unfinished_is_removed_and_what_is_not_ours_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    drop(Blobs::open(directory.path(), None).unwrap());
    let root = directory.path().join("blobs");
    std::fs::write(root.join("unfinished/.tmpabc"), "half").unwrap();
    std::fs::create_dir_all(root.join("sha256/ab")).unwrap();
    std::fs::write(root.join("sha256/ab/README"), "not content").unwrap();
    // A name that is no digest's place.
    std::fs::write(root.join("sha256/ab").join(Digest::of(b"").hex()), "").unwrap();

    let blobs = Blobs::open(directory.path(), Some(1)).unwrap();
    assert_eq!((blobs.usage(), files(directory.path()).len()), (0, 2));
    assert!(blobs.find(&Digest::of(b"")).await.is_none());
    assert!(matches!(Blobs::open(directory.path(), None), Err(OpenError::InUse { .. })));
}

#[tokio::test]
async fn a_file_that_changed_on_disk_is_removed_when_it_is_read_whole() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), None).unwrap();
    let content = Verified::of(Bytes::from_static(b"content"));
    for change in ["CONTENT", "cut"] {
        blobs.keep(&content).await;
        let [file] = &files(directory.path())[..] else { panic!("one file") };
        std::fs::write(file, change).unwrap();
        assert_eq!(blobs.read(&content.digest(), 100).await.unwrap(), None, "{change}");
        assert_eq!((blobs.usage(), files(directory.path()).len()), (0, 0));
    }
    blobs.keep(&content).await;
    std::fs::remove_file(&files(directory.path())[0]).unwrap();
    assert!(blobs.find(&content.digest()).await.is_none());
    blobs.keep(&content).await;
    assert!(blobs.find(&content.digest()).await.is_some());
}

#[tokio::test]
async fn more_than_the_limit_is_refused_and_not_cut() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), None).unwrap();
    let content = Verified::of(Bytes::from_static(b"content"));
    blobs.keep(&content).await;
    let error = blobs.read(&content.digest(), 6).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    assert!(blobs.read(&content.digest(), 7).await.unwrap().is_some());
}

#[tokio::test]
async fn what_was_used_longest_ago_makes_room() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), Some(300)).unwrap();
    let contents: Vec<_> = (0..4_u8).map(|number| vec![number; 100]).collect();
    let digests: Vec<_> = contents.iter().map(|bytes| Digest::of(bytes)).collect();
    let fill = |number: usize| fill_with(&blobs, digests[number], 100, &contents[number]);
    for number in 0..3 {
        fill(number).settled().await.unwrap();
    }
    assert!(blobs.find(&digests[0]).await.is_some());
    let being_read = blobs.find(&digests[1]).await.unwrap();
    assert!(blobs.find(&digests[2]).await.is_some());
    assert!(blobs.find(&digests[0]).await.is_some());
    fill(3).settled().await.unwrap();

    assert_eq!((blobs.usage(), blobs.stats().layers.evictions), (300, 1));
    assert!(blobs.find(&digests[1]).await.is_none());
    assert_eq!(
        collect(being_read.read(0..100)).await.unwrap(),
        vec![1; 100],
        "who reads it is not disturbed"
    );
    for kept in [0, 2, 3] {
        assert!(blobs.find(&digests[kept]).await.is_some(), "{kept}");
    }
    drop(blobs);
    assert_eq!(Blobs::open(directory.path(), Some(250)).unwrap().usage(), 200, "a lower limit holds at once");
}

#[tokio::test]
async fn what_is_larger_than_the_limit_passes_through_and_displaces_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), Some(1000)).unwrap();
    let small = Verified::of(Bytes::from_static(b"manifest"));
    blobs.keep(&small).await;
    let bytes = content(1001);
    let filling = fill_with(&blobs, Digest::of(&bytes), 1001, &bytes);
    filling.settled().await.unwrap();
    assert_eq!(collect(filling.read(0..1001)).await.unwrap(), bytes);
    assert_eq!(blobs.usage(), 8);
    assert!(blobs.find(&Digest::of(&bytes)).await.is_none());
}
