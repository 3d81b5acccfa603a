//! Material that somebody made to break the verifier, or to be taken for somebody else's.

use policies::{Finding, Profile};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use verify::{CandidateKind, Grounds, Material, TrustRoot, check};

use crate::attestations;
use crate::legacy::{Sample, samples};
use crate::shared::{Annotations, annotations, folder, json, material, of_kind, signed, text};

/// How some bytes are damaged.
#[derive(Clone, Debug)]
enum Damage {
    Set(Index, u8),
    Cut(Index),
    Repeat(Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(br#"{}[]",:=0Aa/-"#.to_vec())];
    prop_oneof![
        4 => (any::<Index>(), byte).prop_map(|(at, byte)| Damage::Set(at, byte)),
        1 => any::<Index>().prop_map(Damage::Cut),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Damage::Repeat(from, to)),
    ]
}

fn apply(damage: &Damage, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    match damage {
        Damage::Set(at, byte) => {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        Damage::Cut(at) => bytes.truncate(at.index(bytes.len())),
        Damage::Repeat(from, to) => {
            let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
            bytes.extend_from_within(from.min(to)..from.max(to));
        }
    }
}

/// Damages the payload, an annotation, or what lies in Base64 within one.
fn damaged(sample: &Sample, part: Index, damages: &[Damage]) -> Sample {
    let mut sample = sample.clone();
    let names: Vec<_> = sample.annotations.keys().cloned().collect();
    match part.index(names.len() * 2 + 1).checked_sub(1) {
        None => damages.iter().for_each(|damage| apply(damage, &mut sample.payload)),
        Some(part) => {
            let value = sample.annotations.get_mut(&names[part / 2]).unwrap();
            let inner = (part % 2 == 1).then(|| innermost(value)).flatten();
            match inner {
                Some((start, end)) => {
                    let decoded = base64(&value[start..end]);
                    let mut decoded = decoded.unwrap();
                    damages.iter().for_each(|damage| apply(damage, &mut decoded));
                    value.replace_range(start..end, &encoded(&decoded));
                }
                None => {
                    let mut bytes = std::mem::take(value).into_bytes();
                    damages.iter().for_each(|damage| apply(damage, &mut bytes));
                    *value = String::from_utf8_lossy(&bytes).into_owned();
                }
            }
        }
    }
    sample
}

/// The longest stretch of Base64 in a text, without line feeds: a body, a key or a signature.
fn innermost(text: &str) -> Option<(usize, usize)> {
    let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let runs = text.as_bytes().split(|byte| !base64(byte));
    let longest = runs.max_by_key(|run| run.len()).filter(|run| run.len() >= 32)?;
    let start = longest.as_ptr() as usize - text.as_ptr() as usize;
    let end = start + longest.len();
    self::base64(&text[start..end]).map(|_| (start, end))
}

fn base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

fn encoded(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Whatever is done to a signature, it is refused or still says just what it said.
fn holds(sample: &Sample, kind: CandidateKind, trust_root: &TrustRoot, cases: u32) {
    let of = |sample: &Sample| of_kind(kind, &sample.payload, sample.annotations.clone());
    let original = signed(&of(sample), trust_root);
    let inputs = (any::<Index>(), prop::collection::vec(damage(), 1..4));
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&inputs, |(part, damages)| {
        match check(&of(&damaged(sample, part, &damages)), &Grounds::keyless(trust_root, Profile::STRICT))
            .finding
        {
            Finding::Signed(signature) => prop_assert_eq!(&signature, &original),
            // That is what is said of a panic.
            Finding::Flawed(flaw) => prop_assert_ne!(flaw.detail, "the verifier failed on it"),
        }
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn a_damaged_signature_is_refused_or_says_what_it_said() {
    let Some(samples) = samples() else { return };
    let trust_root = TrustRoot::public_good().unwrap();
    std::thread::scope(|scope| {
        for sample in [&samples[0], &samples[9]] {
            let trust_root = &trust_root;
            scope.spawn(move || holds(sample, CandidateKind::SimpleSigning, trust_root, 1024));
        }
    });
}

#[test]
fn a_damaged_attestation_is_refused_or_says_what_it_said() {
    let Some(samples) = attestations::samples() else { return };
    let trust_root = TrustRoot::public_good().unwrap();
    std::thread::scope(|scope| {
        for sample in &samples {
            let trust_root = &trust_root;
            scope.spawn(move || holds(sample, CandidateKind::Envelope, trust_root, 512));
        }
    });
}

#[test]
fn a_damaged_bundle_is_refused_or_says_what_it_said() {
    let Some(folder) = folder("real-images/bundles-v0.3") else {
        return;
    };
    let trust_root = TrustRoot::public_good().unwrap();
    let json = text(&folder.join("kubewarden-controller-v1.34.0/bundle.original.sigstore.json"));
    let of = |json: &[u8]| of_kind(CandidateKind::Bundle, json, Annotations::new());
    let original = signed(&of(json.as_bytes()), &trust_root);
    let inputs = (any::<bool>(), prop::collection::vec(damage(), 1..4));
    let mut runner = TestRunner::new(Config { cases: 1024, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&inputs, |(within, damages)| {
        let mut bytes = json.clone().into_bytes();
        let part = within.then(|| damages.iter().find_map(|damage| stretch(&json, damage))).flatten();
        match part {
            Some((start, end)) => {
                let mut inner = base64(&json[start..end]).unwrap();
                damages.iter().for_each(|damage| apply(damage, &mut inner));
                bytes.splice(start..end, encoded(&inner).into_bytes());
            }
            None => damages.iter().for_each(|damage| apply(damage, &mut bytes)),
        }
        let material = of(&bytes);
        prop_assert_eq!(Material::decode(&material.encode()), Ok(material.clone()));
        match check(&material, &Grounds::keyless(&trust_root, Profile::STRICT)).finding {
            // Whatever is in no signature may be left out, but nothing else may be said.
            Finding::Signed(signature) => {
                prop_assert_eq!(
                    (&signature.signer, &signature.subjects),
                    (&original.signer, &original.subjects)
                );
                prop_assert_eq!(&signature.claim, &original.claim);
            }
            Finding::Flawed(flaw) => prop_assert_ne!(flaw.detail, "the verifier failed on it"),
        }
        Ok(())
    });
    outcome.unwrap();
}

/// Some stretch of Base64 in a text, which one depends on the damage.
fn stretch(text: &str, damage: &Damage) -> Option<(usize, usize)> {
    let (Damage::Set(at, _) | Damage::Cut(at) | Damage::Repeat(at, _)) = damage;
    let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let runs =
        text.as_bytes().split(|byte| !base64(byte)).filter(|run| run.len() >= 32 && run.len() % 4 == 0);
    let runs: Vec<_> = runs.collect();
    let run = runs[at.index(runs.len())];
    let start = run.as_ptr() as usize - text.as_ptr() as usize;
    let end = start + run.len();
    self::base64(&text[start..end]).map(|_| (start, end))
}

#[test]
fn damage_beneath_a_promise_of_ones_own_log_is_survived() {
    let Some(folder) = folder("minted-prototype") else {
        return;
    };
    let trust_root = TrustRoot::from_json(&text(&folder.join("trusted_root.json"))).unwrap();
    let sample = Sample {
        payload: text(&folder.join("payload.json")).into_bytes(),
        annotations: annotations(&json(&folder.join("legacy-good.json"))["annotations"]),
    };
    assert_eq!(sample.material(), material(&sample.payload, sample.annotations.clone()));
    holds(&sample, CandidateKind::SimpleSigning, &trust_root, 256);
}
