//! What an authority mints, checked with nothing of ours but the encoders it was made with.

mod formats;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use der::{Decode, DecodePem, Encode};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{DerSignature, VerifyingKey};
use p256::pkcs8::DecodePublicKey;
use serde_json::Value;
use x509_cert::Certificate;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::annotations::{BUNDLE, CERTIFICATE, CHAIN, SIGNATURE};
use super::*;

fn image() -> Digest {
    Digest::of(b"image manifest")
}

fn release() -> Identity {
    Identity::github_workflow("acme/app", "release.yaml@refs/heads/main")
}

fn sign(authority: &Authority) -> SignedLayer {
    authority.sign(&image(), "registry.example/acme/app", &release())
}

#[track_caller]
fn check(spki: &[u8], message: &[u8], signature: &[u8]) {
    let key = VerifyingKey::from_public_key_der(spki).unwrap();
    let signature = DerSignature::from_bytes(signature).unwrap();
    key.verify(message, &signature).unwrap();
}

fn spki(certificate: &Certificate) -> Vec<u8> {
    certificate.tbs_certificate.subject_public_key_info.to_der().unwrap()
}

fn leaf(layer: &SignedLayer) -> Certificate {
    Certificate::from_pem(&layer.annotations[CERTIFICATE]).unwrap()
}

/// The value of an extension below Fulcio's arc.
fn claim(certificate: &Certificate, number: u32) -> Vec<u8> {
    let extensions = certificate.tbs_certificate.extensions.as_ref().unwrap();
    let wanted = identity::fulcio(number);
    let found = extensions.iter().find(|extension| extension.extn_id == wanted).unwrap();
    found.extn_value.as_bytes().to_vec()
}

/// The `Payload` of the log's answer in a layer, and the promise in it.
fn log_entry(layer: &SignedLayer) -> (Value, Vec<u8>) {
    let mut bundle: Value = serde_json::from_str(&layer.annotations[BUNDLE]).unwrap();
    let promise = bytes_of(&bundle["SignedEntryTimestamp"]);
    (bundle["Payload"].take(), promise)
}

fn bytes_of(text: &Value) -> Vec<u8> {
    BASE64.decode(text.as_str().unwrap()).unwrap()
}

#[test]
fn the_same_seed_and_calls_give_the_same_bytes() {
    let run = |seed| {
        let authority = Authority::new(seed);
        let mut layers = vec![sign(&authority)];
        layers
            .extend(Attack::ALL.map(|attack| {
                authority.sign_with(&image(), "registry.example/acme/app", &release(), attack)
            }));
        let recipe = Recipe::statement(Statement::image_signature(&image())).stamped();
        layers.push(authority.mint(&recipe).layer());
        let recipe = Recipe::message(&b"artifact"[..]).recorded(Record::HashedRekordV002).stamped();
        let bundle = authority.mint(&recipe).bundle(BundleVersion::V03);
        (authority.trusted_root(), layers, bundle)
    };
    assert_eq!(run("one"), run("one"));
    assert_ne!(run("one").0, run("two").0);
}

#[test]
fn the_same_image_signed_twice_gives_two_signatures() {
    let authority = Authority::new("seed");
    let (first, second) = (sign(&authority), sign(&authority));
    assert_eq!(first.payload, second.payload);
    for name in [SIGNATURE, BUNDLE, CERTIFICATE] {
        assert_ne!(first.annotations[name], second.annotations[name], "{name}");
    }
}

#[test]
fn the_certificate_signs_the_payload_and_chains_to_the_root() {
    let authority = Authority::new("seed");
    let layer = sign(&authority);
    let chain = Certificate::load_pem_chain(layer.annotations[CHAIN].as_bytes()).unwrap();
    let [intermediate, root] = &chain[..] else {
        panic!("{} certificates in the chain", chain.len());
    };
    let leaf = leaf(&layer);

    let signature = BASE64.decode(&layer.annotations[SIGNATURE]).unwrap();
    check(&spki(&leaf), &layer.payload, &signature);
    for (certificate, issuer) in [(&leaf, intermediate), (intermediate, root), (root, root)] {
        assert_eq!(certificate.tbs_certificate.issuer, issuer.tbs_certificate.subject);
        let content = certificate.tbs_certificate.to_der().unwrap();
        check(&spki(issuer), &content, certificate.signature.raw_bytes());
    }
}

#[test]
fn the_certificate_says_who_signed() {
    let layer = sign(&Authority::new("seed"));
    let leaf = leaf(&layer);
    let (_, names) = leaf.tbs_certificate.get::<SubjectAltName>().unwrap().unwrap();
    let [GeneralName::UniformResourceIdentifier(uri)] = &names.0[..] else {
        panic!("{names:?}");
    };
    let workflow = "https://github.com/acme/app/.github/workflows/release.yaml@refs/heads/main";
    assert_eq!(uri.as_str(), workflow);

    let issuer = "https://token.actions.githubusercontent.com";
    assert_eq!(claim(&leaf, 1), issuer.as_bytes());
    assert_eq!(String::from_der(&claim(&leaf, 8)).unwrap(), issuer);
    assert_eq!(claim(&leaf, 5), b"acme/app");
    let repository = String::from_der(&claim(&leaf, 12)).unwrap();
    assert_eq!(repository, "https://github.com/acme/app");
}

