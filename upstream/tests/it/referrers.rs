//! Lists of referrers.

use bytes::Bytes;
use oci::{Digest, MediaType};
use serde_json::json;
use testkit::image::Image;
use testkit::registry::{Fault, Options, Referrers as Offered, Registry};
use upstream::{FetchError, Referrers};

use crate::{repository, upstream};

/// An image, and a manifest that refers to it.
fn pushed(registry: &Registry) -> (Digest, Digest) {
    let image = Image::random(1);
    let subject = image.push_to(registry, "acme/app", Some("v1"));
    let mut manifest: serde_json::Value = serde_json::from_slice(&image.manifest).unwrap();
    manifest["subject"] =
        json!({"mediaType": MediaType::OCI_MANIFEST, "digest": subject, "size": image.manifest.len()});
    let bytes = Bytes::from(manifest.to_string());
    (subject, registry.put_manifest("acme/app", None, MediaType::OCI_MANIFEST, bytes))
}

async fn outcome(registry: &Registry, digest: &Digest) -> Result<Referrers, FetchError> {
    upstream(registry).referrers(&repository(), digest).await
}

#[tokio::test]
async fn referrers_are_listed_where_they_are_offered() {
    let registry = Registry::start().await;
    let (subject, referrer) = pushed(&registry);
    let Referrers::Listed { manifests, next: None } = outcome(&registry, &subject).await.unwrap() else {
        panic!("one page")
    };
    assert_eq!(manifests.iter().map(|entry| entry.digest).collect::<Vec<_>>(), [referrer]);
    let none = Referrers::Listed { manifests: Vec::new(), next: None };
    assert_eq!(outcome(&registry, &referrer).await.unwrap(), none);
}

#[tokio::test]
async fn a_registry_without_such_lists_says_so_and_nothing_else_means_it() {
    let registry = Registry::start_with(Options { referrers: Offered::None, ..Options::default() }).await;
    let (subject, _) = pushed(&registry);
    assert_eq!(outcome(&registry, &subject).await.unwrap(), Referrers::NotOffered);
    for status in [401, 403, 429, 500] {
        registry.fault(|seen| seen.path.contains("/referrers/"), Fault::Status(status));
        assert!(outcome(&registry, &subject).await.is_err(), "{status}");
        registry.clear_faults();
    }
}

#[tokio::test]
async fn a_list_goes_on_at_its_own_origin_alone() {
    let registry = Registry::start().await;
    let (subject, referrer) = pushed(&registry);
    let goes_on = |next: &str| {
        let link = format!("<{next}>; rel=\"next\"");
        registry.fault(
            |seen| seen.query.is_none() && seen.path.contains("/referrers/"),
            Fault::Header("link", link),
        );
    };
    goes_on(&format!("/v2/acme/app/referrers/{subject}?page=2"));
    let Referrers::Listed { next: Some(next), .. } = outcome(&registry, &subject).await.unwrap() else {
        panic!("two pages")
    };
    let second = upstream(&registry).more_referrers(&repository(), &next).await.unwrap();
    let Referrers::Listed { manifests, next: None } = second else { panic!("the last page") };
    assert_eq!(manifests[0].digest, referrer);
    registry.clear_faults();
    goes_on("https://elsewhere.example/v2/acme/app/referrers/x");
    assert!(matches!(outcome(&registry, &subject).await, Err(FetchError::Refused(_))));
}

#[tokio::test]
async fn what_is_no_list_is_refused() {
    let registry = Registry::start().await;
    let (subject, _) = pushed(&registry);
    registry.fault(|seen| seen.path.contains("/referrers/"), Fault::Corrupt);
    assert!(matches!(outcome(&registry, &subject).await, Err(FetchError::Refused(_))));
}
