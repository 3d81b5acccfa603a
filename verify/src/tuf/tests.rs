use std::io::Write as _;
use std::sync::LazyLock;

use super::*;
use testkit::authority::Authority;
use testkit::tuf::{Delegated, TufRepository, sign};

/// 2026-11-01.
const NOW: i64 = 1_793_491_200;

fn trusted_root(seed: &str) -> String {
    static ROOTS: LazyLock<[(&str, String); 2]> =
        LazyLock::new(|| ["first", "second"].map(|seed| (seed, Authority::new(seed).trusted_root())));
    ROOTS.iter().find(|(name, _)| *name == seed).unwrap().1.clone()
}

fn published() -> TufRepository {
    TufRepository::new("tuf", &trusted_root("first"))
}

fn repository(published: &TufRepository) -> Repository {
    Repository::new(published.root(1), "trusted_root.json").unwrap()
}

/// A run over what is published: the root that came of it and what was kept, whatever came of it.
fn run(
    repository: &Repository,
    published: &TufRepository,
    kept: Option<Kept>,
    now: i64,
) -> (Result<Arc<TrustRoot>, TufError>, Kept) {
    let mut refresh = repository.refresh(kept, now).unwrap();
    while let Some(want) = refresh.want() {
        let path = match want.place {
            Place::Metadata => want.path,
            Place::Targets => format!("targets/{}", want.path),
        };
        if let Err(error) = refresh.take(published.files.get(&path).map(Vec::as_slice)) {
            return (Err(error), refresh.kept());
        }
    }
    (Ok(refresh.trust_root().unwrap()), refresh.kept())
}

/// What comes of an edit to a repository that an earlier run has seen.
fn after(edit: impl FnOnce(&mut TufRepository)) -> Result<Arc<TrustRoot>, TufError> {
    let mut published = published();
    let repository = repository(&published);
    let (first, kept) = run(&repository, &published, None, NOW);
    assert_eq!(first.unwrap().id(), Digest::of(trusted_root("first").as_bytes()));
    edit(&mut published);
    run(&repository, &published, Some(kept), NOW).0
}

#[track_caller]
fn refuses(kind: &str, edit: impl FnOnce(&mut TufRepository)) {
    match after(edit) {
        Err(error) => assert_eq!(error.as_str(), kind, "{error}"),
        Ok(root) => panic!("{kind}: gave {root:?}"),
    }
}

#[track_caller]
fn gives(seed: &str, edit: impl FnOnce(&mut TufRepository)) {
    assert_eq!(after(edit).unwrap().id(), Digest::of(trusted_root(seed).as_bytes()));
}

