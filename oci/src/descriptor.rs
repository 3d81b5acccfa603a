//! How one piece of content names another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Digest, MediaType};

/// A reference to content by type, digest and size, as in the
/// [image specification](https://github.com/opencontainers/image-spec/blob/main/descriptor.md).
///
/// `urls` and `data` are deliberately not read: content comes from the registry that was asked, or not at all.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What kind of content it is.
    pub media_type: MediaType,
    /// Which content it is.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
    /// What else the writer said of it. Where signatures of the tag scheme are kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Some writers spell "no annotations" as `null`.
pub(crate) fn null_is_empty<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
