//! Registries as somebody else is given them, by credentials of their own.

use oci::{Digest, Endpoint, Tag, TagOrDigest};
use testkit::image::Image;
use testkit::registry::{Auth, Fault, Seen};
use upstream::{Credentials, FetchError, Upstream};

use crate::{by_tag, guarded, repository, settings, with_password};

/// A manifest, a blob, and what there is none of.
fn paths(image: &Image) -> ([Endpoint; 3], [Endpoint; 2]) {
    let tag = |tag: &str| TagOrDigest::Tag(tag.parse::<Tag>().unwrap());
    let layer = Digest::of(&image.layers[0]);
    let there = [
        Endpoint::Manifest(repository(), by_tag()),
        Endpoint::Manifest(repository(), TagOrDigest::Digest(image.digest())),
        Endpoint::Blob(repository(), layer),
    ];
    let missing =
        [Endpoint::Manifest(repository(), tag("none")), Endpoint::Blob(repository(), Digest::of(b"none"))];
    (there, missing)
}

#[tokio::test]
async fn what_a_registry_gives_is_told_by_whom_it_is_asked_by() {
    for auth in [Auth::bearer("user", "secret"), Auth::basic("user", "secret")] {
        let registry = guarded(auth).await;
        let image = Image::random(1);
        image.push_to(&registry, "acme/app", Some("v1"));
        let (there, missing) = paths(&image);
        // That it would be given to us is nothing to others.
        let ours = Upstream::new(with_password(&registry)).unwrap();
        ours.manifest(&repository(), &by_tag()).await.unwrap();
        let right = ours.shown(Credentials::new("user", "secret"));
        let wrong = ours.shown(Credentials::new("user", "hunter2"));
        assert!(right.is_by_caller() && !ours.is_by_caller());
        for path in &there {
            right.gives(path).await.unwrap();
            assert!(matches!(wrong.gives(path).await, Err(FetchError::Unauthorized)), "{path}");
        }
        for path in &missing {
            assert!(matches!(right.gives(path).await, Err(FetchError::NotFound)), "{path}");
        }
        // What anybody may ask for proves nothing.
        for path in [Endpoint::Base, Endpoint::Tags(repository())] {
            assert!(matches!(right.gives(&path).await, Err(FetchError::Refused(_))), "{path}");
        }
        // A registry that does not answer HEAD is asked for the content.
        registry.fault(|seen| seen.method == http::Method::HEAD, Fault::Status(405));
        for path in &there {
            right.gives(path).await.unwrap();
        }
        assert!(matches!(right.gives(&missing[0]).await, Err(FetchError::NotFound)));
    }
}

#[tokio::test]
async fn tokens_of_others_are_theirs_and_end_with_their_asking() {
    let registry = guarded(Auth::bearer("user", "secret")).await;
    Image::random(1).push_to(&registry, "acme/app", Some("v1"));
    let ours = Upstream::new(settings(&registry.url())).unwrap();
    let is_token = |seen: &Seen| seen.path == "/token";
    for _ in 0..2 {
        registry.clear_requests();
        let theirs = ours.shown(Credentials::new("user", "secret"));
        for _ in 0..3 {
            theirs.manifest(&repository(), &by_tag()).await.unwrap();
        }
        // One token for all that they ask.
        assert_eq!(registry.count(is_token), 1);
    }
    let without = ours.manifest(&repository(), &by_tag()).await;
    assert!(matches!(without, Err(FetchError::Unauthorized)), "{without:?}");
}
