//! Manifests and tags.

use oci::{Digest, MANIFEST_ACCEPT, MANIFEST_LIMIT, MediaType, TagOrDigest};
use testkit::image::Image;
use testkit::registry::{Fault, Registry, Seen};
use upstream::FetchError;

use crate::{by_tag, repository, tag, upstream};

fn is_head(seen: &Seen) -> bool {
    seen.method == "HEAD"
}

fn is_get(seen: &Seen) -> bool {
    seen.method == "GET"
}

#[tokio::test]
async fn a_manifest_comes_as_it_is_by_tag_and_by_digest() {
    let registry = Registry::start().await;
    let image = Image::random(1);
    let digest = image.push_to(&registry, "acme/app", Some("v1"));
    let upstream = upstream(&registry);
    let by_sha512 = Digest::with(oci::Algorithm::Sha512, &image.manifest);

    for (version, address) in [
        (by_tag(), digest),
        (TagOrDigest::Digest(digest), digest),
        (TagOrDigest::Digest(by_sha512), by_sha512),
    ] {
        let fetched = upstream.manifest(&repository(), &version).await.unwrap();
        assert_eq!(fetched.content.bytes(), &image.manifest);
        assert_eq!(fetched.content.digest(), address);
        assert_eq!(fetched.media_type, Some(MediaType::new(MediaType::OCI_MANIFEST)));
    }
    let seen = &registry.requests()[0];
    assert_eq!(seen.header("accept"), Some(MANIFEST_ACCEPT));
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    assert!(seen.header("user-agent").unwrap().starts_with("countersign/"));
    assert_eq!(seen.authorization(), None);
}

#[tokio::test]
async fn a_tag_is_resolved_without_fetching_the_manifest() {
    let registry = Registry::start().await;
    let digest = Image::random(1).push_to(&registry, "acme/app", Some("v1"));
    let resolved = upstream(&registry).resolve(&repository(), &tag()).await.unwrap();
    assert_eq!(resolved, digest);
    assert_eq!(registry.count(is_get), 0);

    let gone = upstream(&registry).resolve(&repository(), &"v2".parse().unwrap()).await;
    assert!(matches!(gone, Err(FetchError::NotFound)), "{gone:?}");
}

#[tokio::test]
async fn a_tag_is_resolved_from_the_bytes_where_no_header_says_it() {
    let sha512 = Digest::with(oci::Algorithm::Sha512, b"x").to_string();
    for fault in [
        Fault::Without("docker-content-digest"),
        Fault::Header("docker-content-digest", "sha256:xyz".to_owned()),
        Fault::Header("docker-content-digest", sha512),
        Fault::Status(405),
        Fault::StatusWith(307, vec![("location", "/elsewhere".to_owned())]),
    ] {
        let registry = Registry::start().await;
        let digest = Image::random(1).push_to(&registry, "acme/app", Some("v1"));
        registry.fault(is_head, fault.clone());
        let resolved = upstream(&registry).resolve(&repository(), &tag()).await.unwrap();
        assert_eq!((resolved, registry.count(is_get)), (digest, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn a_lying_digest_header_makes_no_content_pass_for_another() {
    let registry = Registry::start().await;
    let digest = Image::random(1).push_to(&registry, "acme/app", Some("v1"));
    let signed = Image::random(2).push_to(&registry, "acme/app", None);
    registry.fault(Seen::is_manifest, Fault::Header("docker-content-digest", signed.to_string()));
    let upstream = upstream(&registry);
    let fetched = upstream.manifest(&repository(), &by_tag()).await.unwrap();
    assert_eq!(fetched.content.digest(), digest);

    // What the header says is what is asked for next, and then the content has to be it.
    let hint = upstream.resolve(&repository(), &tag()).await.unwrap();
    let fetched = upstream.manifest(&repository(), &TagOrDigest::Digest(hint)).await.unwrap();
    assert_eq!(fetched.content.digest(), signed);
}

#[tokio::test]
async fn a_manifest_other_than_the_one_that_was_asked_for_is_refused() {
    let registry = Registry::start().await;
    let digest = Image::random(1).push_to(&registry, "acme/app", None);
    registry.fault(Seen::is_manifest, Fault::Corrupt);
    let outcome = upstream(&registry).manifest(&repository(), &TagOrDigest::Digest(digest)).await;
    assert!(matches!(&outcome, Err(FetchError::WrongContent(wrong)) if wrong.want == digest), "{outcome:?}");
}

#[tokio::test]
async fn a_manifest_may_be_as_large_as_the_limit_and_no_larger() {
    let registry = Registry::start().await;
    let upstream = upstream(&registry);
    for announced in [true, false] {
        for excess in [0, 1] {
            let bytes = vec![b' '; MANIFEST_LIMIT + excess];
            registry.put_manifest("acme/app", Some("v1"), MediaType::OCI_MANIFEST, bytes);
            registry.clear_faults();
            if !announced {
                registry.fault(Seen::is_manifest, Fault::Chunked);
            }
            let outcome = upstream.manifest(&repository(), &by_tag()).await;
            match excess {
                0 => assert_eq!(outcome.unwrap().content.bytes().len(), MANIFEST_LIMIT),
                _ => assert!(matches!(outcome, Err(FetchError::TooLarge { .. })), "{outcome:?}"),
            }
        }
    }
    registry.clear_faults();
    registry.fault(Seen::is_manifest, Fault::Endless);
    let outcome = upstream.manifest(&repository(), &by_tag()).await;
    assert!(
        matches!(outcome, Err(FetchError::TooLarge { limit }) if limit == MANIFEST_LIMIT as u64),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn an_encoded_manifest_is_refused() {
    let registry = Registry::start().await;
    Image::random(1).push_to(&registry, "acme/app", Some("v1"));
    let upstream = upstream(&registry);
    registry.fault_times(1, Seen::is_manifest, Fault::Header("content-encoding", "gzip".to_owned()));
    let outcome = upstream.manifest(&repository(), &by_tag()).await;
    assert!(matches!(outcome, Err(FetchError::Refused(_))), "{outcome:?}");

    registry.fault_times(1, Seen::is_manifest, Fault::Header("content-encoding", "identity".to_owned()));
    assert!(upstream.manifest(&repository(), &by_tag()).await.is_ok());
}
