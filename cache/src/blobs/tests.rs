use std::convert::Infallible;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::pin::pin;

use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use oci::{Algorithm, WrongContent};
use tokio::sync::{Barrier, mpsc};

use super::*;
use crate::{FillError, HOLD_BACK, Origin, ReadError};

const HELD: usize = HOLD_BACK as usize;

/// Bytes that repeat nowhere near.
fn content(length: usize) -> Vec<u8> {
    (0..length as u32 / 4 + 1)
        .flat_map(u32::to_be_bytes)
        .take(length)
        .collect()
}

/// A source that gives what the test sends.
fn source() -> (
    mpsc::UnboundedSender<Result<Bytes, &'static str>>,
    impl Stream<Item = Result<Bytes, &'static str>>,
) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let stream = stream::unfold(receiver, |mut receiver: mpsc::UnboundedReceiver<_>| async move {
        receiver.recv().await.map(|item| (item, receiver))
    });
    (sender, stream)
}

/// A fill whose source gives these bytes in pieces and ends.
fn fill_with(blobs: &Arc<Blobs>, digest: Digest, size: u64, bytes: &[u8]) -> Filling {
    let pieces: Vec<_> = bytes
        .chunks(10_000)
        .map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece)))
        .collect();
    blobs.fill(digest, size, || async {
        Ok::<_, Infallible>(stream::iter(pieces))
    })
}

async fn collect(stream: impl Stream<Item = Result<Bytes, ReadError>>) -> Result<Vec<u8>, ReadError> {
    stream
        .try_fold(
            Vec::new(),
            |all, bytes| async move { Ok([&all[..], &bytes].concat()) },
        )
        .await
}

/// What a reader is given before the stream ends or fails, and how it ends.
async fn given(stream: impl Stream<Item = Result<Bytes, ReadError>>) -> (Vec<u8>, Option<ReadError>) {
    let (mut all, mut stream) = (Vec::new(), pin!(stream));
    while let Some(item) = stream.next().await {
        match item {
            Ok(bytes) => all.extend_from_slice(&bytes),
            Err(error) => return (all, Some(error)),
        }
    }
    (all, None)
}

/// Every file but the lock.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![directory.join("blobs")];
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
        blobs.keep(content).await.unwrap();
        blobs.keep(content).await.unwrap();
    }
    assert_eq!(blobs.usage(), 17);
    drop(blobs);

    let blobs = Blobs::open(directory.path(), None).unwrap();
    assert_eq!(blobs.usage(), 17);
    for content in [small, long] {
        assert_eq!(
            blobs.read(&content.digest(), 9).await.unwrap(),
            Some(content.clone())
        );
        assert_eq!(
            find(&blobs, &content.digest()).await.as_deref(),
            Some(&content.bytes()[..])
        );
        let hex = content.digest().hex();
        let algorithm = content.digest().algorithm().as_str();
        assert!(
            directory
                .path()
                .join("blobs")
                .join(algorithm)
                .join(&hex[..2])
                .join(&hex)
                .is_file()
        );
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
    assert!(matches!(
        Blobs::open(directory.path(), None),
        Err(OpenError::InUse { .. })
    ));
}

#[tokio::test]
async fn a_file_that_changed_on_disk_is_removed_when_it_is_read_whole() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), None).unwrap();
    let content = Verified::of(Bytes::from_static(b"content"));
    for change in ["CONTENT", "cut"] {
        blobs.keep(&content).await.unwrap();
        let [file] = &files(directory.path())[..] else {
            panic!("one file")
        };
        std::fs::write(file, change).unwrap();
        assert_eq!(
            blobs.read(&content.digest(), 100).await.unwrap(),
            None,
            "{change}"
        );
        assert_eq!((blobs.usage(), files(directory.path()).len()), (0, 0));
    }
    blobs.keep(&content).await.unwrap();
    std::fs::remove_file(&files(directory.path())[0]).unwrap();
    assert!(blobs.find(&content.digest()).await.is_none());
    blobs.keep(&content).await.unwrap();
    assert!(blobs.find(&content.digest()).await.is_some());
}

#[tokio::test]
async fn more_than_the_limit_is_refused_and_not_cut() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), None).unwrap();
    let content = Verified::of(Bytes::from_static(b"content"));
    blobs.keep(&content).await.unwrap();
    let error = blobs.read(&content.digest(), 6).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    assert!(blobs.read(&content.digest(), 7).await.unwrap().is_some());
}

