//! Trust roots from a repository of [The Update Framework](https://theupdateframework.github.io/specification/latest/).
//!
//! A [`Refresh`] is one run of the client workflow (section 5 of the specification) that opens no connection and reads
//! no clock: it says which file it [wants](Refresh::want) next and [takes](Refresh::take) its bytes. Reading metadata
//! and its canonical form is the Sigstore library's; whom to believe is decided here.

mod archive;
mod error;
mod kept;
mod search;
mod signed;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use oci::{Algorithm, Digest, Hasher};
use sigstore_tuf::metadata::Role;
use sigstore_tuf::{MetaFile, Metadata, Root, Snapshot, TargetFile, Targets};
use sigstore_verify::crypto::{sha256, sha512};

use crate::trust_root::TrustRoot;
use search::{Edge, Found, Search};
use signed::{check, check_by_root, check_fresh, read, same_signers};

pub use error::TufError;
pub use kept::{KEPT_LIMIT, Kept};

/// How large files may be, in bytes. Sigstore's are a tenth of it at most.
const ROOT_LIMIT: u64 = 512_000;
const TIMESTAMP_LIMIT: u64 = 16_384;
const SNAPSHOT_LIMIT: u64 = 2_000_000;
const TARGETS_LIMIT: u64 = 2_000_000;
const TARGET_LIMIT: u64 = 1024 * 1024;

/// How many new roots are followed in one run.
const ROOTS_LIMIT: usize = 64;

/// A repository as its users know it: by a root that they trust, and by the name of the target that they want.
#[derive(Clone)]
pub struct Repository {
    id: Digest,
    anchor: Arc<[u8]>,
    target: Arc<str>,
}

/// A file that is wanted next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Want {
    /// In which part of the repository it is.
    pub place: Place,
    /// Its path there, ready for a URL.
    pub path: String,
    /// The most bytes that it may have.
    pub limit: u64,
    /// Whether there may be none, so that its absence is an answer.
    pub optional: bool,
}

/// The parts of a repository.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// Where the metadata is.
    Metadata,
    /// Where the targets are.
    Targets,
}

/// One run of the client workflow.
pub struct Refresh {
    target: Arc<str>,
    now: Timestamp,
    kept: Kept,
    root: Metadata<Root>,
    new_roots: usize,
    /// What an earlier run trusted: nothing older is believed.
    floor: Floor,
    stage: Stage,
}

#[derive(Default)]
struct Floor {
    timestamp: Option<Metadata<sigstore_tuf::Timestamp>>,
    snapshot: Option<Metadata<Snapshot>>,
}

/// What is wanted next, and what was found that says so.
enum Stage {
    Root,
    Timestamp,
    Snapshot { pin: MetaFile },
    Targets { snapshot: Snapshot },
    Delegated { snapshot: Snapshot, search: Search, edge: Edge },
    Target { file: TargetFile },
    Done { root: Arc<TrustRoot> },
}

impl Repository {
    /// A repository that is trusted by a `root.json`, which may be an old one, and the name of one of its targets.
    ///
    /// # Errors
    /// [`TufError`] where that is no root, or not signed by its own keys, or no target can have the name.
    pub fn new(anchor: &[u8], target: &str) -> Result<Self, TufError> {
        if anchor.len() as u64 > ROOT_LIMIT {
            return Err(TufError::TooLarge { file: "root.json".to_owned(), limit: ROOT_LIMIT });
        }
        own(read("root.json", anchor)?)?;
        let segment = |segment: &str| !matches!(segment, "" | "." | "..");
        if target.len() > 255 || !target.split('/').all(segment) {
            return Err(TufError::NoTarget(target.to_owned()));
        }
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(&(anchor.len() as u64).to_be_bytes());
        hasher.update(anchor);
        hasher.update(target.as_bytes());
        Ok(Self { id: hasher.finish(), anchor: anchor.into(), target: target.into() })
    }

    /// What distinguishes it from every other. Where it is mirrored makes no difference.
    pub fn id(&self) -> Digest {
        self.id
    }

