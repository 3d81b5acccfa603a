//! Tags for clients that do not take every kind of manifest.

use std::sync::Arc;

use http::Method;
use oci::{Digest, Endpoint as Path, MANIFEST_LIMIT, MediaType, Repository, Tag, TagOrDigest};

use crate::body;
use crate::error::FetchError;
use crate::site::Site;
use crate::status::{Voice, check};
use crate::upstream::{Kind, Upstream, ask, claimed_digest, fetch};

/// The kinds of image manifests that a client takes which takes no index, or not those of one format.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Images {
    /// Those of either format.
    Any,
    /// OCI's.
    Oci,
    /// Docker's.
    Docker,
}

impl Images {
    pub(crate) fn accept(self) -> &'static str {
        match self {
            Self::Any => {
                "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
            }
            Self::Oci => MediaType::OCI_MANIFEST,
            Self::Docker => MediaType::DOCKER_MANIFEST,
        }
    }
}

impl Upstream {
    /// The digest that a tag leads to for a client that takes nothing but such images. Some registries choose an image
    /// of an index for it, others have none.
    ///
    /// It is a **hint**, as that of [`Upstream::resolve`].
    ///
    /// # Errors
    /// [`FetchError::NotFound`] where the registry has no such image under the tag.
    pub async fn resolve_image(
        &self,
        repository: &Repository,
        tag: &Tag,
        images: Images,
    ) -> Result<Digest, FetchError> {
        let path = &Path::Manifest(repository.clone(), TagOrDigest::Tag(tag.clone()));
        let kind = Kind::Images(images);
        let resolving = async |site: Arc<Site>| {
            let answer = ask(&site, &Method::HEAD, repository, &site.uri(path)?, kind).await?;
            let parts = answer.parts;
            // Another question may follow, which wants the same room.
            drop(answer.permit);
            if check(&parts, Voice::Registry).is_ok()
                && let Some(digest) = claimed_digest(&parts.headers)
            {
                return Ok(digest);
            }
            // Whatever HEAD says that is no digest, GET says better.
            let answer = fetch(&site, repository, path, kind).await?;
            let patience = site.client.body_timeout();
            Ok(Digest::of(&body::document(answer.body, MANIFEST_LIMIT as u64, patience).await?))
        };
        self.sites.ask(resolving).await
    }
}
