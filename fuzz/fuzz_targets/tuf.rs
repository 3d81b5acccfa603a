//! Whatever a mirror sends: nothing of it is believed that the repository's keys did not sign.

#![no_main]

use std::hint::black_box;
use std::sync::LazyLock;

use fuzz::signing;
use libfuzzer_sys::fuzz_target;
use testkit::tuf::TufRepository;
use verify::tuf::{Kept, Place, Repository};

/// 2026-11-01.
const NOW: i64 = 1_793_491_200;

static PUBLISHED: LazyLock<(TufRepository, Repository)> = LazyLock::new(|| {
    let published = TufRepository::new("fuzz", &signing::authority().trusted_root());
    let repository = Repository::new(published.root(1), "trusted_root.json").expect("our own root");
    (published, repository)
});

// One file of a repository, the one that the first byte names, is the rest of the input.
fuzz_target!(|data: &[u8]| {
    let Some((place, spoiled)) = data.split_first() else { return };
    let (published, repository) = &*PUBLISHED;
    if let Ok(anchor) = Repository::new(spoiled, "trusted_root.json") {
        black_box(anchor.id());
    }
    black_box(Kept::from_json(spoiled, repository));
    black_box(repository.read_archive(spoiled, "targets", NOW).is_ok());
    let mut run = repository.refresh(None, NOW).expect("our own root");
    let mut replaced = false;
    for step in 0.. {
        // A file that was taken though it is not ours byte for byte is one more step at most.
        assert!(step < 16);
        let Some(want) = run.want() else { break };
        if step == place % 5 {
            let before = run.kept();
            replaced = run.take(Some(spoiled)).is_ok();
            if replaced {
                continue;
            }
            assert_eq!(run.kept(), before, "nothing of what is refused is kept");
        }
        let path = match want.place {
            Place::Metadata => want.path,
            Place::Targets => format!("targets/{}", want.path),
        };
        if run.take(published.files.get(&path).map(Vec::as_slice)).is_err() {
            // After a file that the right keys signed, others may speak for the rest of the repository.
            assert!(replaced, "what was signed is taken");
            return;
        }
    }
    assert!(run.trust_root().is_some());
});