    /// Begins a run at a time, in seconds since 1970. What was kept of another repository, or makes no sense, is
    /// as good as nothing.
    ///
    /// # Errors
    /// None in practice, since the root was looked at before.
    pub fn refresh(&self, kept: Option<Kept>, now: i64) -> Result<Refresh, TufError> {
        let now = Timestamp::from_second(now).map_err(|error| TufError::malformed("now", error))?;
        let trusted = kept.and_then(|kept| Some((own(read("root.json", &kept.root.0).ok()?).ok()?, kept)));
        let (root, kept) = match trusted {
            Some(trusted) => trusted,
            None => (own(read("root.json", &self.anchor)?)?, Kept::new(self.id, &self.anchor)),
        };
        let floor = Floor::of(&kept, &root);
        Ok(Refresh { target: self.target.clone(), now, kept, root, new_roots: 0, floor, stage: Stage::Root })
    }

    /// Runs over a repository that is all in one archive, at a time in seconds since 1970. Targets are in this folder
    /// of it.
    ///
    /// # Errors
    /// As [`Refresh::take`], and [`TufError::Archive`].
    pub fn read_archive(
        &self,
        archive: &[u8],
        targets: &str,
        now: i64,
    ) -> Result<(Arc<TrustRoot>, Kept), TufError> {
        let files = archive::unpack(archive)?;
        let mut refresh = self.refresh(None, now)?;
        while let Some(want) = refresh.want() {
            let path = match want.place {
                Place::Metadata => want.path,
                Place::Targets => format!("{}/{}", targets.trim_matches('/'), want.path),
            };
            refresh.take(files.get(&path).map(Vec::as_slice))?;
        }
        let kept = refresh.kept();
        refresh.trust_root().map(|root| (root, kept)).ok_or_else(|| TufError::NoTarget(path_of(&self.target)))
    }
}

impl Refresh {
    /// The file that is wanted next; none once the run is over.
    pub fn want(&self) -> Option<Want> {
        let consistent = self.root.signed().consistent_snapshot;
        let versioned = |version: u64, role: &str| {
            if consistent {
                format!("{version}.{}.json", path_of(role))
            } else {
                format!("{}.json", path_of(role))
            }
        };
        let (place, path, limit) = match &self.stage {
            Stage::Root => {
                (Place::Metadata, format!("{}.root.json", self.root.signed().version + 1), ROOT_LIMIT)
            }
            Stage::Timestamp => (Place::Metadata, "timestamp.json".to_owned(), TIMESTAMP_LIMIT),
            Stage::Snapshot { pin } => {
                (Place::Metadata, versioned(pin.version, "snapshot"), limit(pin, SNAPSHOT_LIMIT))
            }
            Stage::Targets { snapshot } => {
                let pin = snapshot.meta.get("targets.json")?;
                (Place::Metadata, versioned(pin.version, "targets"), limit(pin, TARGETS_LIMIT))
            }
            Stage::Delegated { snapshot, edge, .. } => {
                let pin = snapshot.meta.get(&format!("{}.json", edge.role))?;
                (Place::Metadata, versioned(pin.version, &edge.role), limit(pin, TARGETS_LIMIT))
            }
            Stage::Target { file } => {
                (Place::Targets, target_path(&self.target, file, consistent), file.length)
            }
            Stage::Done { .. } => return None,
        };
        Some(Want { place, path, limit, optional: matches!(self.stage, Stage::Root) })
    }