#[test]
fn every_kind_of_name_goes_into_a_certificate() {
    let authority = Authority::new("seed");
    let kind = |subject| {
        let layer = authority.sign(&image(), "app", &Identity::new("https://issuer.example", subject));
        let (_, names) = leaf(&layer).tbs_certificate.get::<SubjectAltName>().unwrap().unwrap();
        names.0[0].clone()
    };
    assert!(matches!(
        kind(San::Email("dev@acme.example".into())),
        GeneralName::Rfc822Name(name) if name.as_str() == "dev@acme.example"
    ));
    assert!(matches!(
        kind(San::Dns("acme.example".into())),
        GeneralName::DnsName(name) if name.as_str() == "acme.example"
    ));
    assert!(matches!(
        kind(San::OtherName("dev!acme".into())),
        GeneralName::OtherName(name) if name.value.decode_as::<String>().as_deref() == Ok("dev!acme")
    ));
}

#[test]
fn the_log_promises_the_entry_of_this_signature() {
    let authority = Authority::new("seed");
    let layer = sign(&authority);
    let (payload, promise) = log_entry(&layer);
    // The payload's keys are sorted, which is all that canonical JSON asks of one like it.
    check(authority.logs.first.key().public_der(), payload.to_string().as_bytes(), &promise);

    let body: Value = serde_json::from_slice(&bytes_of(&payload["body"])).unwrap();
    let spec = &body["spec"];
    assert_eq!(spec["data"]["hash"]["value"], Digest::of(&layer.payload).hex());
    assert_eq!(spec["signature"]["content"], layer.annotations[SIGNATURE]);
    let certificate = bytes_of(&spec["signature"]["publicKey"]["content"]);
    assert_eq!(certificate, layer.annotations[CERTIFICATE].as_bytes());
}

#[test]
fn a_bundle_carries_a_checkpoint_over_the_root_that_its_proof_names() {
    let authority = Authority::new("seed");
    let bundle = authority.sign_message_bundle(b"artifact", &release());
    let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
    let proof = &entry["inclusionProof"];
    let envelope = proof["checkpoint"]["envelope"].as_str().unwrap();

    let (note, signatures) = envelope.split_once("\n\n").unwrap();
    let lines: Vec<&str> = note.lines().collect();
    assert_eq!(lines[1..], [proof["treeSize"].as_str().unwrap(), proof["rootHash"].as_str().unwrap()]);
    let signature = BASE64.decode(signatures.trim_end().rsplit(' ').next().unwrap()).unwrap();
    let log = &authority.logs.first;
    assert_eq!(signature[..4], log.id()[..4]);
    check(log.key().public_der(), format!("{note}\n").as_bytes(), &signature[4..]);

    let index: u64 = proof["logIndex"].as_str().unwrap().parse().unwrap();
    let size: u64 = proof["treeSize"].as_str().unwrap().parse().unwrap();
    assert_eq!(index, size - 1, "the last entry, when it was proven at once");
    assert!(!proof["hashes"].as_array().unwrap().is_empty());
}

#[test]
fn the_trust_root_names_the_parties_and_no_stranger() {
    let authority = Authority::new("seed");
    let root: Value = serde_json::from_str(&authority.trusted_root()).unwrap();
    let Logs { first, second } = &authority.logs;
    let ctlog = authority.certificate_log.key();
    let expected = [
        ("/ctlogs/0", &ctlog.log_id(), ctlog.spki(), "PKIX_ECDSA_P256_SHA_256"),
        ("/tlogs/0", first.id(), first.key().public_der(), "PKIX_ECDSA_P256_SHA_256"),
        ("/tlogs/1", second.id(), second.key().public_der(), "PKIX_ED25519"),
    ];
    for (pointer, id, key, details) in expected {
        let log = root.pointer(pointer).unwrap();
        assert_eq!(bytes_of(&log["logId"]["keyId"]), id);
        assert_eq!(bytes_of(&log["publicKey"]["rawBytes"]), key);
        assert_eq!(log["publicKey"]["keyDetails"], details);
        assert_eq!(log["publicKey"]["validFor"]["start"], "2026-01-01T00:00:00Z");
    }
    let sizes = ["ctlogs", "tlogs", "certificateAuthorities", "timestampAuthorities"];
    assert_eq!(sizes.map(|list| root[list].as_array().unwrap().len()), [1, 2, 1, 1]);
    let chain = &root["certificateAuthorities"][0]["certChain"]["certificates"];
    let chain: Vec<Vec<u8>> =
        chain.as_array().unwrap().iter().map(|certificate| bytes_of(&certificate["rawBytes"])).collect();
    assert_eq!(chain, authority.certificates.chain());
}

#[test]
fn an_attack_still_names_the_image_that_it_is_made_for() {
    let authority = Authority::new("seed");
    for attack in Attack::ALL {
        let layer = authority.sign_with(&image(), "app", &release(), attack);
        let document: Value = serde_json::from_slice(&layer.payload).unwrap();
        let named = &document["critical"]["image"]["docker-manifest-digest"];
        assert_eq!(*named, image().to_string(), "{attack:?}");
    }
}

#[test]
fn threads_that_sign_at_once_get_entries_of_their_own() {
    let authority = Authority::new("seed");
    let mut indexes: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| log_entry(&sign(&authority)).0["logIndex"].as_u64().unwrap()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    indexes.sort_unstable();
    indexes.dedup();
    assert_eq!(indexes.len(), 4);
}
