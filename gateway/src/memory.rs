//! What is remembered, for whoever operates the gateway: shown, and forgotten.

mod inspect;
mod purge;
mod subject;
pub(crate) mod usage;

use std::sync::Arc;

use cache::KeyBytes;
use oci::{Digest, Name, Repository};

pub(crate) use self::purge::{Purged, Target};
pub(crate) use self::subject::Subject;
use crate::content::Content;
use crate::place::Upstreams;
use crate::verdicts::Verdicts;

/// Everything that remembers something of images.
#[derive(Clone)]
pub(crate) struct Memory {
    content: Arc<Content>,
    verdicts: Arc<Verdicts>,
    upstreams: Arc<Upstreams>,
    /// Whose it is.
    tenant: &'static str,
}

impl Memory {
    /// What these remember.
    pub(crate) fn new(
        content: Arc<Content>,
        verdicts: Arc<Verdicts>,
        upstreams: Arc<Upstreams>,
        tenant: &'static str,
    ) -> Self {
        Self { content, verdicts, upstreams, tenant }
    }
}

/// The image that a key begins with, if it begins with one.
fn image_of(key: &KeyBytes) -> Option<(Name, Digest)> {
    let mut fields = key.fields();
    let mut text = || std::str::from_utf8(fields.next()?).ok().map(str::to_owned);
    let (host, repository) = (text()?.parse().ok()?, text()?.parse::<Repository>().ok()?);
    // Nothing is judged under another algorithm.
    let hash: [u8; 32] = fields.next()?.try_into().ok()?;
    Some((Name { host, repository }, Digest::from_sha256(hash)))
}

/// The names of the tiers that have something.
fn tiers(memory: bool, disk: bool, redis: bool) -> Vec<&'static str> {
    let all = [(memory, "memory"), (disk, "disk"), (redis, "redis")];
    all.into_iter().filter_map(|(has, name)| has.then_some(name)).collect()
}