fn list(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

#[test]
fn what_is_new_is_taken() {
    gives("second", |published| published.update(&trusted_root("second")));
    gives("first", |_| {});
    gives("second", |published| {
        published.consistent = false;
        published.bump("root");
        published.update(&trusted_root("second"));
    });
}

#[test]
fn a_new_root_needs_the_old_keys_and_its_own() {
    gives("second", |published| {
        published.rotate("root", &["a", "hex:b", "ed25519:c"]);
        published.rotate("timestamp", &["ed25519:t"]);
        published.rotate("snapshot", &["hex:s"]);
        published.rotate("targets", &["ed25519:t2"]);
        published.update(&trusted_root("second"));
    });
    refuses("unsigned", |published| {
        published.keys.insert("root".into(), list(&["new"]));
        published.bump("root");
        published.publish();
    });
    refuses("unsigned", |published| {
        published.signing.insert("root".into(), list(&["tuf/root"]));
        published.keys.insert("root".into(), list(&["new"]));
        published.bump("root");
        published.publish();
    });
    refuses("mismatch", |published| {
        published.version.insert("root".into(), 3);
        published.publish();
        let skipped = published.files["3.root.json"].clone();
        published.files.insert("2.root.json".into(), skipped);
    });
}

#[test]
fn old_metadata_is_not_new() {
    for role in ["timestamp", "snapshot", "targets"] {
        let mut published = published();
        let repository = repository(&published);
        published.update(&trusted_root("second"));
        let (_, kept) = run(&repository, &published, None, NOW);
        for role in ["timestamp", "snapshot", "targets"] {
            published.bump(role);
        }
        published.version.insert(role.into(), 1);
        published.publish();
        let (outcome, still) = run(&repository, &published, Some(kept.clone()), NOW);
        assert_eq!(outcome.unwrap_err().as_str(), "rollback", "{role}");
        assert_eq!(still.target(), kept.target());
    }
}

#[test]
fn a_role_that_is_left_out_goes_back_to_nothing() {
    let mut published = published();
    let repository = repository(&published);
    published.keys.insert("extra".into(), list(&["extra"]));
    published.delegated.push(Delegated {
        name: "extra".into(),
        pattern: "x".into(),
        terminating: false,
        targets: BTreeMap::new(),
    });
    published.publish();
    let (_, kept) = run(&repository, &published, None, NOW);
    published.delegated.clear();
    published.update(&trusted_root("second"));
    assert_eq!(run(&repository, &published, Some(kept), NOW).0.unwrap_err().as_str(), "rollback");
}

#[test]
fn versions_that_nobody_can_reach_again_are_forgotten_with_the_keys_that_set_them() {
    let mut published = published();
    let repository = repository(&published);
    published.version.insert("timestamp".into(), u64::MAX);
    published.version.insert("snapshot".into(), u64::MAX);
    published.publish();
    let (_, kept) = run(&repository, &published, None, NOW);
    published.version.insert("timestamp".into(), 2);
    published.version.insert("snapshot".into(), 2);
    published.publish();
    let (stuck, kept) = run(&repository, &published, Some(kept), NOW);
    assert_eq!(stuck.unwrap_err().as_str(), "rollback");
    published.rotate("snapshot", &["recovered"]);
    assert!(run(&repository, &published, Some(kept), NOW).0.is_ok());
}

#[test]
fn what_expired_is_not_believed_and_what_was_believed_is_kept() {
    for role in ["root", "timestamp", "snapshot", "targets"] {
        let mut published = published();
        let repository = repository(&published);
        published.expires.insert(role.into(), "2026-12-01T00:00:00Z".into());
        ["timestamp", "snapshot", "targets", "root"].iter().for_each(|role| published.bump(role));
        published.publish();
        let (good, kept) = run(&repository, &published, None, NOW);
        assert!(good.is_ok(), "{role}");
        let end = 1_796_083_200;
        assert_eq!(kept.expires, Some(end));
        assert!(run(&repository, &published, Some(kept.clone()), end - 1).0.is_ok());
        let (late, still) = run(&repository, &published, Some(kept), end);
        assert_eq!(late.unwrap_err().as_str(), "expired", "{role}");
        assert_eq!(still.target(), Some(trusted_root("first").as_str()));
    }
}

#[test]
fn only_an_old_root_on_the_way_may_have_expired() {
    let mut published = published();
    published.expires.insert("root".into(), "2026-01-01T00:00:00Z".into());
    published.publish();
    let repository = repository(&published);
    assert_eq!(run(&repository, &published, None, NOW).0.unwrap_err().as_str(), "expired");
    published.expires.insert("root".into(), "2100-01-01T00:00:00Z".into());
    published.rotate("root", &["next"]);
    assert!(run(&repository, &published, None, NOW).0.is_ok());
}

#[test]
fn files_of_two_versions_are_not_mixed() {
    for file in ["2.snapshot.json", "2.targets.json"] {
        let mixed = after(|published| {
            published.update(&trusted_root("second"));
            let old = published.files[&file.replace('2', "1")].clone();
            published.files.insert(file.into(), old);
        });
        // Signatures differ in length, so the old file may be longer than the new one was announced to be.
        assert!(["mismatch", "too-large"].contains(&mixed.unwrap_err().as_str()), "{file}");
    }
}

#[test]
fn wrong_keys_count_for_nothing() {
    for role in ["timestamp", "snapshot", "targets"] {
        refuses("unsigned", |published| {
            published.signing.insert(role.into(), list(&["stranger", "tuf/root"]));
            published.update(&trusted_root("second"));
        });
    }
}

#[test]
fn a_threshold_is_of_keys_and_not_of_signatures_or_names() {
    let with = |signing: &[&str]| {
        after(|published| {
            published.threshold.insert("targets".into(), 2);
            published.rotate("targets", &["one", "hex:one", "two"]);
            published.signing.insert("targets".into(), list(signing));
            published.update(&trusted_root("second"));
        })
    };
    assert!(with(&["one", "two"]).is_ok());
    for signing in [&["one"][..], &["one", "one"], &["one", "hex:one"], &["one", "stranger"], &[]] {
        assert_eq!(with(signing).unwrap_err().as_str(), "unsigned", "{signing:?}");
    }
    // A signature that is spoiled does not spoil the right one of the same key.
    assert!(with(&["one", "one", "two"]).is_ok());
    refuses("malformed", |published| {
        published.threshold.insert("targets".into(), 0);
        published.rotate("targets", &["one"]);
        published.update(&trusted_root("second"));
    });
}

#[test]
fn other_software_is_not_the_target() {
    let name = |seed: &str| {
        let text = trusted_root(seed);
        format!("targets/{}.trusted_root.json", hex::encode(sha256(text.as_bytes()).as_bytes()))
    };
    refuses("mismatch", |published| {
        let mut other = published.files[&name("first")].clone();
        let last = other.len() - 1;
        other[last] = b' ';
        published.files.insert(name("first"), other);
    });
    refuses("mismatch", |published| {
        published.files.insert(name("first"), b"{}".to_vec());
    });
    refuses("unusable", |published| published.update("{}"));
    refuses("no-target", |published| {
        published.targets.clear();
        ["timestamp", "snapshot", "targets"].iter().for_each(|role| published.bump(role));
        published.publish();
    });
}

#[test]
fn data_without_end_is_refused() {
    let endless = vec![b' '; 3_000_000];
    for file in ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"] {
        refuses("too-large", |published| {
            published.files.insert(file.into(), endless.clone());
        });
    }
    refuses("too-large", |published| published.update(&" ".repeat(1024 * 1024 + 1)));
    refuses("too-many-roots", |published| {
        (0..=ROOTS_LIMIT).for_each(|_| {
            published.bump("root");
            published.publish_root();
        });
    });
}

