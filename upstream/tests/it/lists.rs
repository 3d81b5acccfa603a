//! Lists for clients: tags, and referrers as the registry wrote them.

use bytes::Bytes;
use oci::{Digest, MediaType, ReferrersList};
use serde_json::json;
use testkit::image::{Image, index_of};
use testkit::registry::{Fault, Options, Referrers as Offered, Registry};
use upstream::{FetchError, Images, PageQuery, ReferrersPage};

use crate::{repository, tag, upstream};

fn query(text: &str) -> PageQuery {
    text.parse().unwrap()
}

#[tokio::test]
async fn tags_are_listed_a_page_at_a_time_in_the_registrys_words() {
    let registry = Registry::start().await;
    let image = Image::random(1);
    for tag in ["b", "a", "c"] {
        image.push_to(&registry, "acme/app", Some(tag));
    }
    let link = "</v2/acme/app/tags/list?token=x%2Fy&n=3>; rel=\"next\"".to_owned();
    registry.fault(|seen| seen.query.as_deref() == Some("n=3"), Fault::Header("link", link));
    let page = upstream(&registry).tags(&repository(), &query("n=3")).await.unwrap();
    assert_eq!(page.tags.iter().map(oci::Tag::as_str).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(page.name, "acme/app");
    let next = page.next.unwrap();
    assert_eq!(upstream(&registry).tags(&repository(), &next).await.unwrap().next, None);
    assert_eq!(registry.requests().last().unwrap().query.as_deref(), Some("token=x%2Fy&n=3"));

    let unknown = upstream(&registry).tags(&"acme/none".parse().unwrap(), &query("")).await;
    assert!(matches!(unknown, Err(FetchError::NotFound)), "{unknown:?}");
    registry.fault(|_| true, Fault::Corrupt);
    let malformed = upstream(&registry).tags(&repository(), &query("")).await;
    assert!(matches!(malformed, Err(FetchError::Refused(_))), "{malformed:?}");
}

#[tokio::test]
async fn a_list_of_what_are_no_tags_is_refused() {
    let registry = Registry::start().await;
    registry.tag("acme/app", "../v1", Digest::of(b""));
    let outcome = upstream(&registry).tags(&repository(), &query("")).await;
    assert!(matches!(outcome, Err(FetchError::Refused(_))), "{outcome:?}");
}

#[tokio::test]
async fn referrers_keep_what_the_registry_says_of_them() {
    let registry = Registry::start().await;
    let subject = Image::random(1).push_to(&registry, "acme/app", Some("v1"));
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "artifactType": "application/spdx+json",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::of(b"{}"), "size": 2},
        "layers": [], "annotations": {"by": "hand"},
        "subject": {"mediaType": MediaType::OCI_MANIFEST, "digest": subject, "size": 1},
    });
    registry.put_manifest("acme/app", None, MediaType::OCI_MANIFEST, Bytes::from(manifest.to_string()));
    let page = upstream(&registry).referrers_page(&repository(), &subject, &query("")).await.unwrap();
    let ReferrersPage::Listed { list, next: None } = page else { panic!("one page") };
    let list: serde_json::Value = serde_json::from_slice(list.bytes()).unwrap();
    assert_eq!(list["manifests"][0]["artifactType"], "application/spdx+json");
    assert_eq!(list["manifests"][0]["annotations"]["by"], "hand");

    let none = upstream(&registry).referrers_page(&repository(), &Digest::of(b"none"), &query("")).await;
    let ReferrersPage::Listed { list, .. } = none.unwrap() else { panic!("an empty list") };
    assert_eq!(list.of_type("a"), ReferrersList::parse(list.bytes().clone()).unwrap());
    let without = Registry::start_with(Options { referrers: Offered::None, ..Options::default() }).await;
    let outcome = upstream(&without).referrers_page(&repository(), &subject, &query("")).await.unwrap();
    assert_eq!(outcome, ReferrersPage::NotOffered);
}

#[tokio::test]
async fn a_client_that_takes_images_alone_is_asked_for_as_such() {
    let registry = Registry::start().await;
    let index = index_of(&[Image::random(1)]);
    index.push_to(&registry, "acme/app", Some("v1"));
    for (images, accept) in
        [(Images::Docker, MediaType::DOCKER_MANIFEST), (Images::Oci, MediaType::OCI_MANIFEST)]
    {
        upstream(&registry).resolve_image(&repository(), &tag(), images).await.unwrap();
        assert_eq!(registry.requests().last().unwrap().header("accept"), Some(accept));
    }
    registry.fault(testkit::registry::Seen::is_manifest, Fault::Status(404));
    let none = upstream(&registry).resolve_image(&repository(), &tag(), Images::Any).await;
    assert!(matches!(none, Err(FetchError::NotFound)), "{none:?}");
}
