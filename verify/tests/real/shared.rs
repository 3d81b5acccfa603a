//! Where the data is, and how a piece of it becomes material.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use oci::Verified;
use policies::{Facts, Finding, FlawKind, Profile, Signature};
use serde_json::Value;
use verify::{Candidate, CandidateKind, Grounds, Material, TrustRoot, check};

pub(crate) const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
pub(crate) const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
pub(crate) const BUNDLE: &str = "dev.sigstore.cosign/bundle";

pub(crate) type Annotations = BTreeMap<String, String>;

/// A folder of the shared data. Without it a test says that it was skipped; in continuous integration it
/// fails.
pub(crate) fn folder(path: &str) -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let root = std::env::var_os("COUNTERSIGN_SHARED").unwrap_or_else(|| beside.into());
    let folder = Path::new(&root).join("data").join(path);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "{path} is not there");
    eprintln!("skipped: {path} is not there");
    None
}

pub(crate) fn text(path: &Path) -> String {
    if path.extension().is_some_and(|extension| extension == "gz") {
        let output = Command::new("gzip").arg("-dc").arg(path).output().unwrap();
        assert!(output.status.success(), "{}", path.display());
        return String::from_utf8(output.stdout).unwrap();
    }
    std::fs::read_to_string(path).unwrap()
}

pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_str(&text(path)).unwrap()
}

/// What lies in a folder, in order of name.
pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

pub(crate) fn annotations(value: &Value) -> Annotations {
    serde_json::from_value(value.clone()).unwrap()
}

pub(crate) fn material(payload: impl AsRef<[u8]>, annotations: Annotations) -> Material {
    of_kind(CandidateKind::SimpleSigning, payload, annotations)
}

pub(crate) fn of_kind(kind: CandidateKind, payload: impl AsRef<[u8]>, annotations: Annotations) -> Material {
    let payload = Verified::of(Bytes::copy_from_slice(payload.as_ref()));
    let size = payload.bytes().len() as u64;
    let candidate = Candidate { kind, payload: payload.digest(), size, annotations };
    candidate.material(payload).unwrap()
}

/// What a check finds, of the material and of what comes back when it is kept and read again.
pub(crate) fn facts(material: &Material, grounds: &Grounds<'_>) -> Facts {
    let kept = Material::decode(&material.encode()).unwrap();
    assert_eq!(&kept, material);
    check(&kept, grounds)
}

#[track_caller]
pub(crate) fn signed(material: &Material, trust_root: &TrustRoot) -> Signature {
    signed_on(material, &Grounds::keyless(trust_root, Profile::STRICT))
}

#[track_caller]
pub(crate) fn signed_on(material: &Material, grounds: &Grounds<'_>) -> Signature {
    match facts(material, grounds).finding {
        Finding::Signed(signature) => signature,
        Finding::Flawed(flaw) => panic!("{flaw:?}"),
    }
}

#[track_caller]
pub(crate) fn refused(material: &Material, trust_root: &TrustRoot, kind: FlawKind) {
    refused_on(material, &Grounds::keyless(trust_root, Profile::STRICT), kind);
}

#[track_caller]
pub(crate) fn refused_on(material: &Material, grounds: &Grounds<'_>, kind: FlawKind) {
    match facts(material, grounds).finding {
        Finding::Signed(signature) => panic!("accepted: {signature:?}"),
        Finding::Flawed(flaw) => assert_eq!(flaw.kind, kind, "{}", flaw.detail),
    }
}
