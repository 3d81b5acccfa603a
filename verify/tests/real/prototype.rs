//! Signatures of an authority of our own: a sound one, and forgeries that only whoever has its keys could
//! make.

use policies::FlawKind;
use verify::{Artifact, Expected, Material, TrustRoot, verify_bundle};

use crate::shared::{annotations, folder, json, material, refused, signed, text};

fn minted(name: &str) -> Option<(Material, TrustRoot)> {
    let folder = folder("minted-prototype")?;
    let minted = json(&folder.join(name));
    let payload = text(&folder.join("payload.json"));
    let trust_root = TrustRoot::from_json(&text(&folder.join("trusted_root.json"))).unwrap();
    Some((material(payload, annotations(&minted["annotations"])), trust_root))
}

#[test]
fn a_root_of_ones_own_vouches_for_its_signatures() {
    let Some((material, trust_root)) = minted("legacy-good.json") else {
        return;
    };
    let signature = signed(&material, &trust_root);
    assert_eq!(signature.signer.identity().unwrap().issuer, "https://token.actions.githubusercontent.com");
    let subject = "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1.2.3";
    assert_eq!(signature.signer.identity().unwrap().subjects, [subject]);
    refused(&material, &TrustRoot::public_good().unwrap(), FlawKind::LogEntry);
}

#[test]
fn the_log_entry_of_another_signature_by_the_same_key_is_refused() {
    let Some((material, trust_root)) = minted("legacy-swap.json") else {
        return;
    };
    refused(&material, &trust_root, FlawKind::LogEntry);
}

#[test]
fn a_certificate_that_no_log_promised_to_publish_is_refused() {
    let Some((material, trust_root)) = minted("legacy-nosct.json") else {
        return;
    };
    refused(&material, &trust_root, FlawKind::CertificateTimestamp);
}

#[test]
fn bundles_of_ones_own_are_sound_or_forged_as_they_are_said_to_be() {
    let Some(folder) = folder("minted-prototype") else {
        return;
    };
    let mut seen = 0;
    for folder in [folder.clone(), folder.join("evil-log")] {
        for vector in json(&folder.join("index.json")).as_array().unwrap() {
            let part = |name: &str| folder.join(vector[name].as_str().unwrap());
            let root = TrustRoot::from_json(&text(&part("trusted_root"))).unwrap();
            let artifact = Artifact::Bytes(text(&part("artifact")).into());
            let (subject, issuer) =
                (vector["identity"].as_str().unwrap(), vector["issuer"].as_str().unwrap());
            let verified = |subject| {
                let expected = Expected::Identity { subject, issuer };
                verify_bundle(&artifact, text(&part("bundle")).as_bytes(), expected, &root)
            };
            assert_eq!(verified(subject).is_ok(), vector["expect"] == "pass", "{vector}");
            assert!(verified("somebody else").is_err());
            seen += 1;
        }
    }
    assert_eq!(seen, 5);
}
