//! Transparency logs as Rekor keeps them: entries, promises, inclusion proofs and checkpoints.

mod entry;

use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use oci::Digest;

use super::managed_key::ManagedKey;
use super::merkle::{self, Hash};
use super::recipe::Record;

pub(super) use entry::{Entry, Proof};

/// How many entries of others a tree begins with, so that a proof has some length.
const ENTRIES_OF_OTHERS: u8 = 37;
/// How many entries earlier trees of the first log hold, so that an entry's two numbers differ.
const EARLIER_ENTRIES: u64 = 1_000_000;

/// A log of each generation.
#[derive(Debug)]
pub(super) struct Logs {
    pub(super) first: TransparencyLog,
    pub(super) second: TransparencyLog,
}

/// A log that signs what it is given.
#[derive(Debug)]
pub(super) struct TransparencyLog {
    generation: Generation,
    key: ManagedKey,
    id: [u8; 32],
    leaves: Mutex<Vec<Hash>>,
}

/// What kind of log it is.
#[derive(Clone, Copy, Debug)]
enum Generation {
    /// Promises at what time it recorded something.
    First,
    /// Promises nothing and tells no time: its entries come with their proof.
    Second,
}

impl Logs {
    pub(super) fn new(seed: &str) -> Self {
        Self {
            first: TransparencyLog::of(Generation::First, ManagedKey::seeded(&format!("{seed}/rekor"))),
            second: TransparencyLog::of(
                Generation::Second,
                ManagedKey::seeded_ed25519(&format!("{seed}/rekor2")),
            ),
        }
    }

    /// Logs that go by the identifiers of others, but do not have their keys.
    pub(super) fn impersonating(others: &Self, seed: &str) -> Self {
        let Self { first, second } = Self::new(seed);
        Self {
            first: TransparencyLog { id: others.first.id, ..first },
            second: TransparencyLog { id: others.second.id, ..second },
        }
    }

    /// The log that takes entries of this kind.
    pub(super) fn taking(&self, record: Record) -> &TransparencyLog {
        match record {
            Record::Nowhere
            | Record::HashedRekordV001
            | Record::DsseV001
            | Record::IntotoV001
            | Record::IntotoV002 => &self.first,
            Record::HashedRekordV002 => &self.second,
        }
    }
}

impl TransparencyLog {
    fn of(generation: Generation, key: ManagedKey) -> Self {
        let entries_of_others = (0..ENTRIES_OF_OTHERS).map(|number| merkle::leaf(&[number]));
        let id = generation.id(&key);
        Self { generation, key, id, leaves: Mutex::new(entries_of_others.collect()) }
    }

    pub(super) fn key(&self) -> &ManagedKey {
        &self.key
    }

    /// What the log is known by.
    pub(super) fn id(&self) -> &[u8; 32] {
        &self.id
    }

    /// Where the log is, as trust roots say.
    pub(super) fn base_url(&self) -> String {
        format!("https://{}", self.generation.name())
    }

    /// Appends an entry with this body, at a time in seconds since 1970.
    pub(super) fn append(&self, record: Record, body: Vec<u8>, time: u64) -> Entry<'_> {
        let tree_index = {
            let mut leaves = self.leaves();
            leaves.push(merkle::leaf(&body));
            leaves.len() - 1
        };
        match self.generation {
            Generation::First => {
                let index = EARLIER_ENTRIES + tree_index as u64;
                Entry::new(self, record, body, tree_index, index).promised(time)
            }
            Generation::Second => Entry::new(self, record, body, tree_index, tree_index as u64),
        }
    }

    /// The size of the tree as it is now, its root, and the path to it from a leaf. It hashes the whole tree.
    fn path(&self, tree_index: usize) -> (usize, Hash, Vec<Hash>) {
        let leaves = self.leaves();
        let path = merkle::path(tree_index, &leaves).unwrap_or_default();
        (leaves.len(), merkle::root(&leaves), path)
    }

    /// A [signed note](https://github.com/C2SP/C2SP/blob/main/signed-note.md): the signature follows the first four
    /// bytes of the log's identifier.
    fn checkpoint(&self, size: usize, root: &Hash) -> String {
        let note = format!("{}\n{size}\n{}\n", self.generation.origin(), BASE64.encode(root));
        let signature = [&self.id[..4], &self.key.sign(note.as_bytes())].concat();
        format!("{note}\n\u{2014} {} {}\n", self.generation.name(), BASE64.encode(signature))
    }

    /// A push cannot be half done, so what a panic leaves behind is a good tree.
    fn leaves(&self) -> MutexGuard<'_, Vec<Hash>> {
        self.leaves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generation {
    /// The name that checkpoints are signed under. It must hold no space.
    fn name(self) -> &'static str {
        match self {
            Self::First => "rekor.testkit.example",
            Self::Second => "log2026.rekor.testkit.example",
        }
    }

    /// What a checkpoint says first: the name, and in the first generation the number of the tree.
    fn origin(self) -> &'static str {
        match self {
            Self::First => "rekor.testkit.example - 4242",
            Self::Second => self.name(),
        }
    }

    /// The first generation is known by its key, the second as signed notes have it: by its name and its key.
    fn id(self, key: &ManagedKey) -> [u8; 32] {
        let known_by = match self {
            Self::First => key.public_der().to_vec(),
            Self::Second => {
                // 1 stands for Ed25519, whose key is the last 32 bytes of its encoding.
                let bits = key.public_der().split_at(key.public_der().len() - 32).1;
                [self.name().as_bytes(), b"\n\x01", bits].concat()
            }
        };
        let mut id = [0; 32];
        id.copy_from_slice(Digest::of(&known_by).hash());
        id
    }
}