#[test]
fn a_run_goes_on_where_the_last_one_had_enough() {
    let mut published = published();
    let repository = repository(&published);
    (0..=ROOTS_LIMIT).for_each(|_| {
        published.bump("root");
        published.publish_root();
    });
    let (_, kept) = run(&repository, &published, None, NOW);
    assert!(run(&repository, &published, Some(kept), NOW).0.is_ok());
}

#[test]
fn what_is_not_there_or_makes_no_sense_is_no_answer() {
    for file in ["timestamp.json", "1.snapshot.json", "1.targets.json"] {
        refuses("missing", |published| drop(published.files.remove(file)));
    }
    for file in ["2.root.json", "timestamp.json"] {
        for text in ["", "{", "{}", "[]", r#"{"signed": {}, "signatures": []}"#] {
            refuses("malformed", |published| drop(published.files.insert(file.into(), text.into())));
        }
    }
}

fn delegating(roles: &[(&str, &str, bool, bool)]) -> TufRepository {
    let mut published = published();
    let targets = std::mem::take(&mut published.targets);
    for (role, pattern, terminating, has) in roles {
        published.keys.insert((*role).into(), list(&[role]));
        let targets = if *has { targets.clone() } else { BTreeMap::new() };
        published.delegated.push(Delegated {
            name: (*role).into(),
            pattern: (*pattern).into(),
            terminating: *terminating,
            targets,
        });
    }
    published.publish();
    published
}

