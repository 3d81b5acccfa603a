use std::io::{Read, Seek, SeekFrom, Write};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use redb::StorageBackend;

use super::*;
use crate::{Limits, Links, Memo, Scope};

const TABLE: Table = Table { name: "things", entries: 4 };

async fn put(index: &Index, key: &str, value: Option<&str>) {
    let ticket = index.put(TABLE, key.as_bytes(), value.map(|value| value.as_bytes().into()));
    index.settled(ticket).await;
}

fn find(index: &Index, key: &str) -> Option<String> {
    index.find(TABLE, key.as_bytes()).map(|value| String::from_utf8(value.to_vec()).unwrap())
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let index = Index::open(directory.path()).unwrap();
    put(&index, "a", Some("1")).await;
    put(&index, "b", Some("2")).await;
    put(&index, "a", None).await;
    // Not waited for: closing does.
    index.put(TABLE, b"c", Some(b"3".as_slice().into()));
    drop(index);

    let index = Index::open(directory.path()).unwrap();
    assert_eq!((find(&index, "a"), find(&index, "b")), (None, Some("2".into())));
    assert_eq!(find(&index, "c"), Some("3".into()));
}

#[test]
fn a_write_can_be_read_before_it_is_on_disk() {
    let index = Index::in_memory();
    for round in 0..200 {
        index.put(TABLE, b"key", Some(round.to_string().as_bytes().into()));
        assert_eq!(find(&index, "key"), Some(round.to_string()));
        index.put(TABLE, b"key", None);
        assert_eq!(find(&index, "key"), None);
    }
}

#[tokio::test]
async fn the_last_entries_stay_and_so_does_what_is_read() {
    let index = Index::in_memory();
    put(&index, "read", Some("still here")).await;
    for number in 0..40 {
        put(&index, &format!("{number}"), Some("x")).await;
        assert_eq!(find(&index, "read"), Some("still here".into()), "after {number}");
        assert!(index.keys_under(TABLE, &Beginning::of_all()).len() <= 8, "after {number}");
    }
    let last = (37..40).filter(|number| find(&index, &number.to_string()).is_some());
    assert_eq!(last.count(), 3);
    assert_eq!(find(&index, "0"), None);
}

#[tokio::test]
async fn what_is_removed_does_not_come_back_from_the_older_generation() {
    let index = Index::in_memory();
    put(&index, "key", Some("old")).await;
    for number in 0..4 {
        put(&index, &format!("{number}"), Some("x")).await;
    }
    put(&index, "key", Some("new")).await;
    assert_eq!(find(&index, "key"), Some("new".into()));
    put(&index, "key", None).await;
    assert_eq!(find(&index, "key"), None);
}

#[test]
fn only_one_may_have_it_open() {
    let directory = tempfile::tempdir().unwrap();
    let _index = Index::open(directory.path()).unwrap();
    assert!(matches!(Index::open(directory.path()), Err(OpenError::InUse { .. })));
}

#[test]
fn what_is_no_index_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(FILE);
    std::fs::write(&file, "certainly not a database, but long enough to look for one ".repeat(100)).unwrap();
    let before = std::fs::read(&file).unwrap();
    assert!(matches!(Index::open(directory.path()), Err(OpenError::Damaged { .. })));
    assert_eq!(std::fs::read(&file).unwrap(), before);

    let parent = directory.path().join("file");
    std::fs::write(&parent, "").unwrap();
    assert!(matches!(Index::open(&parent.join("below")), Err(OpenError::Io { .. })));
}

#[test]
fn the_format_of_another_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(Index::open(directory.path()).unwrap());
    let database = builder().create(directory.path().join(FILE)).unwrap();
    generations::set_format(&database, generations::FORMAT + 1).unwrap();
    drop(database);
    let error = Index::open(directory.path()).unwrap_err();
    assert!(matches!(error, OpenError::OtherFormat { found: 2, known: 1, .. }));
}

/// An index with something in it, as bytes.
fn some_index() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let index = Index::open(directory.path()).unwrap();
    let value: Arc<[u8]> = vec![7; 1000].into();
    for key in 0..100_u32 {
        index.put(Table { name: "things", entries: 1000 }, &key.to_be_bytes(), Some(value.clone()));
    }
    drop(index);
    std::fs::read(directory.path().join(FILE)).unwrap()
}

