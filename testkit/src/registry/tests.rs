//! The fake is kept honest: it answers as registries do, and fails as it is told to.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use oci::MediaType;

use super::*;
use crate::image::Image;

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Option<Bytes>,
}

async fn ask(method: &str, url: String, headers: &[(&str, &str)]) -> Option<Answer> {
    let request = headers
        .iter()
        .fold(http::Request::builder().method(method).uri(url), |request, (name, value)| {
            request.header(*name, *value)
        })
        .body(Empty::<Bytes>::new())
        .unwrap();
    let client = Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build_http();
    let answer = client.request(request).await.ok()?;
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.ok().map(|body| body.to_bytes());
    Some(Answer { status: parts.status, headers: parts.headers, body })
}

async fn get(url: String) -> Answer {
    ask("GET", url, &[]).await.unwrap()
}

#[tokio::test]
async fn a_pull_finds_every_part() {
    let registry = Registry::start().await;
    let image = Image::random(1);
    let digest = image.push_to(&registry, "acme/app", Some("v1"));
    let base = format!("{}/v2/acme/app", registry.url());

    assert_eq!(get(format!("{}/v2/", registry.url())).await.status, StatusCode::OK);
    for version in ["v1".to_owned(), digest.to_string()] {
        let answer = get(format!("{base}/manifests/{version}")).await;
        assert_eq!(answer.body.as_ref(), Some(&image.manifest));
        assert_eq!(answer.headers["content-type"], MediaType::OCI_MANIFEST);
        assert_eq!(answer.headers["docker-content-digest"], digest.to_string());
    }
    let head = ask("HEAD", format!("{base}/manifests/v1"), &[]).await.unwrap();
    assert_eq!(head.headers["content-length"], image.manifest.len().to_string().as_str());
    assert_eq!(head.body, Some(Bytes::new()));

    let layer = format!("{base}/blobs/{}", Digest::of(&image.layers[1]));
    assert_eq!(get(layer.clone()).await.body.as_ref(), Some(&image.layers[1]));
    let part = ask("GET", layer, &[("range", "bytes=10-19")]).await.unwrap();
    assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.body, Some(image.layers[1].slice(10..20)));

    let missing = get(format!("{base}/manifests/v2")).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    let tags = get(format!("{base}/tags/list")).await;
    assert_eq!(tags.body.unwrap(), r#"{"name":"acme/app","tags":["v1"]}"#);
}

fn referrer_of(subject: &Digest) -> String {
    format!(r#"{{"schemaVersion":2,"subject":{{"digest":"{subject}"}},"artifactType":"a/b"}}"#)
}

#[tokio::test]
async fn referrers_are_found_in_the_way_of_the_registry() {
    let subject = Digest::of(b"subject");
    for (referrers, api, tag) in [
        (Referrers::Api, StatusCode::OK, StatusCode::NOT_FOUND),
        (Referrers::FallbackTag, StatusCode::NOT_FOUND, StatusCode::OK),
        (Referrers::None, StatusCode::NOT_FOUND, StatusCode::NOT_FOUND),
    ] {
        let registry = Registry::start_with(Options { referrers, ..Options::default() }).await;
        let digest = registry.put_manifest("a", None, MediaType::OCI_MANIFEST, referrer_of(&subject));
        let base = format!("{}/v2/a", registry.url());
        let by_api = get(format!("{base}/referrers/{subject}")).await;
        let by_tag = get(format!("{base}/manifests/sha256-{}", subject.hex())).await;
        assert_eq!((by_api.status, by_tag.status), (api, tag), "{referrers:?}");
        for answer in [by_api, by_tag] {
            let listed =
                String::from_utf8(answer.body.unwrap().to_vec()).unwrap().contains(&digest.to_string());
            assert_eq!(listed, answer.status == StatusCode::OK);
        }
    }
}

#[tokio::test]
async fn tokens_are_given_to_who_knows_the_password_and_good_for_one_scope() {
    let registry =
        Registry::start_with(Options { auth: Some(Auth::bearer("user", "secret")), ..Options::default() })
            .await;
    registry.put_blob("a", "x");
    let blob = format!("{}/v2/a/blobs/{}", registry.url(), Digest::of(b"x"));
    let challenged = get(blob.clone()).await;
    assert_eq!(challenged.status, StatusCode::UNAUTHORIZED);
    let challenge = challenged.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains(&format!(r#"realm="{}/token""#, registry.url())));

    let realm = |scope: &str| format!("{}/token?service=testkit&scope={scope}", registry.url());
    assert_eq!(get(realm("repository:a:pull")).await.status, StatusCode::UNAUTHORIZED);
    let basic = [("authorization", "Basic dXNlcjpzZWNyZXQ=")];
    for (scope, status) in [
        ("repository%3Aa%3Apull", StatusCode::OK),
        ("repository:b:pull", StatusCode::UNAUTHORIZED),
        ("repository:a:push", StatusCode::UNAUTHORIZED),
    ] {
        let answer = ask("GET", realm(scope), &basic).await.unwrap();
        let token: serde_json::Value = serde_json::from_slice(&answer.body.unwrap()).unwrap();
        let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
        let with_token = [("authorization", bearer.as_str())];
        assert_eq!(ask("GET", blob.clone(), &with_token).await.unwrap().status, status);
        registry.revoke_tokens();
        let revoked = ask("GET", blob.clone(), &with_token).await.unwrap();
        assert_eq!(revoked.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn faults_are_committed_as_often_as_was_asked() {
    let registry = Registry::start().await;
    let blob = registry.put_blob("a", "content");
    let url = format!("{}/v2/a/blobs/{blob}", registry.url());

    registry.fault_times(1, Seen::is_blob, Fault::Status(503));
    registry.fault_times(1, Seen::is_blob, Fault::Corrupt);
    registry.fault_times(1, Seen::is_blob, Fault::Truncate(3));
    registry.fault_times(1, Seen::is_blob, Fault::Reset);
    assert_eq!(get(url.clone()).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_ne!(get(url.clone()).await.body.unwrap(), "content");
    assert_eq!(get(url.clone()).await.body, None);
    assert!(ask("GET", url.clone(), &[]).await.is_none());
    assert_eq!(get(url).await.body.unwrap(), "content");
    assert_eq!(registry.count(Seen::is_blob), 5);
}

#[tokio::test]
async fn a_request_that_hangs_is_seen_and_can_be_released() {
    let registry = Registry::start().await;
    let blob = registry.put_blob("a", "content");
    registry.fault(Seen::is_blob, Fault::Hang);
    let url = format!("{}/v2/a/blobs/{blob}", registry.url());
    let hanging = tokio::spawn(get(url));
    registry.reached("/blobs/").await;
    assert!(!hanging.is_finished());
    registry.release();
    assert_eq!(hanging.await.unwrap().body.unwrap(), "content");
}

#[tokio::test]
async fn the_last_handle_takes_the_registry_with_it() {
    let registry = Registry::start().await;
    let url = format!("{}/v2/", registry.url());
    let other = registry.clone();
    drop(registry);
    assert_eq!(get(url.clone()).await.status, StatusCode::OK);
    drop(other);
    let gone = async { while ask("GET", url.clone(), &[]).await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
}
