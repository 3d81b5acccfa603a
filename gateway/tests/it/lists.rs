//! Lists: tags and referrers, which disclose names and open nothing.

use bytes::Bytes;
use http::Method;
use oci::{Algorithm, Digest, MediaType};
use serde_json::{Value, json};
use testkit::registry::{Fault, Options, Referrers, Registry};

use super::stage::{HOST, Reply, Stage};

fn tags(reply: &Reply) -> Vec<String> {
    serde_json::from_value(reply.json()["tags"].clone()).unwrap()
}

fn digests(reply: &Reply) -> Vec<Value> {
    reply.json()["manifests"].as_array().unwrap().iter().map(|entry| entry["digest"].clone()).collect()
}

/// Where a reply says that its list goes on.
fn next(reply: &Reply) -> Option<String> {
    let (target, parameters) = reply.header("link").strip_prefix('<')?.split_once('>')?;
    assert_eq!(parameters, "; rel=\"next\"");
    Some(target.to_owned())
}

/// An artefact of some type that says that it belongs to a manifest.
fn artefact(subject: &Digest, artifact_type: &str) -> Bytes {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::of(b"{}"), "size": 2},
        "layers": [{"mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::of(b"{}"), "size": 2}],
        "subject": {"mediaType": MediaType::OCI_MANIFEST, "digest": subject, "size": 7},
    });
    Bytes::from(manifest.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_listed_a_page_at_a_time_and_every_page_leads_back_here() {
    let stage = Stage::new().await;
    for (seed, tag) in (1..).zip(["a", "b", "c", "d", "e"]) {
        stage.unsigned(seed, "acme/app", tag);
    }
    let gateway = stage.gateway().await;
    let first = format!("/v2/{HOST}/acme/app/tags/list");
    let by_namespace = format!("/v2/acme/app/tags/list?ns={HOST}");
    let whole = gateway.get(&first).await;
    assert_eq!(
        (whole.status.as_u16(), tags(&whole)),
        (200, vec!["a".into(), "b".into(), "c".into(), "d".into(), "e".into()])
    );
    assert_eq!(whole.json()["name"], format!("{HOST}/acme/app"));
    assert_eq!(gateway.get(&by_namespace).await.json()["name"], "acme/app");
    for (start, separator) in [(first.clone(), '?'), (by_namespace, '&')] {
        let (mut page, mut all) = (Some(format!("{start}{separator}n=2")), Vec::new());
        while let Some(path) = page {
            let reply = gateway.get(&path).await;
            assert_eq!(reply.status, 200, "{path}");
            assert!(tags(&reply).len() <= 2);
            all.extend(tags(&reply));
            page = next(&reply);
        }
        assert_eq!(all, ["a", "b", "c", "d", "e"], "{start}");
    }
    let none = gateway.get(&format!("{first}?n=0")).await;
    assert_eq!((none.status.as_u16(), tags(&none), next(&none)), (200, vec![], None));
    let head = gateway.head(&first).await;
    assert_eq!(head.header("content-length"), whole.bytes().len().to_string());
    let unknown = gateway.get(&format!("/v2/{HOST}/acme/none/tags/list")).await;
    assert_eq!((unknown.status.as_u16(), unknown.code().as_str()), (404, "NAME_UNKNOWN"));
    let odd = gateway.get(&format!("{first}?n=many")).await;
    assert_eq!((odd.status.as_u16(), odd.code().as_str()), (400, "PAGINATION_NUMBER_INVALID"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstreams_own_page_tokens_are_carried_and_its_links_are_not() {
    let stage = Stage::new().await;
    stage.unsigned(1, "acme/app", "a");
    let link = "<https://elsewhere.example/other/v2/x/tags/list?next_page=gAAA%3D&n=1>; rel=\"next\"";
    stage.origin.fault(|seen| seen.query.is_none(), Fault::Header("link", link.to_owned()));
    let gateway = stage.gateway().await;
    let reply = gateway.get(&format!("/v2/acme/app/tags/list?ns={HOST}")).await;
    let next = next(&reply).unwrap();
    assert_eq!(next, format!("/v2/acme/app/tags/list?next_page=gAAA%3D&n=1&ns={HOST}"));
    assert_eq!(gateway.get(&next).await.status, 200);
    let asked = stage.origin.requests().pop().unwrap();
    assert_eq!(
        (asked.path.as_str(), asked.query.as_deref()),
        ("/v2/acme/app/tags/list", Some("next_page=gAAA%3D&n=1"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn referrers_are_listed_also_of_an_image_that_is_denied() {
    for offered in [Referrers::Api, Referrers::FallbackTag] {
        let options = Options { referrers: offered, ..Options::default() };
        let stage = Stage::with_origin(Registry::start_with(options).await);
        let image = stage.unsigned(1, "acme/app", "v1");
        let put = |artifact_type| {
            let bytes = artefact(&image.digest(), artifact_type);
            json!(stage.origin.put_manifest("acme/app", None, MediaType::OCI_MANIFEST, bytes))
        };
        let (sbom, scan) = (put("application/spdx+json"), put("application/x.scan"));
        let gateway = stage.gateway().await;
        let path = format!("/v2/{HOST}/acme/app/referrers/{}", image.digest());
        let all = gateway.get(&path).await;
        assert_eq!(
            (all.status.as_u16(), all.header("content-type")),
            (200, MediaType::OCI_INDEX),
            "{offered:?}"
        );
        assert_eq!(digests(&all).len(), 2, "{offered:?}");
        assert_eq!(all.header("oci-filters-applied"), "");
        let some = gateway.get(&format!("{path}?artifactType=application%2Fspdx%2Bjson")).await;
        assert_eq!(
            (digests(&some), some.header("oci-filters-applied")),
            (vec![sbom.clone()], "artifactType")
        );
        assert_eq!(some.json()["manifests"][0]["artifactType"], "application/spdx+json");
        let head = gateway.head(&path).await;
        assert_eq!(head.header("content-length"), all.bytes().len().to_string());
        // What is listed is judged as any other image is.
        for listed in [sbom, scan] {
            let path = format!("/v2/{HOST}/acme/app/manifests/{}", listed.as_str().unwrap());
            assert_eq!(gateway.get(&path).await.status, 403, "{offered:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_refers_to_has_an_empty_list() {
    for offered in [Referrers::Api, Referrers::FallbackTag, Referrers::None] {
        let options = Options { referrers: offered, ..Options::default() };
        let stage = Stage::with_origin(Registry::start_with(options).await);
        stage.unsigned(1, "acme/app", "v1");
        let gateway = stage.gateway().await;
        for digest in [Digest::of(b"none"), Digest::with(Algorithm::Sha512, b"none")] {
            let reply = gateway.get(&format!("/v2/{HOST}/acme/app/referrers/{digest}")).await;
            assert_eq!((reply.status.as_u16(), digests(&reply)), (200, vec![]), "{offered:?} {digest}");
            assert_eq!(reply.header("content-type"), MediaType::OCI_INDEX);
        }
        let odd = gateway.get(&format!("/v2/{HOST}/acme/app/referrers/sha256:xyz")).await;
        assert_eq!((odd.status.as_u16(), odd.code().as_str()), (400, "DIGEST_INVALID"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_cannot_tell_has_no_empty_list() {
    let stage = Stage::new().await;
    let digest = stage.unsigned(1, "acme/app", "v1").digest();
    let gateway = stage.gateway().await;
    let paths = [format!("/v2/{HOST}/acme/app/referrers/{digest}"), format!("/v2/{HOST}/acme/app/tags/list")];
    for (fault, status) in [
        (Fault::Status(500), 503),
        (Fault::Status(429), 503),
        (Fault::Status(401), 403),
        (Fault::Corrupt, 502),
        (Fault::Endless, 502),
    ] {
        stage.origin.fault(|_| true, fault.clone());
        for path in &paths {
            let reply = gateway.request(Method::GET, path, &[]).await;
            assert_eq!(reply.status, status, "{fault:?} {path}");
        }
        stage.origin.clear_faults();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_referrers_lead_back_here() {
    let stage = Stage::new().await;
    let digest = stage.unsigned(1, "acme/app", "v1").digest();
    let link = format!("</v2/acme/app/referrers/{digest}?page=2>; rel=\"next\"");
    stage.origin.fault(|seen| seen.query.as_deref() == Some("artifactType=a"), Fault::Header("link", link));
    let gateway = stage.gateway().await;
    let path = format!("/v2/acme/app/referrers/{digest}");
    let reply = gateway.get(&format!("{path}?artifactType=a&ns={HOST}")).await;
    assert_eq!(next(&reply), Some(format!("{path}?page=2&ns={HOST}")));
}