#[test]
fn a_target_may_be_vouched_for_by_a_role_that_is_delegated_to() {
    let outcome = |roles: &[(&str, &str, bool, bool)]| {
        let published = delegating(roles);
        run(&repository(&published), &published, None, NOW).0.map(drop).map_err(|error| error.as_str())
    };
    assert_eq!(outcome(&[("a", "*.json", false, true)]), Ok(()));
    assert_eq!(outcome(&[("a", "*.json", false, false), ("b/c", "trusted_*", false, true)]), Ok(()));
    assert_eq!(outcome(&[("a", "*.txt", false, true)]), Err("no-target"));
    assert_eq!(outcome(&[("a", "*.json", true, false), ("b", "*", false, true)]), Err("no-target"));
    let many: Vec<String> = (0..40).map(|number| format!("r{number}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "*", false, false)).collect();
    assert_eq!(outcome(&many), Err("too-many-roles"));
    let mut published = delegating(&[("a", "*.json", false, true)]);
    published.signing.insert("a".into(), list(&["tuf/targets"]));
    published.publish();
    let stranger = run(&repository(&published), &published, None, NOW).0;
    assert_eq!(stranger.unwrap_err().as_str(), "unsigned");
}

#[test]
fn what_was_kept_is_of_one_repository() {
    let published = published();
    let repository = repository(&published);
    let (_, kept) = run(&repository, &published, None, NOW);
    let text = kept.to_json();
    assert_eq!(Kept::from_json(text.as_bytes(), &repository), Some(kept));
    let other = Repository::new(published.root(1), "other.json").unwrap();
    assert_eq!(Kept::from_json(text.as_bytes(), &other), None);
    assert_eq!(Kept::from_json(b"{", &repository), None);
}

#[test]
fn only_a_root_that_signed_itself_is_an_anchor() {
    let published = published();
    let signed: serde_json::Value = serde_json::from_slice(published.root(1)).unwrap();
    let forged = sign(&signed["signed"], &list(&["stranger"]));
    assert_eq!(Repository::new(&forged, "t").err().unwrap().as_str(), "unsigned");
    assert_eq!(Repository::new(b"{}", "t").err().unwrap().as_str(), "malformed");
    for target in ["", "..", "a/../b", "/a", "a//b"] {
        assert_eq!(Repository::new(published.root(1), target).err().unwrap().as_str(), "no-target");
    }
}

fn packed(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, format!("repository/{name}"), bytes.as_slice()).unwrap();
    }
    gzip(&archive.into_inner().unwrap())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_repository_in_one_file_is_a_repository() {
    let mut published = published();
    let repository = repository(&published);
    let read = |archive: &[u8]| {
        let outcome = repository.read_archive(archive, "targets", NOW);
        outcome.map(|(root, _)| root.id()).map_err(|error| error.as_str())
    };
    assert_eq!(read(&packed(&published.files)), Ok(Digest::of(trusted_root("first").as_bytes())));
    assert_eq!(read(b"not packed"), Err("archive"));
    assert_eq!(read(&packed(&published.files)[..200]), Err("archive"));
    let zeros = BTreeMap::from([("zeros".to_owned(), vec![0; 6_000_000])]);
    assert_eq!(read(&packed(&zeros)), Err("too-large"));
    let many = (0..4).map(|number| (number.to_string(), vec![0; 4_900_000])).collect();
    assert_eq!(read(&packed(&many)), Err("too-large"));
    let many = (0..2000).map(|number| (number.to_string(), Vec::new())).collect();
    assert_eq!(read(&packed(&many)), Err("archive"));
    published.expires.insert("timestamp".into(), "2026-01-01T00:00:00Z".into());
    published.publish();
    assert_eq!(read(&packed(&published.files)), Err("expired"));
}
