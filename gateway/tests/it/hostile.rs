//! Nothing gets around: what is denied stays denied by every path to it.

use bytes::Bytes;
use http::Method;
use oci::{Digest, MediaType};
use serde_json::json;
use testkit::authority::Attack;
use testkit::image::{CONFIG, Image, index_of};
use testkit::registry::Fault;

use super::stage::{Gateway, HOST, Stage, release};

async fn refuses_every_blob(gateway: &Gateway, repository: &str, image: &Image) {
    for blob in image.blobs() {
        let path = format!("/v2/{HOST}/{repository}/blobs/{}", Digest::of(blob));
        for (method, headers) in
            [(Method::GET, [].as_slice()), (Method::HEAD, &[]), (Method::GET, &[("range", "bytes=0-3")])]
        {
            let reply = gateway.request(method.clone(), &path, headers).await;
            assert_eq!(reply.status, 404, "{method} {headers:?} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_of_a_denied_image_are_refused() {
    let stage = Stage::new().await;
    let image = stage.unsigned(1, "acme/app", "v1");
    let gateway = stage.gateway().await;
    refuses_every_blob(&gateway, "acme/app", &image).await;
    assert_eq!(gateway.get(&format!("/v2/{HOST}/acme/app/manifests/v1")).await.status, 403);
    assert_eq!(gateway.get(&format!("/v2/{HOST}/acme/app/manifests/{}", image.digest())).await.status, 403);
    refuses_every_blob(&gateway, "acme/app", &image).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_digest_under_another_repository_needs_a_link_of_its_own() {
    let stage = Stage::new().await;
    let image = stage.signed(1, "acme/app", "v1");
    let gateway = stage.gateway().await;
    assert_eq!(gateway.get(&format!("/v2/{HOST}/acme/app/manifests/v1")).await.status, 200);
    for blob in image.blobs() {
        let path = format!("/v2/{HOST}/acme/app/blobs/{}", Digest::of(blob));
        assert_eq!(gateway.get(&path).await.status, 200);
    }
    // Not even where no policy would object: this repository was never seen to have it.
    for repository in ["acme/other", "free/other"] {
        let path = format!("/v2/{HOST}/{repository}/manifests/{}", image.digest());
        assert_eq!(gateway.get(&path).await.status, 404, "{repository}");
        refuses_every_blob(&gateway, repository, &image).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runnable_image_with_a_subject_opens_nothing() {
    let stage = Stage::new().await;
    let signed = stage.signed(1, "acme/app", "v1");
    let image = Image::random(2);
    let mut manifest: serde_json::Value = serde_json::from_slice(&image.manifest).unwrap();
    manifest["subject"] = json!({"mediaType": MediaType::OCI_MANIFEST, "digest": signed.digest(), "size": signed.manifest.len()});
    manifest["artifactType"] = json!("application/vnd.dev.sigstore.bundle.v0.3+json");
    image.push_to(&stage.origin, "acme/app", None);
    let bytes = Bytes::from(manifest.to_string());
    let digest = stage.origin.put_manifest("acme/app", Some("evil"), MediaType::OCI_MANIFEST, bytes);
    let gateway = stage.gateway().await;
    for version in ["evil".to_owned(), digest.to_string()] {
        let reply = gateway.get(&format!("/v2/{HOST}/acme/app/manifests/{version}")).await;
        assert_eq!(reply.status, 403, "{version}");
    }
    refuses_every_blob(&gateway, "acme/app", &image).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_poses_as_a_referrers_list_opens_nothing() {
    let stage = Stage::new().await;
    let signed = stage.signed(1, "acme/app", "v1");
    let index = index_of(&[Image::random(2)]);
    let tag = signed.digest().to_string().replace(':', "-");
    index.push_to(&stage.origin, "acme/app", Some(&tag));
    let gateway = stage.gateway().await;
    let list = gateway.get(&format!("/v2/{HOST}/acme/app/manifests/{tag}")).await;
    assert_eq!((list.status.as_u16(), list.header("countersign-reason")), (200, "referrers-list"));
    let by_digest = gateway.get(&format!("/v2/{HOST}/acme/app/manifests/{}", index.digest())).await;
    assert_eq!(by_digest.status, 403, "by its digest it is an index like any other");
    let child = gateway.get(&format!("/v2/{HOST}/acme/app/manifests/{}", index.images[0].digest())).await;
    assert_eq!(child.status, 403);
    refuses_every_blob(&gateway, "acme/app", &index.images[0]).await;
}

/// A manifest that calls the layers of an image signatures.
fn posing_artefact(image: &Image) -> Bytes {
    let part = |media_type: &str, bytes: &Bytes| json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()});
    let layers: Vec<_> = image.layers.iter().map(|layer| part(MediaType::SIMPLE_SIGNING, layer)).collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": part(CONFIG, &image.config),
        "layers": layers,
    });
    Bytes::from(manifest.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_is_called_a_signature_is_not_served() {
    let stage = Stage::new().await;
    let image = stage.unsigned(1, "acme/app", "v1");
    let manifest = posing_artefact(&image);
    stage.origin.put_manifest("acme/app", Some("posing"), MediaType::OCI_MANIFEST, manifest);
    let gateway = stage.gateway().await;
    assert_eq!(gateway.get(&format!("/v2/{HOST}/acme/app/manifests/posing")).await.status, 200);
    for layer in &image.layers {
        let path = format!("/v2/{HOST}/acme/app/blobs/{}", Digest::of(layer));
        assert_eq!(gateway.get(&path).await.status, 404);
        assert_eq!(gateway.head(&path).await.status, 404);
        assert_eq!(gateway.request(Method::GET, &path, &[("range", "bytes=0-3")]).await.status, 404);
        let tag = format!("\"{}\"", Digest::of(layer));
        assert_eq!(gateway.request(Method::GET, &path, &[("if-none-match", &tag)]).await.status, 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_of_another_size_than_its_manifest_says_is_not_served() {
    let stage = Stage::new().await;
    let payload = Bytes::from_static(b"{}");
    for (tag, size) in [("longer", 20_000), ("shorter", 1)] {
        let part =
            json!({"mediaType": MediaType::SIMPLE_SIGNING, "digest": Digest::of(&payload), "size": size});
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "config": part, "layers": [part],
        });
        let repository = format!("acme/{tag}");
        stage.origin.put_blob(&repository, payload.clone());
        let bytes = Bytes::from(manifest.to_string());
        stage.origin.put_manifest(&repository, Some(tag), MediaType::OCI_MANIFEST, bytes);
    }
    let gateway = stage.gateway().await;
    for tag in ["longer", "shorter"] {
        assert_eq!(gateway.get(&format!("/v2/{HOST}/acme/{tag}/manifests/{tag}")).await.status, 200);
        let path = format!("/v2/{HOST}/acme/{tag}/blobs/{}", Digest::of(&payload));
        for headers in [&[][..], &[("range", "bytes=1-9999")]] {
            assert_eq!(gateway.request(Method::GET, &path, headers).await.status, 404, "{tag} {headers:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_posing_artefact_takes_nothing_from_an_image_that_is_allowed() {
    let stage = Stage::new().await;
    let image = stage.signed(1, "acme/app", "v1");
    let posing = posing_artefact(&image);
    stage.origin.put_manifest("acme/app", Some("posing"), MediaType::OCI_MANIFEST, posing);
    let gateway = stage.gateway().await;
    for tag in ["v1", "posing"] {
        assert_eq!(gateway.get(&format!("/v2/{HOST}/acme/app/manifests/{tag}")).await.status, 200);
    }
    for layer in &image.layers {
        let reply = gateway.get(&format!("/v2/{HOST}/acme/app/blobs/{}", Digest::of(layer))).await;
        assert_eq!((reply.status.as_u16(), reply.bytes()), (200, layer));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_moved_to_an_unsigned_digest_is_denied_at_once() {
    let stage = Stage::new().await;
    stage.signed(1, "acme/app", "v1");
    let gateway = stage.gateway().await;
    let path = format!("/v2/{HOST}/acme/app/manifests/v1");
    assert_eq!(gateway.get(&path).await.status, 200);
    let moved = stage.unsigned(2, "acme/app", "v1");
    let reply = gateway.get(&path).await;
    assert_eq!(reply.status, 403);
    assert_eq!(reply.json()["errors"][0]["detail"]["digest"], json!(moved.digest()));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_not_their_digest_are_neither_served_nor_kept() {
    let stage = Stage::new().await;
    let image = stage.signed(1, "acme/app", "v1");
    let gateway = stage.gateway().await;
    let manifest = format!("/v2/{HOST}/acme/app/manifests/{}", image.digest());
    let digest = image.digest().to_string();
    stage.origin.fault(move |seen| seen.path.ends_with(&digest), Fault::Corrupt);
    let reply = gateway.get(&manifest).await;
    assert_eq!(reply.status, 502, "{reply:?}");
    assert!(reply.bytes().len() < image.manifest.len());
    stage.origin.clear_faults();
    assert_eq!(gateway.get(&manifest).await.bytes(), &image.manifest);

    let layer = Digest::of(&image.layers[1]);
    let blob = format!("/v2/{HOST}/acme/app/blobs/{layer}");
    stage.origin.fault(move |seen| seen.path.ends_with(&layer.to_string()), Fault::Corrupt);
    let reply = gateway.get(&blob).await;
    assert!(reply.status == 502 || reply.body.is_err(), "{reply:?}");
    stage.origin.clear_faults();
    assert_eq!(gateway.get(&blob).await.bytes(), &image.layers[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_wrong_blob_never_ends_well() {
    let stage = Stage::new().await;
    let layer = Bytes::from(vec![7_u8; 1_000_000]);
    let image = Image::of(vec![layer.clone()]);
    image.push_to(&stage.origin, "acme/big", Some("v1"));
    stage.sign("acme/big", &image.digest(), &release());
    let gateway = stage.gateway().await;
    assert_eq!(gateway.get(&format!("/v2/{HOST}/acme/big/manifests/v1")).await.status, 200);
    let digest = Digest::of(&layer);
    stage.origin.fault(move |seen| seen.path.ends_with(&digest.to_string()), Fault::Corrupt);
    let reply = gateway.get(&format!("/v2/{HOST}/acme/big/blobs/{digest}")).await;
    // It depends on who is faster whether it is known before the first byte is sent that the last never will be.
    assert!(
        reply.status == 502 || reply.body.is_err(),
        "the whole of a wrong blob was served: {}",
        reply.status
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_forged_signature_is_refused_at_both_doors() {
    let stage = Stage::new().await;
    let mut images = Vec::new();
    for (seed, attack) in (10..).zip(Attack::ALL) {
        let repository = format!("acme/attack{seed}");
        let image = stage.unsigned(seed, &repository, "v1");
        let reference = format!("{HOST}/{repository}");
        let layer = stage.authority.sign_with(&image.digest(), &reference, &release(), attack);
        stage.attach(&repository, &image.digest(), &[layer]);
        images.push((attack, repository, image));
    }
    let gateway = stage.gateway().await;
    for (attack, repository, image) in &images {
        let pulled = gateway.get(&format!("/v2/{HOST}/{repository}/manifests/v1")).await;
        assert_eq!(pulled.status, 403, "{attack:?}");
        let denial = gateway.denial(&format!("{HOST}/{repository}@{}", image.digest())).await;
        assert!(
            denial.starts_with("validation failed: failed policy: acme-is-signed"),
            "{attack:?}: {denial}"
        );
        refuses_every_blob(&gateway, repository, image).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_signature_counts_beside_bad_ones_and_only_for_its_own_image() {
    let stage = Stage::new().await;
    let image = stage.unsigned(1, "acme/app", "v1");
    let reference = format!("{HOST}/acme/app");
    let bad = stage.authority.sign_with(&image.digest(), &reference, &release(), Attack::EditedTime);
    let good = stage.authority.sign(&image.digest(), &reference, &release());
    stage.attach("acme/app", &image.digest(), &[bad, good.clone()]);
    let other = stage.unsigned(2, "acme/app", "v2");
    stage.attach("acme/app", &other.digest(), &[good]);
    let gateway = stage.gateway().await;
    assert_eq!(gateway.get(&format!("/v2/{HOST}/acme/app/manifests/v1")).await.status, 200);
    let reply = gateway.get(&format!("/v2/{HOST}/acme/app/manifests/v2")).await;
    assert_eq!((reply.status.as_u16(), reply.header("countersign-reason")), (403, "other-subject"));
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_and_malformed_manifests_are_refused_and_change_nothing() {
    let stage = Stage::new().await;
    let image = stage.signed(1, "acme/app", "v1");
    let mut big: serde_json::Value = serde_json::from_slice(&image.manifest).unwrap();
    big["annotations"] = json!({"padding": "x".repeat(4 * 1024 * 1024)});
    stage.origin.put_manifest("acme/app", Some("big"), MediaType::OCI_MANIFEST, Bytes::from(big.to_string()));
    stage.origin.put_manifest("acme/app", Some("odd"), MediaType::OCI_MANIFEST, Bytes::from_static(b"{"));
    let gateway = stage.gateway().await;
    for tag in ["big", "odd"] {
        let reply = gateway.get(&format!("/v2/{HOST}/acme/app/manifests/{tag}")).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (502, "MANIFEST_INVALID"),
            "{tag}: {reply:?}"
        );
    }
    assert_eq!(gateway.get(&format!("/v2/{HOST}/acme/app/manifests/v1")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_in_an_index_opens_its_images_and_a_third_one_does_not() {
    let stage = Stage::new().await;
    let index = index_of(&[Image::random(1)]);
    let around = |digest: Digest, size: usize| {
        let entry = json!({"mediaType": MediaType::OCI_INDEX, "digest": digest, "size": size});
        Bytes::from(
            json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": [entry]}).to_string(),
        )
    };
    let second = around(index.digest(), index.manifest.len());
    let third = around(Digest::of(&second), second.len());
    let repositories = [("acme/two", &second, 200), ("acme/three", &third, 403)];
    for (repository, signed, _) in repositories {
        index.push_to(&stage.origin, repository, None);
        for bytes in [&second, &third] {
            stage.origin.put_manifest(repository, None, MediaType::OCI_INDEX, bytes.clone());
        }
        stage.sign(repository, &Digest::of(signed), &release());
    }
    let gateway = stage.gateway().await;
    for (repository, signed, opens) in repositories {
        let get = async |digest: Digest| {
            gateway.get(&format!("/v2/{HOST}/{repository}/manifests/{digest}")).await.status.as_u16()
        };
        for digest in [Digest::of(signed), Digest::of(&second), index.digest()] {
            assert_eq!(get(digest).await, 200, "{repository}");
        }
        assert_eq!(get(index.images[0].digest()).await, opens, "{repository}");
    }
}
