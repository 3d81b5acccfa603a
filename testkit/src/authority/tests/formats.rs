//! Attestations, bundles, both generations of logs, and timestamps.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use cms::content_info::ContentInfo;
use cms::signed_data::SignedData;
use der::asn1::OctetString;
use der::{Reader, SliceReader};
use oci::Digest;
use serde_json::json;

use super::*;
use crate::authority::annotations::{PREDICATE_TYPE, TIMESTAMP};

const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

fn attestation() -> Recipe {
    Recipe::statement(Statement::new(&image(), PROVENANCE, json!({"a": 1}))).by(&release())
}

fn body(entry: &Value) -> Value {
    serde_json::from_slice(&bytes_of(&entry["canonicalizedBody"])).unwrap()
}

#[test]
fn an_attestation_is_an_envelope_that_is_signed_and_recorded() {
    let authority = Authority::new("seed");
    let layer = authority.mint(&attestation()).layer();
    assert_eq!((&layer.annotations[SIGNATURE][..], &layer.annotations[PREDICATE_TYPE][..]), ("", PROVENANCE));
    let envelope: Value = serde_json::from_slice(&layer.payload).unwrap();
    let (payload, kind) = (bytes_of(&envelope["payload"]), envelope["payloadType"].as_str().unwrap());
    let signed = [format!("DSSEv1 28 {kind} {} ", payload.len()).as_bytes(), &payload].concat();
    check(&spki(&leaf(&layer)), &signed, &bytes_of(&envelope["signatures"][0]["sig"]));

    let (entry, _) = log_entry(&layer);
    let body: Value = serde_json::from_slice(&bytes_of(&entry["body"])).unwrap();
    assert_eq!((body["kind"].as_str(), body["apiVersion"].as_str()), (Some("dsse"), Some("0.0.1")));
    assert_eq!(body["spec"]["envelopeHash"]["value"], Digest::of(&layer.payload).hex());
    assert_eq!(body["spec"]["payloadHash"]["value"], Digest::of(&payload).hex());
    assert_eq!(body["spec"]["signatures"][0]["signature"], envelope["signatures"][0]["sig"]);
}

#[test]
fn every_kind_of_entry_says_what_it_is() {
    let authority = Authority::new("seed");
    for record in [Record::DsseV001, Record::IntotoV001, Record::IntotoV002, Record::HashedRekordV002] {
        let bundle = authority.mint(&attestation().recorded(record)).bundle(BundleVersion::V03);
        let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
        let (kind, version) = record.kind().unwrap();
        assert_eq!(entry["kindVersion"], json!({"kind": kind, "version": version}));
        let body = body(entry);
        assert_eq!((body["kind"].as_str(), body["apiVersion"].as_str()), (Some(kind), Some(version)));
    }
}

#[test]
fn the_second_generation_promises_nothing_and_signs_its_checkpoints_with_ed25519() {
    let authority = Authority::new("seed");
    let recipe = Recipe::message(&b"artifact"[..]).recorded(Record::HashedRekordV002);
    let bundle = authority.mint(&recipe).bundle(BundleVersion::V03);
    let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
    assert_eq!(entry.get("integratedTime").or_else(|| entry.get("inclusionPromise")), None);
    assert_eq!(entry["logIndex"], entry["inclusionProof"]["logIndex"]);

    let envelope = entry["inclusionProof"]["checkpoint"]["envelope"].as_str().unwrap();
    let (note, signatures) = envelope.split_once("\n\n").unwrap();
    let signature = BASE64.decode(signatures.trim_end().rsplit(' ').next().unwrap()).unwrap();
    let log = &authority.logs.second;
    assert_eq!(signature[..4], log.id()[..4]);
    let (_, key) = log.key().public_der().split_at(12);
    let key = UnparsedPublicKey::new(&ED25519, key);
    key.verify(format!("{note}\n").as_bytes(), &signature[4..]).unwrap();
}

