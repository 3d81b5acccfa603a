//! The pull door: what is served, under which names, and in which words it refuses.

use http::Method;
use oci::{Digest, MediaType};
use serde_json::json;
use testkit::image::{Image, index_of};

use super::stage::{HOST, MIRROR, Stage, release};

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_image_is_served_in_exactly_the_origins_bytes() {
    let stage = Stage::new().await;
    let image = stage.signed(1, "acme/app", "v1");
    let gateway = stage.gateway().await;

    let by_tag = gateway.get(&format!("/v2/{HOST}/acme/app/manifests/v1")).await;
    assert_eq!(by_tag.status, 200, "{by_tag:?}");
    assert_eq!(by_tag.bytes(), &image.manifest);
    assert_eq!(by_tag.header("content-type"), MediaType::OCI_MANIFEST);
    assert_eq!(by_tag.header("docker-content-digest"), image.digest().to_string());
    assert_eq!(by_tag.header("countersign-reason"), "satisfied");
    assert!(!by_tag.header("countersign-decision").is_empty());
    for blob in image.blobs() {
        let reply = gateway.get(&format!("/v2/{HOST}/acme/app/blobs/{}", Digest::of(blob))).await;
        assert_eq!((reply.status.as_u16(), reply.bytes()), (200, blob));
    }

    let warm = gateway.get(&format!("/v2/{HOST}/acme/app/manifests/{}", image.digest())).await;
    assert_eq!(warm.header("countersign-cache"), "hit");
    let head = gateway.head(&format!("/v2/{HOST}/acme/app/manifests/v1")).await;
    assert_eq!((head.status.as_u16(), head.bytes().len()), (200, 0));
    assert_eq!(head.header("content-length"), image.manifest.len().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_found_by_namespace_and_by_prefix() {
    let stage = Stage::new().await;
    let image = stage.signed(1, "acme/app", "v1");
    let gateway = stage.gateway().await;

    let by_namespace = gateway.get(&format!("/v2/acme/app/manifests/v1?ns={HOST}")).await;
    assert_eq!((by_namespace.status.as_u16(), by_namespace.bytes()), (200, &image.manifest));
    assert_eq!(by_namespace.header("oci-namespace"), HOST);
    let in_capitals = gateway.get("/v2/acme/app/manifests/v1?ns=REGISTRY.example:443").await;
    assert_eq!((in_capitals.status.as_u16(), in_capitals.bytes()), (200, &image.manifest));
    assert_eq!(in_capitals.header("oci-namespace"), "REGISTRY.example:443");

    let unknown = gateway.get("/v2/acme/app/manifests/v1?ns=evil.example").await;
    assert_eq!((unknown.status.as_u16(), unknown.code().as_str()), (404, "NAME_UNKNOWN"));
    let nowhere = gateway.get("/v2/acme/app/manifests/v1").await;
    assert_eq!((nowhere.status.as_u16(), nowhere.code().as_str()), (404, "NAME_UNKNOWN"));
    let contradiction = gateway.get(&format!("/v2/docker.io/acme/app/manifests/v1?ns={HOST}")).await;
    assert_eq!((contradiction.status.as_u16(), contradiction.code().as_str()), (400, "NAME_INVALID"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_found_by_the_host_name_that_is_called() {
    let stage = Stage::new().await;
    let image = stage.signed(1, "acme/app", "v1");
    let gateway = stage.gateway().await;
    for (host, path, status) in [
        (MIRROR.to_owned(), "/v2/acme/app/manifests/v1", 200),
        (format!("{MIRROR}:5000").to_uppercase(), "/v2/acme/app/manifests/v1", 200),
        (MIRROR.to_owned(), "/v2/registry.example/acme/app/manifests/v1", 200),
        (MIRROR.to_owned(), "/v2/docker.io/acme/app/manifests/v1", 400),
        (MIRROR.to_owned(), "/v2/acme/app/manifests/v1?ns=docker.io", 200),
        ("other.example".to_owned(), "/v2/acme/app/manifests/v1", 404),
    ] {
        let reply = gateway.request(Method::GET, path, &[("host", &host)]).await;
        assert_eq!(reply.status, status, "{host} {path}: {reply:?}");
        if status == 200 {
            assert_eq!(reply.bytes(), &image.manifest, "{host} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_content_is_not_sent_it_again() {
    let stage = Stage::new().await;
    let image = stage.signed(1, "acme/app", "v1");
    let denied = stage.unsigned(2, "acme/app", "v2");
    let gateway = stage.gateway().await;
    let manifest = format!("/v2/{HOST}/acme/app/manifests/v1");
    let blob = format!("/v2/{HOST}/acme/app/blobs/{}", Digest::of(&image.layers[0]));
    for (path, bytes) in [(&manifest, &image.manifest), (&blob, &image.layers[0])] {
        let tag = gateway.get(path).await.header("etag").to_owned();
        assert_eq!(tag, format!("\"{}\"", Digest::of(bytes)));
        let had = gateway.request(Method::GET, path, &[("if-none-match", &tag)]).await;
        assert_eq!((had.status.as_u16(), had.bytes().len(), had.header("etag")), (304, 0, &*tag), "{path}");
        let other = gateway.request(Method::GET, path, &[("if-none-match", "\"other\"")]).await;
        assert_eq!((other.status.as_u16(), other.bytes()), (200, bytes), "{path}");
    }
    // To have it is no way to learn that it is there.
    let tag = format!("\"{}\"", denied.digest());
    let path = format!("/v2/{HOST}/acme/app/manifests/v2");
    assert_eq!(gateway.request(Method::GET, &path, &[("if-none-match", &tag)]).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_given_of_the_content_that_the_client_has_the_rest_of() {
    let stage = Stage::new().await;
    let image = stage.signed(1, "acme/app", "v1");
    let gateway = stage.gateway().await;
    assert_eq!(gateway.get(&format!("/v2/{HOST}/acme/app/manifests/v1")).await.status, 200);
    let layer = &image.layers[0];
    let path = format!("/v2/{HOST}/acme/app/blobs/{}", Digest::of(layer));
    let tag = format!("\"{}\"", Digest::of(layer));
    let part = gateway.request(Method::GET, &path, &[("range", "bytes=1-3"), ("if-range", &tag)]).await;
    assert_eq!((part.status.as_u16(), &part.bytes()[..]), (206, &layer[1..4]));
    let whole = gateway.request(Method::GET, &path, &[("range", "bytes=1-3"), ("if-range", "\"x\"")]).await;
    assert_eq!((whole.status.as_u16(), whole.bytes()), (200, layer));
    let head = gateway.request(Method::HEAD, &path, &[("range", "bytes=1-3")]).await;
    assert_eq!((head.status.as_u16(), head.header("content-length")), (200, &*layer.len().to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_images_alone_gets_what_the_origin_has_for_them() {
    let stage = Stage::new().await;
    let index = index_of(&[Image::random(1), Image::random(2)]);
    index.push_to(&stage.origin, "acme/multi", Some("v1"));
    stage.sign("acme/multi", &index.digest(), &release());
    let chosen = index.images[1].digest();
    let asks_for_images =
        |seen: &testkit::registry::Seen| seen.header("accept") == Some(MediaType::OCI_MANIFEST);
    let says = testkit::registry::Fault::Header("docker-content-digest", chosen.to_string());
    stage.origin.fault(asks_for_images, says);
    let gateway = stage.gateway().await;
    let path = format!("/v2/{HOST}/acme/multi/manifests/v1");
    let get = async |accept: &'static str| gateway.request(Method::GET, &path, &[("accept", accept)]).await;
    for accept in ["*/*", MediaType::OCI_INDEX] {
        assert_eq!(get(accept).await.bytes(), &index.manifest, "{accept}");
    }
    let image = get(MediaType::OCI_MANIFEST).await;
    assert_eq!((image.status.as_u16(), image.bytes()), (200, &index.images[1].manifest));
    assert_eq!(image.header("countersign-reason"), "index-allowed");
    stage.origin.clear_faults();
    stage.origin.fault(asks_for_images, testkit::registry::Fault::Status(404));
    assert_eq!(get(MediaType::OCI_MANIFEST).await.status, 404);
    // A digest leaves no choice.
    let by_digest = format!("/v2/{HOST}/acme/multi/manifests/{}", index.digest());
    let index_by_digest = gateway.request(Method::GET, &by_digest, &[("accept", MediaType::OCI_MANIFEST)]);
    assert_eq!(index_by_digest.await.bytes(), &index.manifest);
}

#[tokio::test(flavor = "multi_thread")]
async fn content_is_found_under_both_its_addresses() {
    let stage = Stage::new().await;
    let image = stage.signed(1, "acme/app", "v1");
    let unsigned = stage.unsigned(2, "acme/app", "v2");
    let gateway = stage.gateway().await;
    let sha512 = |bytes: &[u8]| Digest::with(oci::Algorithm::Sha512, bytes);
    let path = |digest| format!("/v2/{HOST}/acme/app/manifests/{digest}");
    let reply = gateway.get(&path(sha512(&image.manifest))).await;
    assert_eq!((reply.status.as_u16(), reply.bytes()), (200, &image.manifest));
    assert_eq!(reply.header("docker-content-digest"), sha512(&image.manifest).to_string());
    assert_eq!(gateway.get(&path(sha512(&unsigned.manifest))).await.status, 403);

    // And an image may name its parts by either.
    let mut manifest: serde_json::Value = serde_json::from_slice(&image.manifest).unwrap();
    manifest["layers"][0]["digest"] = json!(sha512(&image.layers[0]));
    let bytes = bytes::Bytes::from(manifest.to_string());
    let digest = stage.origin.put_manifest("acme/app", Some("v3"), MediaType::OCI_MANIFEST, bytes);
    stage.sign("acme/app", &digest, &release());
    assert_eq!(gateway.get(&path(digest)).await.status, 200);
    let layer = format!("/v2/{HOST}/acme/app/blobs/{}", sha512(&image.layers[0]));
    let reply = gateway.get(&layer).await;
    assert_eq!((reply.status.as_u16(), reply.bytes()), (200, &image.layers[0]));
    let part = gateway.request(Method::GET, &layer, &[("range", "bytes=-4")]).await;
    assert_eq!((part.status.as_u16(), part.bytes().len()), (206, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_base_says_that_this_is_a_registry_and_writes_are_refused() {
    let stage = Stage::new().await;
    let gateway = stage.gateway().await;
    assert_eq!(gateway.get("/v2/").await.status, 200);
    assert_eq!(gateway.head("/v2/").await.status, 200);
    let write = gateway.request(Method::PUT, &format!("/v2/{HOST}/acme/app/manifests/v1"), &[]).await;
    assert_eq!((write.status.as_u16(), write.code().as_str()), (405, "UNSUPPORTED"));
    assert_eq!(gateway.get("/v2/_catalog").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_told_so() {
    let stage = Stage::new().await;
    let gateway = stage.gateway().await;
    for (path, code) in [
        ("acme/app/blobs/sha256:xyz", "DIGEST_INVALID"),
        ("acme/../app/manifests/v1", "NAME_INVALID"),
        ("ACME/app/manifests/v1", "NAME_INVALID"),
        ("acme%2fapp/manifests/v1", "NAME_INVALID"),
        ("acme/app/manifests/-v1", "NAME_INVALID"),
    ] {
        let reply = gateway.get(&format!("/v2/{HOST}/{path}")).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (400, code), "{path}");
    }
    assert_eq!(stage.origin.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_says_which_policy_and_who_signed_instead() {
    let stage = Stage::new().await;
    let image = stage.unsigned(1, "acme/app", "v1");
    let nightly = testkit::authority::Identity::github_workflow("acme/app", "nightly.yaml@refs/heads/main");
    stage.sign("acme/app", &image.digest(), &nightly);
    let gateway = stage.gateway().await;
    let reply = gateway.get(&format!("/v2/{HOST}/acme/app/manifests/v1")).await;
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (403, "DENIED"));
    let text = reply.json().to_string();
    for part in ["acme-is-signed", "authority-0", "nightly.yaml", "wrong-identity"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let error = &reply.json()["errors"][0];
    assert_eq!(error["message"].as_str().unwrap().lines().count(), 1, "{error}");
    let signer = &error["detail"]["policies"][0]["authorities"][0]["signers"][0]["certificate"];
    assert_eq!(signer["subjects"][0], json!(nightly.subject.as_str()), "{error}");
    assert_eq!(reply.header("countersign-reason"), "wrong-identity");
    let head = gateway.head(&format!("/v2/{HOST}/acme/app/manifests/v1")).await;
    assert_eq!((head.status.as_u16(), head.header("countersign-reason")), (403, "wrong-identity"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_policy_matches_is_served_warned_of_or_denied() {
    let stage = Stage::new().await;
    stage.unsigned(1, "other/app", "v1");
    for (no_match, status, warned) in [("warn", 200, true), ("allow", 200, false), ("deny", 403, false)] {
        let gateway = stage.gateway_with(&format!("registry.noMatch: {no_match}")).await;
        let reply = gateway.get(&format!("/v2/{HOST}/other/app/manifests/v1")).await;
        assert_eq!(
            (reply.status.as_u16(), !reply.header("warning").is_empty()),
            (status, warned),
            "{no_match}"
        );
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn children_of_a_signed_index_are_served_and_admission_does_not_inherit() {
    let stage = Stage::new().await;
    let index = index_of(&[Image::random(1), Image::random(2)]);
    index.push_to(&stage.origin, "acme/multi", Some("v1"));
    stage.sign("acme/multi", &index.digest(), &release());
    let gateway = stage.gateway().await;
    let child = index.images[0].digest();

    // Before its index was seen, a child is an unsigned image like any other.
    let early = gateway.get(&format!("/v2/{HOST}/acme/multi/manifests/{child}")).await;
    assert_eq!(early.status, 403);
    assert_eq!(gateway.get(&format!("/v2/{HOST}/acme/multi/manifests/v1")).await.status, 200);
    let reply = gateway.get(&format!("/v2/{HOST}/acme/multi/manifests/{child}")).await;
    assert_eq!((reply.status.as_u16(), reply.header("countersign-reason")), (200, "index-allowed"));
    for blob in index.images[0].blobs() {
        let reply = gateway.get(&format!("/v2/{HOST}/acme/multi/blobs/{}", Digest::of(blob))).await;
        assert_eq!((reply.status.as_u16(), reply.bytes()), (200, blob));
    }
    assert!(gateway.denial(&format!("{HOST}/acme/multi@{child}")).await.contains("no signatures found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_stay_readable() {
    let stage = Stage::new().await;
    let image = stage.signed(1, "acme/app", "v1");
    let gateway = stage.gateway().await;
    let tag = testkit::authority::SignatureManifest::tag_for(&image.digest());
    let manifest = gateway.get(&format!("/v2/{HOST}/acme/app/manifests/{tag}")).await;
    assert_eq!((manifest.status.as_u16(), manifest.header("countersign-reason")), (200, "signature"));
    let layers = manifest.json()["layers"].clone();
    let digest = layers[0]["digest"].as_str().unwrap();
    let payload = gateway.get(&format!("/v2/{HOST}/acme/app/blobs/{digest}")).await;
    assert_eq!(payload.status, 200);
    assert_eq!(payload.json()["critical"]["image"]["docker-manifest-digest"], json!(image.digest()));
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_are_served_in_ranges_while_they_land_and_afterwards() {
    let stage = Stage::new().await;
    let layer: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let image = Image::of(vec![layer.clone().into()]);
    image.push_to(&stage.origin, "acme/big", Some("v1"));
    stage.sign("acme/big", &image.digest(), &release());
    let gateway = stage.gateway().await;
    assert_eq!(gateway.get(&format!("/v2/{HOST}/acme/big/manifests/v1")).await.status, 200);
    let path = format!("/v2/{HOST}/acme/big/blobs/{}", Digest::of(&layer));

    let head = gateway.head(&path).await;
    assert_eq!((head.status.as_u16(), head.header("content-length")), (200, "4000000"));
    let blob_gets = |stage: &Stage| {
        stage.origin.count(|seen| seen.is_blob() && seen.path.ends_with(&path[path.len() - 71..]))
    };
    assert_eq!(blob_gets(&stage), 0, "HEAD needs nothing that the manifest does not say");
    for _ in 0..2 {
        for (range, expected) in [
            ("bytes=0-9", 0..10),
            ("bytes=3999990-", 3_999_990..4_000_000),
            ("bytes=-5", 3_999_995..4_000_000),
        ] {
            let reply = gateway.request(Method::GET, &path, &[("range", range)]).await;
            assert_eq!(reply.status, 206, "{range}");
            assert_eq!(&reply.bytes()[..], &layer[expected], "{range}");
        }
    }
    let beyond = gateway.request(Method::GET, &path, &[("range", "bytes=4000000-")]).await;
    assert_eq!((beyond.status.as_u16(), beyond.header("content-range")), (416, "bytes */4000000"));
    assert_eq!(&gateway.get(&path).await.bytes()[..], &layer[..]);
    assert_eq!(blob_gets(&stage), 1, "one fetch serves everyone");
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_hub_names_are_completed() {
    let stage = Stage::new().await;
    let image = stage.unsigned(1, "library/nginx", "latest");
    let gateway = stage.gateway_with("registry.defaultUpstream: docker.io").await;
    for path in [
        "/v2/nginx/manifests/latest",
        "/v2/docker.io/nginx/manifests/latest",
        "/v2/library/nginx/manifests/latest?ns=docker.io",
    ] {
        let reply = gateway.get(path).await;
        assert_eq!((reply.status.as_u16(), reply.bytes()), (200, &image.manifest), "{path}");
    }
}
