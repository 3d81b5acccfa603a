//! What is remembered of a repository from one run to the next.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci::Digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What was trusted last: the newest root and the versions below which nothing is believed any more, and the target.
///
/// Whoever keeps it keeps it whole: a directory that only the gateway writes to is trusted as the gateway is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The [id](super::Repository::id) of the repository that it is of.
    repository: String,
    pub(super) root: Base64,
    pub(super) timestamp: Option<Base64>,
    pub(super) snapshot: Option<Base64>,
    /// The bytes of the target that was last found good.
    pub(super) target: Option<Base64>,
    /// When it was last found good, in seconds since 1970.
    pub refreshed: Option<i64>,
    /// When the first of the metadata that vouches for it expires, in seconds since 1970.
    pub expires: Option<i64>,
}

/// The most bytes that are read: metadata and target at their limits, in base64.
pub const KEPT_LIMIT: u64 = 8 * 1024 * 1024;

impl Kept {
    pub(super) fn new(repository: Digest, root: &[u8]) -> Self {
        Self {
            repository: repository.to_string(),
            root: Base64(root.to_vec()),
            timestamp: None,
            snapshot: None,
            target: None,
            refreshed: None,
            expires: None,
        }
    }

    /// What was kept as these bytes. `None` if it is of another repository, or damaged: then a run starts from the root
    /// that was configured.
    pub fn from_json(bytes: &[u8], repository: &super::Repository) -> Option<Self> {
        let kept: Self = serde_json::from_slice(bytes).ok()?;
        (kept.repository == repository.id().to_string()).then_some(kept)
    }

    /// The bytes to keep.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The target that was last found good.
    pub fn target(&self) -> Option<&str> {
        std::str::from_utf8(&self.target.as_ref()?.0).ok()
    }
}

/// Bytes that are text in JSON.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Base64(pub(super) Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}
