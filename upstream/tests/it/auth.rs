//! Who is shown a credential, and how long a token is used.

use futures_util::future::join_all;
use oci::Repository;
use testkit::image::Image;
use testkit::registry::{Auth, Fault, Registry, Seen};
use upstream::{Credentials, FetchError, Settings, Upstream};

use crate::{all_words, by_tag, guarded, impatient, repository, settings, with_password};

const BASIC: &str = "Basic dXNlcjpzZWNyZXQ=";

fn is_token(seen: &Seen) -> bool {
    seen.path == "/token"
}

async fn fetch(upstream: &Upstream) -> Result<(), FetchError> {
    upstream.manifest(&repository(), &by_tag()).await.map(drop)
}

#[tokio::test]
async fn a_token_is_fetched_with_the_password_and_used_again() {
    let registry = guarded(Auth::bearer("user", "secret")).await;
    Image::random(1).push_to(&registry, "acme/app", Some("v1"));
    Image::random(1).push_to(&registry, "acme/other", Some("v1"));
    let upstream = Upstream::new(with_password(&registry)).unwrap();
    fetch(&upstream).await.unwrap();
    fetch(&upstream).await.unwrap();

    let requests = registry.requests();
    let shown: Vec<_> = requests.iter().map(|seen| (seen.path.as_str(), seen.authorization())).collect();
    let [(_, first), token, (_, second), (_, third)] = shown[..] else {
        panic!("{shown:?}");
    };
    assert_eq!(first, None);
    assert_eq!(token, ("/token", Some(BASIC)));
    assert!(second.unwrap().starts_with("Bearer testkit."));
    assert_eq!(second, third);
    let query = requests[1].query.as_deref().unwrap();
    assert_eq!(query, "service=testkit&scope=repository%3Aacme%2Fapp%3Apull");

    let other: Repository = "acme/other".parse().unwrap();
    upstream.manifest(&other, &by_tag()).await.unwrap();
    assert_eq!(registry.count(is_token), 2);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let registry = guarded(Auth::bearer("user", "secret")).await;
    Image::random(1).push_to(&registry, "acme/app", Some("v1"));
    let upstream = Upstream::new(with_password(&registry)).unwrap();
    fetch(&upstream).await.unwrap();
    registry.revoke_tokens();
    fetch(&upstream).await.unwrap();
    assert_eq!(registry.count(is_token), 2);

    // A registry that refuses its own tokens is asked for no third one.
    registry.clear_requests();
    let challenge = format!(r#"Bearer realm="{}/token""#, registry.url());
    registry.fault(Seen::is_manifest, Fault::StatusWith(401, vec![("www-authenticate", challenge)]));
    assert!(matches!(fetch(&upstream).await, Err(FetchError::Unauthorized)));
    assert_eq!((registry.count(is_token), registry.count(Seen::is_manifest)), (1, 2));
}

#[tokio::test]
async fn a_token_that_has_ended_is_not_used_again() {
    let registry = guarded(Auth::bearer("user", "secret").with_lifetime(0)).await;
    Image::random(1).push_to(&registry, "acme/app", Some("v1"));
    let upstream = Upstream::new(with_password(&registry)).unwrap();
    fetch(&upstream).await.unwrap();
    fetch(&upstream).await.unwrap();
    assert_eq!(registry.count(is_token), 2);
}

#[tokio::test]
async fn those_who_ask_at_once_share_one_token() {
    let registry = guarded(Auth::anonymous()).await;
    Image::random(1).push_to(&registry, "acme/app", Some("v1"));
    registry.fault(is_token, Fault::Delay(std::time::Duration::from_millis(50)));
    let upstream = Upstream::new(settings(&registry.url())).unwrap();
    let outcomes = join_all((0..8).map(|_| fetch(&upstream))).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(registry.count(is_token), 1);
}

#[tokio::test]
async fn a_public_image_takes_a_token_and_no_password() {
    let registry = guarded(Auth::anonymous()).await;
    Image::random(1).push_to(&registry, "acme/app", Some("v1"));
    fetch(&Upstream::new(settings(&registry.url())).unwrap()).await.unwrap();
    assert_eq!(registry.count(|seen| is_token(seen) && seen.authorization().is_none()), 1);
}

#[tokio::test]
async fn a_foreign_realm_is_shown_nothing_and_not_even_asked() {
    let canary = guarded(Auth::bearer("user", "secret")).await;
    let realm = format!("{}/token", canary.url());
    let registry = guarded(Auth::bearer("user", "secret").with_realm(realm)).await;
    Image::random(1).push_to(&registry, "acme/app", Some("v1"));
    let outcome = fetch(&Upstream::new(with_password(&registry)).unwrap()).await;
    assert!(matches!(outcome, Err(FetchError::Refused(_))), "{outcome:?}");
    assert!(canary.requests().is_empty());

    let with = |realm: String| {
        let realms = vec![realm.parse().unwrap()];
        Upstream::new(Settings { realms, ..with_password(&registry) }).unwrap()
    };
    let elsewhere = fetch(&with(format!("{}/other", canary.url()))).await;
    assert!(matches!(elsewhere, Err(FetchError::Refused(_))), "{elsewhere:?}");
    assert!(canary.requests().is_empty());
    fetch(&with(canary.url())).await.unwrap();
    fetch(&with(format!("{}/token", canary.url()))).await.unwrap();
    assert_eq!(canary.count(|seen| is_token(seen) && seen.authorization() == Some(BASIC)), 2);
}

#[tokio::test]
async fn a_realm_that_redirects_is_not_followed() {
    let canary = Registry::start().await;
    let registry = guarded(Auth::bearer("user", "secret")).await;
    let location = format!("{}/token", canary.url());
    registry.fault(is_token, Fault::StatusWith(307, vec![("location", location)]));
    let outcome = fetch(&Upstream::new(with_password(&registry)).unwrap()).await;
    assert!(matches!(outcome, Err(FetchError::Refused(_))), "{outcome:?}");
    assert!(canary.requests().is_empty());
}

#[tokio::test]
async fn basic_credentials_are_shown_where_they_are_asked_for() {
    let registry = guarded(Auth::basic("user", "secret")).await;
    Image::random(1).push_to(&registry, "acme/app", Some("v1"));
    let upstream = Upstream::new(with_password(&registry)).unwrap();
    fetch(&upstream).await.unwrap();
    fetch(&upstream).await.unwrap();
    let shown: Vec<_> =
        registry.requests().iter().map(|seen| seen.authorization().map(str::to_owned)).collect();
    assert_eq!(shown, [None, Some(BASIC.to_owned()), Some(BASIC.to_owned())]);

    let without = fetch(&Upstream::new(settings(&registry.url())).unwrap()).await;
    assert!(matches!(without, Err(FetchError::Unauthorized)), "{without:?}");
}

#[tokio::test]
async fn a_wrong_password_is_said_to_be_refused_and_never_repeated() {
    for auth in [Auth::bearer("user", "secret"), Auth::basic("user", "secret")] {
        let registry = guarded(auth).await;
        let wrong = Settings {
            credentials: Some(Credentials::new("mallory", "hunter2").into()),
            ..settings(&registry.url())
        };
        assert!(!format!("{wrong:?}").contains("hunter2"));
        assert!(!format!("{wrong:?}").contains("mallory"));
        let error = fetch(&Upstream::new(wrong).unwrap()).await.unwrap_err();
        assert!(matches!(error, FetchError::Unauthorized), "{error:?}");
        assert!(!all_words(&error).contains("hunter2"));
    }
}

#[tokio::test]
async fn a_realm_s_failure_is_not_mistaken_for_the_content_s() {
    let registry = guarded(Auth::bearer("user", "secret")).await;
    let upstream = Upstream::new(impatient(with_password(&registry))).unwrap();
    for (fault, transient) in [
        (Fault::Status(404), false),
        (Fault::Endless, false),
        (Fault::Corrupt, false),
        (Fault::Status(500), true),
        (Fault::Status(429), true),
        (Fault::Stall(3), true),
    ] {
        registry.clear_faults();
        registry.fault(is_token, fault.clone());
        let error = fetch(&upstream).await.unwrap_err();
        assert_eq!(error.is_transient(), transient, "{fault:?}: {error:?}");
        let refused = matches!(error, FetchError::Refused(_));
        assert_eq!(refused, !transient, "{fault:?}: {error:?}");
    }
}