#[tokio::test]
async fn what_was_used_longest_ago_makes_room() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), Some(300)).unwrap();
    let contents: Vec<_> = (0..4_u8)
        .map(|number| Verified::of(vec![number; 100].into()))
        .collect();
    for content in &contents[..3] {
        blobs.keep(content).await.unwrap();
    }
    assert!(blobs.find(&contents[0].digest()).await.is_some());
    let being_read = blobs.find(&contents[1].digest()).await.unwrap();
    assert!(blobs.find(&contents[2].digest()).await.is_some());
    assert!(blobs.find(&contents[0].digest()).await.is_some());
    blobs.keep(&contents[3]).await.unwrap();

    assert_eq!(blobs.usage(), 300);
    assert!(blobs.find(&contents[1].digest()).await.is_none());
    assert_eq!(
        collect(being_read.read(0..100)).await.unwrap(),
        vec![1; 100],
        "who reads it is not disturbed"
    );
    for kept in [0, 2, 3] {
        assert!(blobs.find(&contents[kept].digest()).await.is_some(), "{kept}");
    }
    drop(blobs);
    assert_eq!(
        Blobs::open(directory.path(), Some(250)).unwrap().usage(),
        200,
        "a lower limit holds at once"
    );
}

#[tokio::test]
async fn what_is_larger_than_the_limit_passes_through_and_displaces_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), Some(1000)).unwrap();
    let small = Verified::of(Bytes::from_static(b"manifest"));
    blobs.keep(&small).await.unwrap();
    let bytes = content(1001);
    let filling = fill_with(&blobs, Digest::of(&bytes), 1001, &bytes);
    filling.settled().await.unwrap();
    assert_eq!(collect(filling.read(0..1001)).await.unwrap(), bytes);
    assert_eq!(blobs.usage(), 8);
    assert!(blobs.find(&Digest::of(&bytes)).await.is_none());
}

#[tokio::test]
async fn a_fill_is_read_while_it_lands_and_found_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), None).unwrap();
    for size in [0, 1, HELD - 1, HELD, HELD + 1, 3 * HELD + 17] {
        let bytes = content(size);
        let digest = Digest::of(&bytes);
        let filling = fill_with(&blobs, digest, size as u64, &bytes);
        filling.started().await.unwrap();
        assert_eq!(
            collect(filling.clone().read(0..size as u64)).await.unwrap(),
            bytes,
            "{size}"
        );
        filling.settled().await.unwrap();
        assert_eq!(find(&blobs, &digest).await, Some(bytes), "{size}");
    }
}

#[tokio::test]
async fn two_read_different_ranges_while_it_lands() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), None).unwrap();
    let bytes = content(6 * HELD);
    let (sender, stream) = source();
    let filling = blobs.fill(Digest::of(&bytes), bytes.len() as u64, || async {
        Ok::<_, &str>(stream)
    });
    let send = |part: &[u8]| sender.send(Ok(Bytes::copy_from_slice(part))).unwrap();

    let mut first = pin!(filling.clone().read(0..6 * HOLD_BACK));
    let mut second = pin!(filling.clone().read(2 * HOLD_BACK..4 * HOLD_BACK));
    assert!(futures_util::poll!(first.next()).is_pending());
    send(&bytes[..HELD]);
    filling.started().await.unwrap();
    assert_eq!(first.next().await.unwrap().unwrap(), bytes[..HELD]);
    assert!(futures_util::poll!(second.next()).is_pending());
    send(&bytes[HELD..4 * HELD]);
    assert_eq!(second.next().await.unwrap().unwrap(), bytes[2 * HELD..3 * HELD]);
    assert!(
        futures_util::poll!(second.next()).is_pending(),
        "the end of a part is held back too"
    );
    assert_eq!(first.next().await.unwrap().unwrap(), bytes[HELD..2 * HELD]);
    send(&bytes[4 * HELD..]);
    drop(sender);
    assert_eq!(collect(second).await.unwrap(), bytes[3 * HELD..4 * HELD]);
    assert_eq!(collect(first).await.unwrap(), bytes[2 * HELD..]);
}

