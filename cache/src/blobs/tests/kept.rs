use std::time::Duration;

use super::*;
use crate::{Audit, FillError, Finding, Origin, audit};

/// More than is hashed before anybody is given any of it.
const LARGE: usize = 5 * 1024 * 1024;

#[track_caller]
fn change(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[0] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn invariant_13_a_flood_of_layers_displaces_no_document() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), Some(1000)).unwrap();
    let documents: Vec<_> = (0..3_u8).map(|number| Verified::of(vec![number; 80].into())).collect();
    for document in &documents {
        blobs.keep(document).await;
    }
    for number in 10..40_u8 {
        let bytes = vec![number; 150];
        fill_with(&blobs, Digest::of(&bytes), 150, &bytes).settled().await.unwrap();
    }
    for document in &documents {
        assert!(blobs.read(&document.digest(), 80).await.unwrap().is_some());
    }
    let stats = blobs.stats();
    assert_eq!((stats.documents.files, stats.documents.bytes, stats.layers.bytes), (3, 240, 750));
    // And a flood of documents leaves layers three quarters.
    for number in 50..90_u8 {
        blobs.keep(&Verified::of(vec![number; 100].into())).await;
    }
    let stats = blobs.stats();
    assert_eq!((stats.documents.bytes, stats.layers.bytes), (200, 750));
    assert!(blobs.usage() <= 1000);
}

#[tokio::test]
async fn what_a_running_pull_is_about_to_ask_for_makes_no_room() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), Some(300)).unwrap();
    let (first, second) = (vec![1; 100], vec![2; 100]);
    let pinned = [Digest::of(&first), Digest::of(&second)];
    blobs.pin(pinned.into_iter(), Duration::from_secs(600));
    fill_with(&blobs, pinned[0], 100, &first).settled().await.unwrap();
    for number in 10..20_u8 {
        let bytes = vec![number; 100];
        fill_with(&blobs, Digest::of(&bytes), 100, &bytes).settled().await.unwrap();
    }
    assert!(blobs.find(&pinned[0]).await.is_some());
    fill_with(&blobs, pinned[1], 100, &second).settled().await.unwrap();
    assert_eq!((blobs.usage(), blobs.stats().pinned), (300, 2));
}

#[tokio::test]
async fn a_document_that_was_pulled_as_a_layer_is_one_from_then_on() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), None).unwrap();
    let config = Verified::of(Bytes::from_static(b"{}"));
    fill_with(&blobs, config.digest(), 2, b"{}").settled().await.unwrap();
    blobs.keep(&config).await;
    let stats = blobs.stats();
    assert_eq!((stats.documents.bytes, stats.layers.bytes, files(directory.path()).len()), (2, 0, 1));
    assert!(blobs.find(&config.digest()).await.is_some());
}

#[tokio::test]
async fn what_another_process_left_is_hashed_before_it_is_believed() {
    let directory = tempfile::tempdir().unwrap();
    for size in [100, LARGE] {
        let bytes = content(size);
        let (digest, size) = (Digest::of(&bytes), size as u64);
        let blobs = Blobs::open(directory.path(), None).unwrap();
        fill_with(&blobs, digest, size, &bytes).settled().await.unwrap();
        let blobs = reopened(blobs, directory.path()).await;
        assert!(blobs.find(&digest).await.is_none());
        let filling = fill_with(&blobs, digest, size, b"never asked");
        assert_eq!(filling.origin(), Origin::Kept);
        assert_eq!(collect(filling.read(0..size)).await.unwrap(), bytes);
        filling_over(&blobs, digest, size).await.unwrap();
        assert!(blobs.find(&digest).await.is_some());
        assert_eq!((blobs.stats().hashed_again, blobs.stats().changed), (1, 0), "and once");
    }
}

/// Waits until whatever is under way for this content is over.
async fn filling_over(blobs: &Arc<Blobs>, digest: Digest, size: u64) -> Result<(), Arc<FillError>> {
    fill_with(blobs, digest, size, b"never asked").settled().await
}

#[tokio::test]
async fn what_changed_while_nobody_looked_is_fetched_again() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = content(1000);
    let digest = Digest::of(&bytes);
    let blobs = Blobs::open(directory.path(), None).unwrap();
    fill_with(&blobs, digest, 1000, &bytes).settled().await.unwrap();
    change(&files(directory.path())[0]);

    let blobs = reopened(blobs, directory.path()).await;
    let filling = fill_with(&blobs, digest, 1000, &bytes);
    assert_eq!(collect(filling.clone().read(0..1000)).await.unwrap(), bytes);
    filling.settled().await.unwrap();
    assert_eq!((blobs.stats().changed, blobs.stats().filled), (1, 1));
    assert_eq!(find(&blobs, &digest).await, Some(bytes));
}

#[tokio::test]
async fn large_content_that_changed_never_ends_well_and_is_fetched_by_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = content(LARGE);
    let (digest, size) = (Digest::of(&bytes), LARGE as u64);
    let blobs = Blobs::open(directory.path(), None).unwrap();
    fill_with(&blobs, digest, size, &bytes).settled().await.unwrap();
    // Also while it is open: a change is seen, whoever made it.
    change(&files(directory.path())[0]);
    assert!(blobs.find(&digest).await.is_none());
    let filling = fill_with(&blobs, digest, size, b"never asked");
    let error = collect(filling.clone().read(0..size)).await.unwrap_err();
    assert!(matches!(error, ReadError::Fill(error) if matches!(*error, FillError::Changed)));
    assert!(filling.settled().await.is_err());
    fill_with(&blobs, digest, size, &bytes).settled().await.unwrap();
    assert_eq!(find(&blobs, &digest).await, Some(bytes));
}

#[tokio::test]
async fn an_audit_finds_what_changed_beside_a_process_that_uses_it() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(directory.path(), None).unwrap();
    let document = Verified::of(Bytes::from_static(b"manifest"));
    blobs.keep(&document).await;
    let [bytes, short] = [content(100_000), content(1000)];
    for bytes in [&bytes, &short] {
        fill_with(&blobs, Digest::of(bytes), bytes.len() as u64, bytes).settled().await.unwrap();
    }
    let look = |repair| {
        let mut wrong = Vec::new();
        let audit = audit(directory.path(), repair, |audited| {
            if !matches!(audited.finding, Finding::Right) {
                wrong.push(audited.digest);
            }
        });
        (audit.unwrap(), wrong)
    };
    let (found, wrong) = look(false);
    assert_eq!(found, Audit { files: 3, bytes: 101_008, ..Audit::default() });
    assert!(wrong.is_empty());
    for file in files(directory.path()) {
        let length = std::fs::metadata(&file).unwrap().len();
        match length {
            1000 => std::fs::write(file, b"cut").unwrap(),
            100_000 => change(&file),
            _ => {}
        }
    }
    let (found, mut wrong) = look(false);
    assert_eq!((found.changed, found.removed), (2, 0));
    let mut expected = [Digest::of(&bytes), Digest::of(&short)];
    wrong.sort();
    expected.sort();
    assert_eq!(wrong, expected);
    let (found, _) = look(true);
    assert_eq!((found.changed, found.removed), (0, 2));
    assert_eq!(look(false).0, Audit { files: 1, bytes: 8, ..Audit::default() });
    assert!(blobs.find(&Digest::of(&bytes)).await.is_none(), "who has it open notices");
    assert!(blobs.read(&document.digest(), 8).await.unwrap().is_some());
}