#[test]
fn a_damaged_file_is_an_error_or_whole_and_never_a_panic() {
    let whole = some_index();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(48));
    let damage = (0..whole.len(), 1_u8..=255, 1_usize..64);
    let outcome = runner.run(&damage, |(at, with, length)| {
        let directory = tempfile::tempdir()?;
        let mut bytes = whole.clone();
        bytes.iter_mut().skip(at).take(length).for_each(|byte| *byte ^= with);
        std::fs::write(directory.path().join(FILE), bytes)?;
        if let Ok(index) = Index::open(directory.path()) {
            for key in 0..100_u32 {
                let found = index.find(Table { name: "things", entries: 1000 }, &key.to_be_bytes());
                prop_assert!(found.is_none_or(|value| *value == [7; 1000]));
            }
        }
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn a_file_that_was_cut_is_an_error() {
    let whole = some_index();
    for length in [1, 100, 4096, whole.len() / 2, whole.len() - 1] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE), &whole[..length]).unwrap();
        let error = Index::open(directory.path()).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{length}: {error:?}");
    }
}

/// Says to the second process of the test below what to open.
const DOOMED: &str = "COUNTERSIGN_TEST_DOOMED";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_outlives_a_process_that_is_killed() {
    let name = "index::tests::what_was_kept_outlives_a_process_that_is_killed";
    let scope = Scope::new(&[b"here"]);
    let (parent, child) = (oci::Digest::of(b"parent"), oci::Digest::of(b"child"));
    if let Ok(directory) = std::env::var(DOOMED) {
        let index = Index::open(Path::new(&directory)).unwrap();
        let memo = Memo::new("things", Limits { bytes: 4096, entries: 10 }, Some(index.clone()));
        memo.keep("key".to_owned(), 7).await;
        Links::new(Some(index)).add(&scope, parent, &[(child, 3)]).await;
        println!("kept");
        io::stdout().flush().unwrap();
        // Until it is killed.
        return std::future::pending().await;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut doomed = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(DOOMED, directory.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    let mut output = doomed.stdout.take().unwrap();
    while !String::from_utf8_lossy(&said).contains("kept") {
        let mut byte = [0];
        output.read_exact(&mut byte).expect("the other process keeps and waits");
        said.push(byte[0]);
    }
    doomed.kill().unwrap();
    doomed.wait().unwrap();

    let index = Index::open(directory.path()).unwrap();
    let memo = Memo::<String, u32>::new("things", Limits { bytes: 4096, entries: 10 }, Some(index.clone()));
    assert_eq!(memo.find(&"key".to_owned()).await, Some(7));
    let links = Links::new(Some(index));
    assert_eq!(links.parents(&scope, &child).await, [crate::Link { parent, size: 3 }]);
}

#[tokio::test]
async fn damage_while_it_is_open_is_a_miss() {
    let limits = Limits { bytes: 1024 * 1024, entries: 1000 };
    let directory = tempfile::tempdir().unwrap();
    let memo = Memo::new("things", limits, Some(Index::open(directory.path()).unwrap()));
    futures_util::future::join_all((0..100_u32).map(|key| memo.keep(key.to_string(), "x".repeat(1000))))
        .await;
    drop(memo);

    let index = Index::open(directory.path()).unwrap();
    let path = directory.path().join(FILE);
    let mut file = std::fs::File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(4096)).unwrap();
    let rest = file.metadata().unwrap().len() as usize - 4096;
    file.write_all(&vec![0xa5; rest]).unwrap();
    let memo = Memo::<String, String>::new("things", limits, Some(index));
    for key in 0..100_u32 {
        let found = memo.find(&key.to_string()).await;
        assert!(found.is_none_or(|value| value == "x".repeat(1000)));
    }
    memo.keep("new".into(), "y".into()).await;
    assert_eq!(memo.find(&"new".into()).await, Some("y".into()), "memory goes on");
}

/// A file on a disk that can be made to take nothing more.
#[derive(Debug)]
struct FullDisk {
    file: redb::backends::FileBackend,
    full: Arc<AtomicBool>,
}

impl StorageBackend for FullDisk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write(offset, bytes)
    }
}

#[tokio::test]
async fn a_disk_that_was_full_is_read_and_then_written_again() {
    let directory = tempfile::tempdir().unwrap();
    let (path, full) = (directory.path().join(FILE), Arc::new(AtomicBool::new(false)));
    let disk = Disk::open({
        let full = full.clone();
        move || {
            let file =
                std::fs::File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
            let backend = FullDisk { file: redb::backends::FileBackend::new(file)?, full: full.clone() };
            builder().create_with_backend(backend)
        }
    });
    let disk = disk.unwrap();
    disk.with(generations::format).unwrap();
    let index = Index::over(disk).unwrap();
    put(&index, "before", Some("1")).await;
    full.store(true, Ordering::SeqCst);
    put(&index, "meanwhile", Some("2")).await;
    assert_eq!(find(&index, "meanwhile"), None);

    full.store(false, Ordering::SeqCst);
    index.opened.disk.reopen();
    assert_eq!(find(&index, "before"), Some("1".into()));
    assert!(!index.opened.disk.has_failed());
}
