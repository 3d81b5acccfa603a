//! Signatures out of published `cosign verify` output: many, real, and of known signers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use policies::FlawKind;
use serde_json::Value;
use verify::{Material, TrustRoot};

use crate::shared::{
    Annotations, BUNDLE, CERTIFICATE, SIGNATURE, annotations, entries, folder, material, refused, signed,
    text,
};

/// The certificate that a log entry records. The harvest has no annotation with it.
fn logged_certificate(annotations: &Annotations) -> String {
    let entry: Value = serde_json::from_str(&annotations[BUNDLE]).unwrap();
    let decoded = |value: &Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
    let body: Value = serde_json::from_slice(&decoded(&entry["Payload"]["body"])).unwrap();
    String::from_utf8(decoded(&body["spec"]["signature"]["publicKey"]["content"])).unwrap()
}

fn rebuilt(line: &Value) -> Material {
    let mut annotations = annotations(&line["annotations"]);
    annotations.insert(CERTIFICATE.into(), logged_certificate(&annotations));
    material(line["payload"].as_str().unwrap(), annotations)
}

fn holds(line: &str, trust_root: &TrustRoot) {
    let line: Value = serde_json::from_str(line).unwrap();
    let material = rebuilt(&line);
    let signature = signed(&material, trust_root);
    assert_eq!(signature.subjects.len(), 1);
    assert_eq!(line["signed_digest"], signature.subjects[0].to_string());
    assert_eq!(signature.signer.identity().unwrap().subjects.len(), 1);
    assert_eq!(line["san"], signature.signer.identity().unwrap().subjects[0]);
    assert_eq!(line["issuer"], signature.signer.identity().unwrap().issuer);
    assert_eq!(line["integrated_time"].as_i64(), signature.integrated_time);
    assert_eq!(material.claimed_time(), signature.integrated_time);
    for (name, claim) in [
        ("trigger", "githubWorkflowTrigger"),
        ("sha", "githubWorkflowSHA"),
        ("workflow_name", "githubWorkflowName"),
        ("repository", "githubWorkflowRepository"),
        ("ref", "githubWorkflowRef"),
    ] {
        let said = line["github"].get(name).and_then(Value::as_str);
        assert_eq!(said, signature.signer.identity().unwrap().claims.get(claim), "{name}");
    }
}

#[test]
fn every_harvested_signature_is_by_whom_it_is_known_to_be() {
    let Some(folder) = folder("real-images/harvested-signatures") else {
        return;
    };
    let trust_root = TrustRoot::public_good().unwrap();
    let files = entries(&folder).into_iter().filter(|file| file.extension().is_some_and(|end| end == "gz"));
    let lines: Vec<String> =
        files.flat_map(|file| text(&file).lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    assert!(lines.len() >= 1928, "{}", lines.len());
    std::thread::scope(|scope| {
        for half in lines.chunks(lines.len().div_ceil(2)) {
            let trust_root = &trust_root;
            scope.spawn(move || half.iter().for_each(|line| holds(line, trust_root)));
        }
    });
}

#[test]
fn a_payload_that_was_edited_after_signing_is_refused() {
    let Some(folder) = folder("real-images/harvested-signatures") else {
        return;
    };
    let trust_root = TrustRoot::public_good().unwrap();
    let lines = text(&folder.join("NEGATIVE-edited-payload.jsonl"));
    assert_eq!(lines.lines().count(), 12);
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let of = |payload: &str| {
            let annotations =
                [(SIGNATURE, "signature"), (CERTIFICATE, "certificate"), (BUNDLE, "bundle_annotation")].map(
                    |(annotation, name)| (annotation.to_owned(), line[name].as_str().unwrap().to_owned()),
                );
            material(line[payload].as_str().unwrap(), annotations.into())
        };
        refused(&of("edited_payload"), &trust_root, FlawKind::Signature);
        signed(&of("true_payload"), &trust_root);
    }
}
