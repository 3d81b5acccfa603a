use std::pin::pin;

use futures_util::StreamExt;
use oci::WrongContent;
use tokio::sync::{Barrier, mpsc};

use super::*;
use crate::{FillError, Origin};

/// A source that gives what the test sends.
fn source()
-> (mpsc::UnboundedSender<Result<Bytes, &'static str>>, impl Stream<Item = Result<Bytes, &'static str>>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let stream = stream::unfold(receiver, |mut receiver: mpsc::UnboundedReceiver<_>| async move {
        receiver.recv().await.map(|item| (item, receiver))
    });
    (sender, stream)
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

#[tokio::test]
async fn a_fill_is_read_while_it_lands_and_found_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), None).unwrap();
    for size in [0, 1, HELD - 1, HELD, HELD + 1, 3 * HELD + 17] {
        let bytes = content(size);
        let digest = Digest::of(&bytes);
        let filling = fill_with(&blobs, digest, size as u64, &bytes);
        filling.started().await.unwrap();
        assert_eq!(collect(filling.clone().read(0..size as u64)).await.unwrap(), bytes, "{size}");
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
    let filling = blobs.fill(Digest::of(&bytes), bytes.len() as u64, || async { Ok::<_, &str>(stream) });
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
    assert!(futures_util::poll!(second.next()).is_pending(), "the end of a part is held back too");
    assert_eq!(first.next().await.unwrap().unwrap(), bytes[HELD..4 * HELD]);
    send(&bytes[4 * HELD..]);
    drop(sender);
    assert_eq!(collect(second).await.unwrap(), bytes[3 * HELD..4 * HELD]);
    assert_eq!(collect(first).await.unwrap(), bytes[4 * HELD..]);
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
        let Some(ReadError::Fill(error)) = error else { panic!("{size}: {error:?}") };
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
        assert!(error.is_some() && all.len() as u64 <= length.saturating_sub(HOLD_BACK), "{range:?}");
    }
}

#[tokio::test]
async fn content_of_another_size_fails() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), None).unwrap();
    let bytes = content(30_000);
    let digest = Digest::of(&bytes);
    let short = fill_with(&blobs, digest, 30_001, &bytes).settled().await.unwrap_err();
    assert!(matches!(*short, FillError::TooShort { want: 30_001, got: 30_000 }));
    let long = fill_with(&blobs, digest, 29_999, &bytes).settled().await.unwrap_err();
    assert!(matches!(*long, FillError::TooLong { want: 29_999 }));
    assert_eq!(files(directory.path()), Vec::<PathBuf>::new());

    fill_with(&blobs, digest, 30_000, &bytes).settled().await.unwrap();
    for size in [29_999, 30_001] {
        assert!(fill_with(&blobs, digest, size, &bytes).started().await.is_err(), "also when it is there");
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
    let filling = blobs.fill(Digest::of(&bytes), 3 * HOLD_BACK, || async { Ok::<_, &str>(stream) });
    sender.send(Ok(Bytes::copy_from_slice(&bytes[..2 * HELD]))).unwrap();
    let mut reader = Box::pin(filling.read(0..3 * HOLD_BACK));
    reader.next().await.unwrap().unwrap();
    drop(reader);

    let again = fill_with(&blobs, Digest::of(&bytes), 3 * HOLD_BACK, b"never asked");
    assert_eq!(again.origin(), Origin::Joined);
    sender.send(Ok(Bytes::copy_from_slice(&bytes[2 * HELD..]))).unwrap();
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
    let refusing =
        blobs.fill(digest, size, || async { Err::<stream::Empty<Result<Bytes, Said>>, _>(Said(404)) });
    let error = refusing.started().await.unwrap_err();
    assert_eq!(error.source_as::<Said>(), Some(&Said(404)));

    let half = [Ok(Bytes::copy_from_slice(&bytes[..HELD])), Err(Said(500))];
    let breaking = blobs.fill(digest, size, || async { Ok::<_, Said>(stream::iter(half)) });
    let (all, error) = given(breaking.read(0..size)).await;
    assert!(all.len() <= HELD);
    let Some(ReadError::Fill(error)) = error else { panic!("{error:?}") };
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
    assert!(matches!(*filling.started().await.unwrap_err(), FillError::Disk(_)));
    sender.closed().await;
    let document = Verified::of(Bytes::from_static(b"document"));
    blobs.keep(&document).await;
    assert_eq!(blobs.read(&document.digest(), 8).await.unwrap(), Some(document), "it is held in memory");
    assert_eq!((blobs.stats().disk_failures, blobs.stats().unkept), (2, 1));
    std::fs::create_dir(directory.path().join("blobs/unfinished")).unwrap();
    fill_with(&blobs, Digest::of(b"x"), 1, b"x").settled().await.unwrap();
}

#[tokio::test]
async fn a_disk_without_room_is_no_reason_to_ask_the_source() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), None).unwrap();
    let (sender, stream) = source();
    // No disk has a pebibyte.
    let filling = blobs.fill(Digest::of(b"x"), 1 << 50, || async { Ok::<_, &str>(stream) });
    assert!(matches!(*filling.started().await.unwrap_err(), FillError::Disk(_)));
    sender.closed().await;
    assert_eq!(files(directory.path()), Vec::<PathBuf>::new());
    fill_with(&blobs, Digest::of(b"x"), 1, b"x").settled().await.unwrap();
}

#[tokio::test]
async fn bytes_that_are_not_there_are_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), None).unwrap();
    let filling = fill_with(&blobs, Digest::of(b"abc"), 3, b"abc");
    assert_eq!(collect(filling.clone().read(1..3)).await.unwrap(), b"bc");
    assert_eq!(collect(filling.clone().read(3..3)).await.unwrap(), b"");
    assert!(matches!(collect(filling.clone().read(1..4)).await, Err(ReadError::OutOfRange { size: 3 })));
    filling.settled().await.unwrap();
    let blob = blobs.find(&Digest::of(b"abc")).await.unwrap();
    assert!(matches!(collect(blob.read(0..4)).await, Err(ReadError::OutOfRange { size: 3 })));
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
                let read = collect(filling.clone().read(0..size)).await.unwrap();
                filling.settled().await.unwrap();
                read == bytes
            })
        })
        .collect();
    for reader in readers {
        assert!(reader.await.unwrap());
    }
    assert!(blobs.usage() <= 1024 * 1024);
}
