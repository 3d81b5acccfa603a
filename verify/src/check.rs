//! The check itself: material in, facts out.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use oci::{Algorithm, Digest, Hasher};
use policies::{Claim, Facts, Finding, Flaw, FlawKind, Profile, Signature, Signer};
use sigstore_verify::types::Bundle;
use sigstore_verify::{VerificationPolicy, VerificationResult};

use crate::flaw::{flaw, of_library};
use crate::material::Kind;
use crate::{Material, TrustRoot, legacy_bundle, signer, simple_signing};

/// Which verifier found some facts: part of the key that they are remembered under.
///
/// The number in front goes up with every change in this crate by which any material could be found otherwise
/// than before, be it only in words. The rest is the library and its version. Facts under another build are found
/// anew, from material that is at hand.
pub const BUILD: &str = "2+sigstore-verify-0.15.1";

/// What some material is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Grounds<'a> {
    /// Whom to believe.
    pub trust_root: &'a TrustRoot,
    /// Which checks are demanded.
    pub profile: Profile,
}

impl Grounds<'_> {
    /// A digest that no other grounds have: part of the key that facts are remembered under.
    pub fn id(&self) -> Digest {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(self.trust_root.id().hash());
        hasher.update(self.profile.name().as_bytes());
        hasher.finish()
    }
}

/// What cryptography says of some material: who signed what, or why it vouches for nothing.
///
/// Takes about a millisecond of CPU and asks nobody. It never unwinds, whatever the material is: material that the
/// library fails on is a flaw, so one hostile signature cannot keep the others of an image from being judged.
pub fn check(material: &Material, grounds: &Grounds<'_>) -> Facts {
    // The closure only reads, so a half-done check leaves nothing behind that another could see.
    let outcome = catch_unwind(AssertUnwindSafe(|| match material.kind() {
        Kind::SimpleSigning { payload, annotations } => simple(payload, annotations, grounds),
    }));
    let failed = |_| Err(flaw(FlawKind::Unsupported, "the verifier failed on it"));
    Facts {
        material: material.digest(),
        finding: match outcome.unwrap_or_else(failed) {
            Ok(signature) => Finding::Signed(signature),
            Err(flaw) => Finding::Flawed(flaw),
        },
    }
}

fn simple(
    payload: &[u8],
    annotations: &BTreeMap<String, String>,
    grounds: &Grounds<'_>,
) -> Result<Signature, Flaw> {
    let subject = simple_signing::subject(payload)?;
    let bundle = legacy_bundle::build(payload, annotations)?;
    let verified = verify(payload, &bundle, grounds)?;
    let certificate = bundle
        .signing_certificate()
        .ok_or_else(|| flaw(FlawKind::Certificate, "there is no signing certificate"))?;
    Ok(Signature {
        subjects: vec![subject],
        claim: Claim::Image,
        signer: Signer::Certificate(signer::read(certificate)?),
        integrated_time: verified.integrated_time().map(|time| time.as_second()),
        timestamps: Vec::new(),
    })
}

/// Has the library verify a bundle, and makes sure that it checked all that the profile demands.
///
/// Whose signature it is does not matter here: that is for policies to judge.
fn verify(artifact: &[u8], bundle: &Bundle, grounds: &Grounds<'_>) -> Result<VerificationResult, Flaw> {
    let policy = VerificationPolicy::any_identity();
    let verified = grounds
        .trust_root
        .verifier()
        .verify(artifact, bundle, &policy)
        .map_err(|error| of_library(&error))?;
    demanded(verified, grounds.profile)
}

/// Passes on what was checked in every respect that the profile demands.
///
/// The library says so only of what it was told to check; a slip in telling it must not pass for a check. It says that
/// the log was verified also where there is no entry, hence the time, which only an entry's promise yields.
fn demanded(verified: VerificationResult, profile: Profile) -> Result<VerificationResult, Flaw> {
    let unchecked = |kind| Err(flaw(kind, "this was not checked"));
    if profile != Profile::STRICT {
        return Err(flaw(FlawKind::Unsupported, "only the strict profile is checked"));
    }
    if !verified.certificate_verified() {
        return unchecked(FlawKind::Certificate);
    }
    if !verified.sct_verified() {
        return unchecked(FlawKind::CertificateTimestamp);
    }
    if !verified.tlog_verified() || verified.integrated_time().is_none() {
        return unchecked(FlawKind::LogEntry);
    }
    Ok(verified)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_names_the_library_that_is_built_in() {
        let pinned = include_str!("../../Cargo.toml")
            .lines()
            .find_map(|line| line.strip_prefix("sigstore-verify = { version = \"="))
            .and_then(|rest| rest.split('"').next())
            .unwrap();
        assert_eq!(BUILD.split_once('+').unwrap().1, format!("sigstore-verify-{pinned}"));
    }

    #[test]
    fn what_is_no_signature_is_flawed() {
        let trust_root = TrustRoot::public_good().unwrap();
        let material = Material::simple_signing("{}".into(), BTreeMap::new()).unwrap();
        let facts = check(&material, &Grounds { trust_root: &trust_root, profile: Profile::STRICT });
        assert_eq!(facts.material, material.digest());
        assert!(matches!(facts.finding, Finding::Flawed(flaw) if flaw.kind == FlawKind::Malformed));
    }
}
