//! Credentials from files and programs.

use std::path::Path;

use testkit::image::Image;
use testkit::registry::{Auth, Registry};
use upstream::{DockerLogin, FetchError, Login, Settings, Upstream};

use crate::{by_tag, guarded, repository, settings};

async fn fetch(upstream: &Upstream) -> Result<(), FetchError> {
    upstream.manifest(&repository(), &by_tag()).await.map(drop)
}

fn with(registry: &Registry, login: Login) -> Upstream {
    Upstream::new(Settings { credentials: Some(login), ..settings(&registry.url()) }).unwrap()
}

async fn registry(auth: Auth) -> Registry {
    let registry = guarded(auth).await;
    Image::random(1).push_to(&registry, "acme/app", Some("v1"));
    registry
}

#[tokio::test]
async fn a_password_that_was_changed_in_its_file_is_used_without_a_restart() {
    let registry = registry(Auth::basic("user", "new")).await;
    let directory = tempfile::tempdir().unwrap();
    let [username, password] = ["user", "password"].map(|name| directory.path().join(name));
    std::fs::write(&username, "user\n").unwrap();
    std::fs::write(&password, "old\n").unwrap();
    let upstream = with(&registry, Login::Files { username, password: password.clone() });
    let refused = fetch(&upstream).await;
    assert!(matches!(refused, Err(FetchError::Unauthorized)), "{refused:?}");
    std::fs::write(&password, "new\n").unwrap();
    fetch(&upstream).await.unwrap();
}

#[tokio::test]
async fn credentials_that_cannot_be_had_are_an_outage_and_nobody_is_asked_without() {
    let registry = registry(Auth::anonymous()).await;
    let gone = std::path::PathBuf::from("/nowhere");
    let upstream = with(&registry, Login::Files { username: gone.clone(), password: gone });
    let outcome = fetch(&upstream).await;
    assert!(matches!(outcome, Err(FetchError::Unavailable(_))), "{outcome:?}");
    assert_eq!(registry.count(|seen| seen.path == "/token"), 0);
}

fn docker(directory: &Path, config: &str) -> Login {
    let path = directory.join("config.json");
    std::fs::write(&path, config).unwrap();
    Login::Docker(DockerLogin::new(path, "registry.example".parse().unwrap(), Vec::new()))
}

#[tokio::test]
async fn a_docker_configuration_gives_a_password_or_a_token() {
    let directory = tempfile::tempdir().unwrap();
    let basic = registry(Auth::basic("user", "secret")).await;
    let login = docker(directory.path(), r#"{"auths": {"registry.example": {"auth": "dXNlcjpzZWNyZXQ="}}}"#);
    fetch(&with(&basic, login)).await.unwrap();

    // A refresh token is posted to the realm, and shown to nobody by Basic.
    let login = docker(directory.path(), r#"{"auths": {"registry.example": {"identitytoken": "refresh"}}}"#);
    let outcome = fetch(&with(&basic, login.clone())).await;
    assert!(matches!(outcome, Err(FetchError::Unauthorized)), "{outcome:?}");
    let bearer = registry(Auth::bearer("user", "refresh")).await;
    fetch(&with(&bearer, login)).await.unwrap();
    assert_eq!(bearer.count(|seen| seen.path == "/token" && seen.method == "POST"), 1);
    assert_eq!(bearer.count(|seen| seen.authorization().is_some_and(|value| value.starts_with("Basic"))), 0);
}

#[test]
fn a_login_is_checked_without_running_anything() {
    let directory = tempfile::tempdir().unwrap();
    let check = |config: &str| docker(directory.path(), config).check();
    assert!(check(r#"{"credHelpers": {"registry.example": "there-is-none"}}"#).is_ok());
    assert!(check(r#"{"auths": {"other.example": {"auth": "dTpw"}}}"#).is_err());
    assert!(check("{").is_err());
    assert!(Login::Files { username: "/nowhere".into(), password: "/nowhere".into() }.check().is_err());
}
