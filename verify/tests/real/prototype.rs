//! Signatures of an authority of our own: a sound one, and forgeries that only whoever has its keys could make.

use policies::FlawKind;
use verify::{Material, TrustRoot};

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