#[tokio::test]
async fn wrong_content_is_never_readable_whole_and_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), None).unwrap();
    for size in [1, HELD, HELD + 1, 4 * HELD] {
        let mut bytes = content(size);
        let want = Digest::of(&bytes);
        bytes[0] ^= 1;
        let got = Digest::of(&bytes);
        let filling = fill_with(&blobs, want, size as u64, &bytes);
        let (all, error) = given(filling.clone().read(0..size as u64)).await;
        assert!(all.len() <= size.saturating_sub(HELD), "{size}: {}", all.len());
        let Some(ReadError::Fill(error)) = error else {
            panic!("{size}: {error:?}")
        };
        assert!(matches!(&*error, FillError::WrongContent(wrong) if *wrong == WrongContent { want, got }));
        assert!(filling.settled().await.is_err());
        assert!(blobs.find(&want).await.is_none() && blobs.find(&got).await.is_none());
        assert_eq!(files(directory.path()), Vec::<PathBuf>::new());
    }
}

#[tokio::test]
async fn a_part_of_wrong_content_does_not_arrive_whole_either() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), None).unwrap();
    let bytes = content(10 * HELD);
    let filling = fill_with(&blobs, Digest::of(b"other"), bytes.len() as u64, &bytes);
    for range in [0..1, 0..HOLD_BACK, 5..2 * HOLD_BACK, HOLD_BACK..10 * HOLD_BACK] {
        let length = range.end - range.start;
        let (all, error) = given(filling.clone().read(range.clone())).await;
        assert!(
            error.is_some() && all.len() as u64 <= length.saturating_sub(HOLD_BACK),
            "{range:?}"
        );
    }
}

#[tokio::test]
async fn content_of_another_size_fails() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), None).unwrap();
    let bytes = content(30_000);
    let digest = Digest::of(&bytes);
    let short = fill_with(&blobs, digest, 30_001, &bytes)
        .settled()
        .await
        .unwrap_err();
    assert!(matches!(
        *short,
        FillError::TooShort {
            want: 30_001,
            got: 30_000
        }
    ));
    let long = fill_with(&blobs, digest, 29_999, &bytes)
        .settled()
        .await
        .unwrap_err();
    assert!(matches!(*long, FillError::TooLong { want: 29_999 }));
    assert_eq!(files(directory.path()), Vec::<PathBuf>::new());

    fill_with(&blobs, digest, 30_000, &bytes).settled().await.unwrap();
    for size in [29_999, 30_001] {
        assert!(
            fill_with(&blobs, digest, size, &bytes).started().await.is_err(),
            "also when it is there"
        );
    }
    let filling = fill_with(&blobs, digest, 30_000, &[]);
    assert_eq!(collect(filling.read(0..30_000)).await.unwrap(), bytes);
}

#[tokio::test]
async fn one_source_serves_all_and_who_knows_another_size_fails_alone() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), None).unwrap();
    let bytes = content(HELD);
    let digest = Digest::of(&bytes);
    let (sender, stream) = source();
    let first = blobs.fill(digest, HOLD_BACK, || async { Ok::<_, &str>(stream) });
    let second = fill_with(&blobs, digest, HOLD_BACK, b"never asked");
    let misled = fill_with(&blobs, digest, 10, &bytes);
    assert_eq!(
        (first.origin(), second.origin(), misled.origin()),
        (Origin::Ours, Origin::Joined, Origin::Ours)
    );
    assert!(misled.settled().await.is_err());
    sender.send(Ok(bytes.clone().into())).unwrap();
    drop(sender);
    for filling in [first, second] {
        assert_eq!(collect(filling.read(0..HOLD_BACK)).await.unwrap(), bytes);
    }
}

#[tokio::test]
async fn readers_that_leave_stop_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), None).unwrap();
    let bytes = content(3 * HELD);
    let (sender, stream) = source();
    let filling = blobs.fill(Digest::of(&bytes), 3 * HOLD_BACK, || async {
        Ok::<_, &str>(stream)
    });
    sender
        .send(Ok(Bytes::copy_from_slice(&bytes[..2 * HELD])))
        .unwrap();
    let mut reader = Box::pin(filling.read(0..3 * HOLD_BACK));
    reader.next().await.unwrap().unwrap();
    drop(reader);

    let again = fill_with(&blobs, Digest::of(&bytes), 3 * HOLD_BACK, b"never asked");
    assert_eq!(again.origin(), Origin::Joined);
    sender
        .send(Ok(Bytes::copy_from_slice(&bytes[2 * HELD..])))
        .unwrap();
    drop(sender);
    again.settled().await.unwrap();
    assert_eq!(find(&blobs, &Digest::of(&bytes)).await, Some(bytes));
}

