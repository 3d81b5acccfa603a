//! Registries with several endpoints: which one is asked, and what is believed of it.

use oci::{Digest, MediaType, TagOrDigest};
use testkit::image::Image;
use testkit::registry::{Auth, Fault, Registry, Seen};
use upstream::{Credentials, FetchError, Referrers, Settings, Upstream};

use crate::{by_tag, guarded, repository, settings, tag};

/// A mirror and the registry behind it, and what asks them in this order.
struct Pair {
    mirror: Registry,
    origin: Registry,
    upstream: Upstream,
}

async fn pair() -> Pair {
    let (mirror, origin) = (Registry::start().await, Registry::start().await);
    let first = Settings { mirror: true, ..settings(&mirror.url()) };
    let upstream = Upstream::with_endpoints(first, vec![settings(&origin.url())]).unwrap();
    Pair { mirror, origin, upstream }
}

#[tokio::test]
async fn the_first_endpoint_that_has_it_is_the_only_one_that_is_asked() {
    let Pair { mirror, origin, upstream } = pair().await;
    let image = Image::random(1);
    let digest = image.push_to(&mirror, "acme/app", Some("v1"));
    assert_eq!(upstream.resolve(&repository(), &tag()).await.unwrap(), digest);
    assert_eq!(upstream.manifest(&repository(), &by_tag()).await.unwrap().content.digest(), digest);
    let layer = Digest::of(&image.layers[0]);
    assert!(upstream.blob(&repository(), &layer).await.is_ok());
    assert!(origin.requests().is_empty());
}

#[tokio::test]
async fn what_a_mirror_lacks_or_refuses_is_asked_of_the_next() {
    for fault in [Fault::Status(404), Fault::Status(401), Fault::Status(403)] {
        let Pair { mirror, origin, upstream } = pair().await;
        let image = Image::random(1);
        let digest = image.push_to(&origin, "acme/app", Some("v1"));
        mirror.fault(|_| true, fault);
        assert_eq!(upstream.resolve(&repository(), &tag()).await.unwrap(), digest);
        assert!(upstream.manifest(&repository(), &TagOrDigest::Digest(digest)).await.is_ok());
        let layer = Digest::of(&image.layers[0]);
        assert!(upstream.blob(&repository(), &layer).await.is_ok());
        assert!(upstream.small_blob(&repository(), &layer, 1 << 20).await.is_ok());
    }
}

#[tokio::test]
async fn a_registry_s_own_no_is_final() {
    for status in [404, 401, 403] {
        let (first, second) = (Registry::start().await, Registry::start().await);
        Image::random(1).push_to(&second, "acme/app", Some("v1"));
        first.fault(|_| true, Fault::Status(status));
        let upstream =
            Upstream::with_endpoints(settings(&first.url()), vec![settings(&second.url())]).unwrap();
        let outcome = upstream.manifest(&repository(), &by_tag()).await;
        assert!(matches!(outcome, Err(FetchError::NotFound | FetchError::Unauthorized)), "{outcome:?}");
        assert!(second.requests().is_empty());
    }
}

#[tokio::test]
async fn nothing_is_absent_while_somebody_failed_who_might_have_it() {
    let Pair { origin, upstream, .. } = pair().await;
    origin.fault(|_| true, Fault::Status(503));
    let outcome = upstream.manifest(&repository(), &by_tag()).await;
    assert!(matches!(outcome, Err(FetchError::Unavailable(_))), "{outcome:?}");

    // Nor while the registry is left alone.
    for _ in 0..8 {
        let outcome = upstream.manifest(&repository(), &by_tag()).await;
        assert!(matches!(outcome, Err(FetchError::Unavailable(_))), "{outcome:?}");
    }
    // The registry knows; that its mirror is away takes nothing from that.
    let Pair { mirror, origin: _origin, upstream } = pair().await;
    mirror.fault(|_| true, Fault::Reset);
    let outcome = upstream.manifest(&repository(), &by_tag()).await;
    assert!(matches!(outcome, Err(FetchError::NotFound)), "{outcome:?}");

    let (one, other) = (Registry::start().await, Registry::start().await);
    one.fault(|_| true, Fault::Status(503));
    let mirrors = [one.url(), other.url()].map(|url| Settings { mirror: true, ..settings(&url) });
    let [first, second] = mirrors;
    let upstream = Upstream::with_endpoints(first, vec![second]).unwrap();
    let outcome = upstream.manifest(&repository(), &by_tag()).await;
    assert!(matches!(outcome, Err(FetchError::Unavailable(_))), "{outcome:?}");
    // Nor is access refused, which would have all forgotten that is known of the repository.
    other.fault(|_| true, Fault::Status(403));
    let outcome = upstream.manifest(&repository(), &by_tag()).await;
    assert!(matches!(outcome, Err(FetchError::Unavailable(_))), "{outcome:?}");
    one.clear_faults();
    let outcome = upstream.manifest(&repository(), &by_tag()).await;
    assert!(matches!(outcome, Err(FetchError::Unauthorized)), "{outcome:?}");
    other.clear_faults();
    let outcome = upstream.manifest(&repository(), &by_tag()).await;
    assert!(matches!(outcome, Err(FetchError::NotFound)), "{outcome:?}");
}

