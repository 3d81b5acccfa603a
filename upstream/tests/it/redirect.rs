//! How far redirects are followed, and what goes along.

use oci::{Digest, MediaType};
use testkit::registry::{Auth, Fault, Options, Registry, Seen};
use upstream::{FetchError, Settings, Upstream};

use crate::{all_words, by_tag, guarded, repository, settings, upstream, with_password};

async fn small(upstream: &Upstream, digest: &Digest) -> Result<(), FetchError> {
    upstream.small_blob(&repository(), digest, 100).await.map(drop)
}

async fn redirecting_to(location: String) -> Registry {
    let registry = Registry::start().await;
    registry
        .fault(|seen| seen.path.starts_with("/v2/"), Fault::StatusWith(307, vec![("location", location)]));
    registry
}

#[tokio::test]
async fn storage_is_shown_no_credential() {
    let storage = Registry::start().await;
    let digest = storage.put_blob("acme/app", "content");
    for auth in [Auth::bearer("user", "secret"), Auth::basic("user", "secret")] {
        let registry = Registry::start_with(Options {
            auth: Some(auth),
            redirect_blobs: Some(storage.url()),
            ..Options::default()
        })
        .await;
        let upstream = Upstream::new(with_password(&registry)).unwrap();
        storage.clear_requests();
        small(&upstream, &digest).await.unwrap();
        assert!(registry.count(|seen| seen.authorization().is_some()) > 0);
        let [seen] = &storage.requests()[..] else {
            panic!("not one request");
        };
        assert_eq!(seen.authorization(), None);
        assert_eq!(seen.query.as_deref(), Some("signature=presigned"));
    }
}

#[tokio::test]
async fn the_endpoint_itself_is_shown_what_it_was_before() {
    let registry = guarded(Auth::basic("user", "secret")).await;
    let digest = registry.put_blob("acme/app", "content");
    let moved = Fault::StatusWith(307, vec![("location", format!("/v2/moved/blobs/{digest}"))]);
    registry.put_blob("moved", "content");
    registry.fault(|seen| seen.path.starts_with("/v2/acme/") && seen.authorization().is_some(), moved);
    small(&Upstream::new(with_password(&registry)).unwrap(), &digest).await.unwrap();
    assert_eq!(registry.count(|seen| seen.path.contains("/moved/") && seen.authorization().is_some()), 1);
}

#[tokio::test]
async fn a_credential_that_was_dropped_is_not_picked_up_on_the_way_back() {
    let registry = guarded(Auth::basic("user", "secret")).await;
    let digest = Digest::of(b"content");
    let back = redirecting_to(format!("{}/v2/back/blobs/{digest}", registry.url())).await;
    let away = Fault::StatusWith(307, vec![("location", format!("{}/v2/x", back.url()))]);
    registry.fault(|seen| seen.path.contains("/acme/") && seen.authorization().is_some(), away);
    let outcome = small(&Upstream::new(with_password(&registry)).unwrap(), &digest).await;
    assert!(outcome.is_err());
    assert_eq!(back.count(|seen| seen.authorization().is_none()), 1);
    assert_eq!(registry.count(|seen| seen.path.contains("/back/") && seen.authorization().is_none()), 1);
}

#[tokio::test]
async fn a_redirect_into_another_kind_of_network_is_refused() {
    let digest = Digest::of(b"content");
    for location in [
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/",
        "http://[::ffff:169.254.169.254]/",
        "http://0.0.0.0/",
        "http://user@127.0.0.1/",
        "ftp://127.0.0.1/",
        "relative",
        "",
    ] {
        let registry = redirecting_to(location.to_owned()).await;
        let upstream = upstream(&registry);
        let outcome = small(&upstream, &digest).await;
        assert!(matches!(outcome, Err(FetchError::Refused(_))), "{location}: {outcome:?}");
        let outcome = upstream.manifest(&repository(), &by_tag()).await;
        assert!(matches!(outcome, Err(FetchError::Refused(_))), "{location}: {outcome:?}");
    }
}

#[tokio::test]
async fn redirects_are_followed_five_times() {
    let registry = redirecting_to("/v2/round/and/round".to_owned()).await;
    let outcome = small(&upstream(&registry), &Digest::of(b"content")).await;
    assert!(matches!(outcome, Err(FetchError::Refused(_))), "{outcome:?}");
    assert_eq!(registry.requests().len(), 6);

    let registry = Registry::start().await;
    let digest = registry.put_blob("acme/app", "content");
    let again = format!("/v2/acme/app/blobs/{digest}");
    registry.fault_times(5, Seen::is_blob, Fault::StatusWith(307, vec![("location", again)]));
    small(&upstream(&registry), &digest).await.unwrap();
}

#[tokio::test]
async fn what_storage_lacks_is_an_outage_and_no_absence() {
    let storage = Registry::start().await;
    let registry = redirecting_to(format!("{}/v2/x/blobs/y?signature=presigned", storage.url())).await;
    for status in [401, 403, 404] {
        storage.clear_faults();
        storage.fault(|_| true, Fault::Status(status));
        let error = small(&upstream(&registry), &Digest::of(b"content")).await.unwrap_err();
        assert!(matches!(error, FetchError::Unavailable(_)), "{status}: {error:?}");
    }
}

#[tokio::test]
async fn a_registry_that_manifests_are_redirected_to_knows_what_there_is() {
    let other = Registry::start().await;
    let digest = other.put_manifest("there", Some("v1"), MediaType::OCI_INDEX, "{}");
    let registry = redirecting_to(format!("{}/v2/there/manifests/v1", other.url())).await;
    let upstream = upstream(&registry);
    let fetched = upstream.manifest(&repository(), &by_tag()).await.unwrap();
    assert_eq!(fetched.content.digest(), digest);

    other.remove("there", &digest);
    let outcome = upstream.manifest(&repository(), &by_tag()).await;
    assert!(matches!(outcome, Err(FetchError::NotFound)), "{outcome:?}");
}

#[tokio::test]
async fn no_error_repeats_a_presigned_url() {
    let gone = Registry::start().await;
    let dead = gone.url();
    drop(gone);
    for origin in [dead.as_str(), "http://169.254.169.254", "http://10.0.0.1:9000", "gopher://x"] {
        let registry = redirecting_to(format!("{origin}/path/canary?signature=presigned")).await;
        let error = small(&upstream(&registry), &Digest::of(b"content")).await.unwrap_err();
        let words = all_words(&error);
        assert!(!words.contains("presigned") && !words.contains("canary"), "{words}");
    }
}

#[tokio::test]
async fn a_listed_origin_is_followed_wherever_it_is() {
    // A reserved address, which leads to this machine all the same.
    let storage = Registry::start().await;
    let digest = storage.put_blob("acme/app", "content");
    let origin = format!("http://0.0.0.0:{}", storage.address().port());
    let registry = redirecting_to(format!("{origin}/v2/acme/app/blobs/{digest}")).await;
    let outcome = small(&upstream(&registry), &digest).await;
    assert!(matches!(outcome, Err(FetchError::Refused(_))), "{outcome:?}");

    let listed = Settings { redirects: vec![origin.parse().unwrap()], ..settings(&registry.url()) };
    small(&Upstream::new(listed).unwrap(), &digest).await.unwrap();
}