#[tokio::test]
async fn the_sources_error_reaches_readers_and_the_next_begins_anew() {
    #[derive(Debug, Eq, PartialEq, thiserror::Error)]
    #[error("the registry said {0}")]
    struct Said(u16);

    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), None).unwrap();
    let bytes = content(2 * HELD);
    let (digest, size) = (Digest::of(&bytes), 2 * HOLD_BACK);
    let refusing = blobs.fill(digest, size, || async {
        Err::<stream::Empty<Result<Bytes, Said>>, _>(Said(404))
    });
    let error = refusing.started().await.unwrap_err();
    assert_eq!(error.source_as::<Said>(), Some(&Said(404)));

    let half = [Ok(Bytes::copy_from_slice(&bytes[..HELD])), Err(Said(500))];
    let breaking = blobs.fill(digest, size, || async { Ok::<_, Said>(stream::iter(half)) });
    let (all, error) = given(breaking.read(0..size)).await;
    assert!(all.len() <= HELD);
    let Some(ReadError::Fill(error)) = error else {
        panic!("{error:?}")
    };
    assert_eq!(error.source_as::<Said>(), Some(&Said(500)));
    assert_eq!(files(directory.path()), Vec::<PathBuf>::new());

    fill_with(&blobs, digest, size, &bytes).settled().await.unwrap();
    assert_eq!(find(&blobs, &digest).await, Some(bytes));
}

#[tokio::test]
async fn a_source_that_panics_is_lost_and_the_next_begins_anew() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), None).unwrap();
    let bytes = content(10);
    let digest = Digest::of(&bytes);
    let panicking = || async {
        tokio::task::yield_now().await;
        panic!("on purpose")
    };
    let at_once =
        blobs.fill::<_, _, stream::Empty<Result<Bytes, Infallible>>, Infallible>(digest, 10, panicking);
    assert!(matches!(*at_once.started().await.unwrap_err(), FillError::Lost));
    let later = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"half")) });
    let later = later.chain(stream::once(async { panic!("on purpose") }));
    let later = blobs.fill(digest, 10, || async { Ok::<_, Infallible>(later) });
    assert!(matches!(*later.settled().await.unwrap_err(), FillError::Lost));
    fill_with(&blobs, digest, 10, &bytes).settled().await.unwrap();
}

#[tokio::test]
async fn a_disk_that_takes_nothing_fails_the_fill_and_lets_go_of_the_source() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), None).unwrap();
    std::fs::remove_dir(directory.path().join("blobs/unfinished")).unwrap();
    let (sender, stream) = source();
    let filling = blobs.fill(Digest::of(b"x"), 1, || async { Ok::<_, &str>(stream) });
    sender.send(Ok(Bytes::from_static(b"x"))).unwrap();
    assert!(matches!(
        *filling.started().await.unwrap_err(),
        FillError::Disk(_)
    ));
    sender.closed().await;
    assert!(blobs.keep(&Verified::of(Bytes::from_static(b"x"))).await.is_err());
    std::fs::create_dir(directory.path().join("blobs/unfinished")).unwrap();
    fill_with(&blobs, Digest::of(b"x"), 1, b"x")
        .settled()
        .await
        .unwrap();
}

#[tokio::test]
async fn bytes_that_are_not_there_are_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), None).unwrap();
    let filling = fill_with(&blobs, Digest::of(b"abc"), 3, b"abc");
    assert_eq!(collect(filling.clone().read(1..3)).await.unwrap(), b"bc");
    assert_eq!(collect(filling.clone().read(3..3)).await.unwrap(), b"");
    assert!(matches!(
        collect(filling.clone().read(1..4)).await,
        Err(ReadError::OutOfRange { size: 3 })
    ));
    filling.settled().await.unwrap();
    let blob = blobs.find(&Digest::of(b"abc")).await.unwrap();
    assert!(matches!(
        collect(blob.read(0..4)).await,
        Err(ReadError::OutOfRange { size: 3 })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_fills_and_readers_at_once_all_get_their_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), Some(1024 * 1024)).unwrap();
    let begin = Arc::new(Barrier::new(48));
    let readers: Vec<_> = (0..48_usize)
        .map(|number| {
            let (blobs, begin) = (blobs.clone(), begin.clone());
            tokio::spawn(async move {
                let bytes = content(HELD + 50_000 * (number % 6));
                let size = bytes.len() as u64;
                begin.wait().await;
                let filling = fill_with(&blobs, Digest::of(&bytes), size, &bytes);
                collect(filling.read(0..size)).await.unwrap() == bytes
            })
        })
        .collect();
    for reader in readers {
        assert!(reader.await.unwrap());
    }
    assert!(blobs.usage() <= 1024 * 1024);
}