    /// Takes the file that was wanted, or that there is none.
    ///
    /// # Errors
    /// [`TufError`], with nothing of the file believed and everything before it [kept](Self::kept). The run can go on
    /// with another copy of the same file.
    pub fn take(&mut self, bytes: Option<&[u8]>) -> Result<(), TufError> {
        let Some(want) = self.want() else { return Ok(()) };
        let Some(bytes) = bytes else {
            return if want.optional { self.end_roots() } else { Err(TufError::Missing(want.path)) };
        };
        if bytes.len() as u64 > want.limit {
            return Err(TufError::TooLarge { file: want.path, limit: want.limit });
        }
        match &self.stage {
            Stage::Root => self.take_root(bytes),
            Stage::Timestamp => self.take_timestamp(bytes),
            Stage::Snapshot { pin } => self.take_snapshot(bytes, &pin.clone()),
            Stage::Targets { .. } | Stage::Delegated { .. } => self.take_targets(bytes),
            Stage::Target { file } => self.take_target(bytes, &file.clone()),
            Stage::Done { .. } => Ok(()),
        }
    }

    /// What to remember: from this run, as far as it came, and from those before it.
    pub fn kept(&self) -> Kept {
        self.kept.clone()
    }

    /// The target, once the run is over.
    pub fn trust_root(&self) -> Option<Arc<TrustRoot>> {
        match &self.stage {
            Stage::Done { root } => Some(root.clone()),
            Stage::Root
            | Stage::Timestamp
            | Stage::Snapshot { .. }
            | Stage::Targets { .. }
            | Stage::Delegated { .. }
            | Stage::Target { .. } => None,
        }
    }

    /// Section 5.3: one more root, by the keys of the one before it and by its own.
    fn take_root(&mut self, bytes: &[u8]) -> Result<(), TufError> {
        let trusted = self.root.signed();
        let file = format!("{}.root.json", trusted.version + 1);
        if self.new_roots == ROOTS_LIMIT {
            return Err(TufError::TooManyRoots(ROOTS_LIMIT));
        }
        let new = read::<Root>(&file, bytes)?;
        check_by_root(&new, trusted, "root")?;
        let new = own(new)?;
        if new.signed().version != trusted.version + 1 {
            return Err(TufError::mismatch(&file, "version"));
        }
        // 5.3.11: whoever had the old keys may have set versions that nobody will ever reach again.
        if ["timestamp", "snapshot"].iter().any(|role| !same_signers(trusted, new.signed(), role)) {
            self.floor = Floor::default();
            (self.kept.timestamp, self.kept.snapshot) = (None, None);
        }
        self.kept.root = kept::Base64(bytes.to_vec());
        self.root = new;
        self.new_roots += 1;
        Ok(())
    }

    fn end_roots(&mut self) -> Result<(), TufError> {
        check_fresh(self.root.signed(), "root", self.now)?;
        self.stage = Stage::Timestamp;
        Ok(())
    }

    /// Section 5.4.
    fn take_timestamp(&mut self, bytes: &[u8]) -> Result<(), TufError> {
        let new = read::<sigstore_tuf::Timestamp>("timestamp.json", bytes)?;
        check_by_root(&new, self.root.signed(), "timestamp")?;
        let pinned = |timestamp: &sigstore_tuf::Timestamp| {
            timestamp
                .snapshot_meta()
                .cloned()
                .ok_or_else(|| TufError::malformed("timestamp.json", "it does not speak of snapshot.json"))
        };
        if let Some(trusted) = &self.floor.timestamp {
            not_below("timestamp", trusted.signed().version, new.signed().version)?;
            not_below("snapshot", pinned(trusted.signed())?.version, pinned(new.signed())?.version)?;
        }
        // 5.4.3.1: another file of the same version says nothing new, whatever is in it.
        let same = self.floor.timestamp.as_ref().filter(|old| old.signed().version == new.signed().version);
        let current = same.unwrap_or(&new).signed();
        check_fresh(current, "timestamp", self.now)?;
        let (pin, expires) = (pinned(current)?, current.expires);
        if same.is_none() {
            self.kept.timestamp = Some(kept::Base64(bytes.to_vec()));
            self.floor.timestamp = Some(new);
        }
        self.kept_until([expires, self.root.signed().expires]);
        self.stage = Stage::Snapshot { pin };
        Ok(())
    }