/// The statement of a timestamp authority, once its signature was checked.
fn stamped(authority: &Authority, answer: &[u8]) -> Vec<u8> {
    // The answer is a status, and the token behind it.
    let mut reader = SliceReader::new(answer).unwrap();
    let token = reader
        .sequence(|reader| {
            reader.sequence(|status| status.decode::<u8>())?;
            reader.decode::<ContentInfo>()
        })
        .unwrap();
    let signed: SignedData = token.content.decode_as().unwrap();
    let statement = signed.encap_content_info.econtent.unwrap().decode_as::<OctetString>().unwrap();
    let signer = signed.signer_infos.0.get(0).unwrap();
    let attributes = signer.signed_attrs.as_ref().unwrap();
    let digest = attributes.iter().find(|attribute| attribute.oid.to_string() == "1.2.840.113549.1.9.4");
    let digest: OctetString = digest.unwrap().values.get(0).unwrap().decode_as().unwrap();
    assert_eq!(digest.as_bytes(), Digest::of(statement.as_bytes()).hash());
    let certificate = Certificate::from_der(authority.timestamps.chain()[0]).unwrap();
    check(&spki(&certificate), &attributes.to_der().unwrap(), signer.signature.as_bytes());
    statement.into_bytes()
}

#[test]
fn a_timestamp_is_of_the_signature_but_beside_an_envelope_of_the_envelope() {
    let authority = Authority::new("seed");
    let names = |answer: &[u8], stamped_bytes: &[u8]| {
        let statement = stamped(&authority, answer);
        let hash = Digest::of(stamped_bytes);
        statement.windows(32).any(|window| window == hash.hash())
    };
    let beside = |layer: &SignedLayer| {
        let answer: Value = serde_json::from_str(&layer.annotations[TIMESTAMP]).unwrap();
        bytes_of(&answer["SignedRFC3161Timestamp"])
    };
    let minted = authority.mint(&attestation().stamped());
    let bundle = minted.bundle(BundleVersion::V03);
    let answers = &bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"];
    let signature = bytes_of(&bundle["dsseEnvelope"]["signatures"][0]["sig"]);
    assert!(names(&bytes_of(&answers[0]["signedTimestamp"]), &signature));
    assert!(names(&beside(&minted.layer()), &minted.layer().payload));

    let layer = authority.mint(&Recipe::image(&image(), "app").stamped()).layer();
    assert!(names(&beside(&layer), &BASE64.decode(&layer.annotations[SIGNATURE]).unwrap()));
}

#[test]
fn a_key_signs_without_a_certificate_and_its_bundle_hints_at_it() {
    let authority = Authority::new("seed");
    let key = ManagedKey::seeded("a managed key");
    let recipe = Recipe::image(&image(), "app").by_key(&key);
    let layer = authority.mint(&recipe).layer();
    assert!(!layer.annotations.contains_key(CERTIFICATE) && !layer.annotations.contains_key(CHAIN));
    check(key.public_der(), &layer.payload, &BASE64.decode(&layer.annotations[SIGNATURE]).unwrap());
    assert!(!authority.mint(&recipe.recorded(Record::Nowhere)).layer().annotations.contains_key(BUNDLE));

    for version in BundleVersion::ALL {
        let bundle = authority.mint(&attestation().by_key(&key)).bundle(version);
        let hint = bytes_of(&bundle["verificationMaterial"]["publicKey"]["hint"]);
        assert_eq!(hint, Digest::of(key.public_der()).hash());
    }
}

#[test]
fn every_attack_is_told_once_and_fits_something() {
    let recipes = [
        Recipe::image(&image(), "app").stamped(),
        Recipe::image(&image(), "app").recorded(Record::HashedRekordV002).stamped(),
    ];
    let every: Vec<_> = Attack::every().collect();
    assert!((1..every.len()).all(|index| !every[..index].contains(&every[index])));
    assert!(every.iter().all(|attack| recipes.iter().any(|recipe| attack.fits(recipe))));
    assert!(Attack::ALL.iter().all(|attack| attack.fits(&Recipe::image(&image(), "app"))));
    let bare = Recipe::message(&b"artifact"[..]).by_key(&ManagedKey::seeded("key")).recorded(Record::Nowhere);
    let left: Vec<_> = every.iter().filter(|attack| attack.fits(&bare)).collect();
    assert_eq!(left, [&Attack::SignedByAnotherKey, &Attack::EditedPayload]);
}