#[tokio::test]
async fn a_mirror_cannot_lie_about_what_is_asked_for_by_digest() {
    let Pair { mirror, origin, upstream } = pair().await;
    let image = Image::random(1);
    let digest = image.push_to(&mirror, "acme/app", None);
    image.push_to(&origin, "acme/app", None);
    mirror.fault(|_| true, Fault::Corrupt);
    let fetched = upstream.manifest(&repository(), &TagOrDigest::Digest(digest)).await.unwrap();
    assert_eq!(fetched.content.bytes(), &image.manifest);
    let layer = Digest::of(&image.layers[0]);
    let blob = upstream.small_blob(&repository(), &layer, 1 << 20).await.unwrap();
    assert_eq!(blob.bytes(), &image.layers[0]);
}

#[tokio::test]
async fn a_mirror_that_lies_about_a_blob_is_believed_once() {
    use futures_util::TryStreamExt as _;
    let Pair { mirror, origin, upstream } = pair().await;
    let digest = mirror.put_blob("acme/app", "content");
    let other = mirror.put_blob("acme/app", "other content");
    origin.put_blob("acme/app", "content");
    mirror.fault_times(1, Seen::is_blob, Fault::Corrupt);
    let fetch = async |digest: Digest| {
        let body = upstream.blob(&repository(), &digest).await?;
        let pieces: Vec<_> = body.stream.try_collect().await?;
        Ok::<_, FetchError>(pieces.concat())
    };
    let lie = fetch(digest).await;
    assert!(matches!(&lie, Err(FetchError::WrongContent(wrong)) if wrong.want == digest), "{lie:?}");
    assert_eq!(fetch(digest).await.unwrap(), b"content");
    assert_eq!((mirror.requests().len(), origin.requests().len()), (1, 1));
    // It may well be right about others.
    assert_eq!(fetch(other).await.unwrap(), b"other content");
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn a_blob_that_a_mirror_breaks_off_goes_on_from_the_registry() {
    use futures_util::TryStreamExt as _;
    let Pair { mirror, origin, upstream } = pair().await;
    let digest = mirror.put_blob("acme/app", "content");
    origin.put_blob("acme/app", "content");
    mirror.fault_times(1, Seen::is_blob, Fault::Truncate(3));
    mirror.fault(Seen::is_blob, Fault::Reset);
    let body = upstream.blob(&repository(), &digest).await.unwrap();
    let pieces: Vec<_> = body.stream.try_collect().await.unwrap();
    assert_eq!(pieces.concat(), b"content");
    assert_eq!(origin.requests()[0].header("range"), Some("bytes=3-"));
}

#[tokio::test]
async fn a_mirror_s_empty_list_of_referrers_says_nothing() {
    let Pair { mirror, origin, upstream } = pair().await;
    let image = Image::random(1);
    let subject = image.push_to(&origin, "acme/app", Some("v1"));
    let mut manifest: serde_json::Value = serde_json::from_slice(&image.manifest).unwrap();
    manifest["subject"] = serde_json::json!({"mediaType": MediaType::OCI_MANIFEST, "digest": subject, "size": image.manifest.len()});
    let referrer = origin.put_manifest("acme/app", None, MediaType::OCI_MANIFEST, manifest.to_string());
    for fault in [None, Some(Fault::Status(404)), Some(Fault::Status(500))] {
        mirror.clear_faults();
        if let Some(fault) = fault {
            mirror.fault(|_| true, fault);
        }
        let listed = upstream.referrers(&repository(), &subject).await.unwrap();
        let Referrers::Listed { manifests, .. } = listed else { panic!("{listed:?}") };
        assert_eq!(manifests[0].digest, referrer);
    }
}

#[tokio::test]
async fn an_endpoint_that_fails_is_set_aside_and_taken_back_when_it_answers() {
    let Pair { mirror, origin, upstream } = pair().await;
    for registry in [&mirror, &origin] {
        Image::random(1).push_to(registry, "acme/app", Some("v1"));
    }
    mirror.fault(Seen::is_manifest, Fault::Reset);
    for _ in 0..8 {
        upstream.manifest(&repository(), &by_tag()).await.unwrap();
    }
    assert_eq!(mirror.count(Seen::is_manifest), 5);

    // Whoever asks in the meantime has somebody look whether it is back, and does not wait for that.
    mirror.clear_faults();
    let back = async {
        while mirror.count(Seen::is_manifest) == 5 {
            upstream.manifest(&repository(), &by_tag()).await.unwrap();
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), back).await.unwrap();
    assert!(mirror.count(|seen| seen.path == "/v2/") >= 1);
}

#[tokio::test]
async fn a_registry_that_is_away_is_not_asked_by_everybody() {
    let registry = Registry::start().await;
    Image::random(1).push_to(&registry, "acme/app", Some("v1"));
    let upstream = Upstream::new(settings(&registry.url())).unwrap();
    registry.fault(|_| true, Fault::StatusWith(503, vec![("retry-after", "1".to_owned())]));
    for _ in 0..8 {
        let outcome = upstream.manifest(&repository(), &by_tag()).await;
        assert!(matches!(outcome, Err(FetchError::Unavailable(_))), "{outcome:?}");
    }
    assert_eq!(registry.requests().len(), 5);
    registry.clear_faults();
    let back = async { while upstream.manifest(&repository(), &by_tag()).await.is_err() {} };
    tokio::time::timeout(std::time::Duration::from_secs(30), back).await.unwrap();
}

#[tokio::test]
async fn a_registry_that_is_back_is_asked_again_also_by_those_who_ask_several_things_at_once() {
    let registry = Registry::start().await;
    Image::random(1).push_to(&registry, "acme/app", Some("v1"));
    registry.fault(|_| true, Fault::Reset);
    let upstream = Upstream::new(settings(&registry.url())).unwrap();
    for _ in 0..6 {
        assert!(upstream.resolve(&repository(), &tag()).await.is_err());
    }
    registry.clear_faults();
    // What the first of them waits for ends with it, when the others are turned away.
    let asks = async || {
        let (repository, tag) = (repository(), tag());
        let all = (0..3).map(|_| upstream.resolve(&repository, &tag));
        futures_util::future::try_join_all(all).await.is_ok()
    };
    let patience = async {
        while !asks().await {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), patience).await.expect("it is asked again");
}

#[tokio::test]
async fn what_anybody_can_bring_about_sets_no_endpoint_aside() {
    for fault in [Fault::Status(500), Fault::Status(404), Fault::Corrupt, Fault::Endless, Fault::Truncate(1)]
    {
        let registry = Registry::start().await;
        let digest = Image::random(1).push_to(&registry, "acme/app", Some("v1"));
        let upstream = Upstream::new(settings(&registry.url())).unwrap();
        registry.fault(Seen::is_manifest, fault.clone());
        for _ in 0..8 {
            assert!(upstream.manifest(&repository(), &TagOrDigest::Digest(digest)).await.is_err());
        }
        assert_eq!(registry.requests().len(), 8, "{fault:?}");
    }
}

#[tokio::test]
async fn each_endpoint_is_shown_its_own_credentials() {
    let mirror = guarded(Auth::basic("mirror", "m")).await;
    let origin = guarded(Auth::basic("user", "secret")).await;
    Image::random(1).push_to(&origin, "acme/app", Some("v1"));
    let login = |name: &str, password: &str| Some(Credentials::new(name, password).into());
    let first = Settings { mirror: true, credentials: login("mirror", "m"), ..settings(&mirror.url()) };
    let second = Settings { credentials: login("user", "secret"), ..settings(&origin.url()) };
    let upstream = Upstream::with_endpoints(first, vec![second]).unwrap();
    upstream.manifest(&repository(), &by_tag()).await.unwrap();
    let shown = |registry: &Registry| {
        let mut shown: Vec<_> =
            registry.requests().iter().filter_map(|seen| seen.authorization().map(str::to_owned)).collect();
        shown.dedup();
        shown
    };
    assert_eq!(shown(&mirror), ["Basic bWlycm9yOm0="]);
    assert_eq!(shown(&origin), ["Basic dXNlcjpzZWNyZXQ="]);
}