    /// Section 5.5.
    fn take_snapshot(&mut self, bytes: &[u8], pin: &MetaFile) -> Result<(), TufError> {
        check_pin("snapshot.json", bytes, pin)?;
        let new = read::<Snapshot>("snapshot.json", bytes)?;
        check_by_root(&new, self.root.signed(), "snapshot")?;
        check_version("snapshot.json", new.signed(), pin)?;
        for (file, trusted) in self.floor.snapshot.iter().flat_map(|trusted| &trusted.signed().meta) {
            let offered = new.signed().meta.get(file).map_or(0, |pin| pin.version);
            not_below(file.trim_end_matches(".json"), trusted.version, offered)?;
        }
        check_fresh(new.signed(), "snapshot", self.now)?;
        if !new.signed().meta.contains_key("targets.json") {
            return Err(TufError::malformed("snapshot.json", "it does not speak of targets.json"));
        }
        self.kept.snapshot = Some(kept::Base64(bytes.to_vec()));
        self.kept_until([new.signed().expires]);
        self.stage = Stage::Targets { snapshot: new.signed().clone() };
        self.floor.snapshot = Some(new);
        Ok(())
    }

    /// Sections 5.6 and 5.6.7: the targets role, and those that it delegates to.
    fn take_targets(&mut self, bytes: &[u8]) -> Result<(), TufError> {
        let (snapshot, edge) = match &self.stage {
            Stage::Targets { snapshot } => (snapshot, None),
            Stage::Delegated { snapshot, edge, .. } => (snapshot, Some(edge)),
            Stage::Root
            | Stage::Timestamp
            | Stage::Snapshot { .. }
            | Stage::Target { .. }
            | Stage::Done { .. } => return Ok(()),
        };
        let role = edge.map_or("targets", |edge| &edge.role);
        let file = format!("{role}.json");
        let pin = snapshot.meta.get(&file).ok_or_else(|| TufError::Missing(file.clone()))?;
        check_pin(&file, bytes, pin)?;
        let new = read::<Targets>(&file, bytes)?;
        match edge {
            None => check_by_root(&new, self.root.signed(), role)?,
            Some(edge) => check(&new, &edge.keys, &edge.signers, role)?,
        }
        check_version(&file, new.signed(), pin)?;
        check_fresh(new.signed(), role, self.now)?;
        let mut search = match &self.stage {
            Stage::Delegated { search, .. } => search.clone(),
            Stage::Root
            | Stage::Timestamp
            | Stage::Snapshot { .. }
            | Stage::Targets { .. }
            | Stage::Target { .. }
            | Stage::Done { .. } => Search::default(),
        };
        let snapshot = snapshot.clone();
        let stage = match search.next(new.signed(), role, &self.target)? {
            Found::Target(file) if file.length > TARGET_LIMIT => {
                return Err(TufError::TooLarge { file: self.target.to_string(), limit: TARGET_LIMIT });
            }
            Found::Target(file) => Stage::Target { file },
            Found::Role(edge) if snapshot.meta.contains_key(&format!("{}.json", edge.role)) => {
                Stage::Delegated { snapshot, search, edge }
            }
            Found::Role(edge) => return Err(TufError::Missing(format!("{}.json", edge.role))),
        };
        self.kept_until([new.signed().expires]);
        self.stage = stage;
        Ok(())
    }

    /// Section 5.7.
    fn take_target(&mut self, bytes: &[u8], file: &TargetFile) -> Result<(), TufError> {
        if bytes.len() as u64 != file.length {
            return Err(TufError::mismatch(&self.target, "length"));
        }
        check_hashes(&self.target, bytes, &file.hashes)?;
        let text = std::str::from_utf8(bytes).map_err(|error| TufError::malformed(&self.target, error))?;
        let root = TrustRoot::from_json(text).map_err(TufError::Unusable)?;
        self.kept.target = Some(kept::Base64(bytes.to_vec()));
        self.kept.refreshed = Some(self.now.as_second());
        self.stage = Stage::Done { root: Arc::new(root) };
        Ok(())
    }

