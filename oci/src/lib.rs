//! Nouns: what registries and their clients talk about.
//!
//! Everything that arrives as text or bytes is parsed here, once, into a type that can hold nothing
//! else: a [`Digest`], a [`Reference`], a [`Manifest`]. The crate does no I/O and reads no clock.

mod artefact;
mod descriptor;
mod digest;
mod endpoint;
mod error_code;
mod host;
mod manifest;
mod media_type;
mod name;
mod reference;
mod referrers;
mod verified;

pub use artefact::{ArtefactLimits, Attachment};
pub use descriptor::Descriptor;
pub use digest::{Algorithm, Digest, Hasher, InvalidDigest};
pub use endpoint::{Endpoint, InvalidEndpoint};
pub use error_code::{ErrorBody, ErrorCode};
pub use host::{Host, InvalidHost};
pub use manifest::{ImageIndex, ImageManifest, InvalidManifest, MANIFEST_LIMIT, Manifest};
pub use media_type::{MANIFEST_ACCEPT, MediaType};
pub use name::{InvalidName, InvalidTag, Repository, Tag};
pub use reference::{InvalidReference, Name, Reference, TagOrDigest};
pub use referrers::ReferrersList;
pub use verified::{Verified, WrongContent};