    /// Notes when metadata expires. The first call of a run, for root and timestamp, forgets what runs before it noted.
    fn kept_until<const N: usize>(&mut self, ends: [Timestamp; N]) {
        let before = if matches!(self.stage, Stage::Timestamp) { None } else { self.kept.expires };
        self.kept.expires = ends.iter().map(|end| end.as_second()).chain(before).min();
    }
}

impl Floor {
    /// What an earlier run trusted, as far as the root's keys still vouch for it. That it expired does not matter: no
    /// target is believed because of it.
    fn of(kept: &Kept, root: &Metadata<Root>) -> Self {
        fn vouched<T: Role>(bytes: Option<&kept::Base64>, root: &Root, role: &str) -> Option<Metadata<T>> {
            let metadata = read(role, &bytes?.0).ok()?;
            check_by_root(&metadata, root, role).ok()?;
            Some(metadata)
        }
        let root = root.signed();
        Self {
            timestamp: vouched(kept.timestamp.as_ref(), root, "timestamp"),
            snapshot: vouched(kept.snapshot.as_ref(), root, "snapshot"),
        }
    }
}

/// Passes a root that its own keys signed.
fn own(root: Metadata<Root>) -> Result<Metadata<Root>, TufError> {
    check_by_root(&root, root.signed(), "root")?;
    if root.signed().version == u64::MAX {
        return Err(TufError::malformed("root.json", "no version can follow"));
    }
    Ok(root)
}

fn not_below(role: &str, from: u64, to: u64) -> Result<(), TufError> {
    if to < from { Err(TufError::Rollback { role: role.to_owned(), from, to }) } else { Ok(()) }
}

fn limit(pin: &MetaFile, limit: u64) -> u64 {
    pin.length.map_or(limit, |length| length.min(limit))
}

fn check_pin(file: &str, bytes: &[u8], pin: &MetaFile) -> Result<(), TufError> {
    if pin.length.is_some_and(|length| length != bytes.len() as u64) {
        return Err(TufError::mismatch(file, "length"));
    }
    pin.hashes.as_ref().map_or(Ok(()), |hashes| check_hashes(file, bytes, hashes))
}

fn check_version(file: &str, role: &impl Role, pin: &MetaFile) -> Result<(), TufError> {
    if role.version() == pin.version { Ok(()) } else { Err(TufError::mismatch(file, "version")) }
}

/// Passes where every hash that can be computed is right, and there is one.
fn check_hashes(file: &str, bytes: &[u8], hashes: &BTreeMap<String, String>) -> Result<(), TufError> {
    let mut checked = 0;
    for (algorithm, expected) in hashes {
        let actual = match algorithm.as_str() {
            "sha256" => hex::encode(sha256(bytes).as_bytes()),
            "sha512" => hex::encode(sha512(bytes).as_bytes()),
            _ => continue,
        };
        if !actual.eq_ignore_ascii_case(expected) {
            return Err(TufError::mismatch(file, "hash"));
        }
        checked += 1;
    }
    if checked == 0 {
        return Err(TufError::malformed(file, "no hash of it that can be checked"));
    }
    Ok(())
}

/// Where a target is: under its hash, where the repository has consistent snapshots.
fn target_path(target: &str, file: &TargetFile, consistent: bool) -> String {
    let hash = file.hashes.get("sha256").or_else(|| file.hashes.get("sha512"));
    let (folder, name) =
        target.rsplit_once('/').map_or((None, target), |(folder, name)| (Some(folder), name));
    let name = match hash {
        Some(hash) if consistent => format!("{}.{}", path_of(hash), path_of(name)),
        Some(_) | None => path_of(name),
    };
    let folders = folder.into_iter().flat_map(|folder| folder.split('/')).map(path_of);
    folders.chain([name]).collect::<Vec<_>>().join("/")
}

/// A name as a segment of a path. A name of dots alone would be a way out of the folder.
fn path_of(name: &str) -> String {
    let dots = name.bytes().all(|byte| byte == b'.');
    let plain = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') || (byte == b'.' && !dots)
    };
    name.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests;
