//! The check itself: material in, facts out.

use std::panic::{AssertUnwindSafe, catch_unwind};

use policies::{Facts, Finding, Flaw, FlawKind, LogDemand, Signature};

use crate::claimed::{self, Entries};
use crate::flaw::flaw;
use crate::legacy_bundle::Under;
use crate::{Grounds, Material, by_certificate, by_key};

/// Which verifier found some facts: part of the key that they are remembered under.
///
/// The number in front goes up with every change in this crate by which any material could be found otherwise
/// than before, be it only in words. The rest is the library and its version. Facts under another build are
/// found anew, from material that is at hand.
pub const BUILD: &str = "7+sigstore-verify-0.15.1";

/// What cryptography says of some material: who signed what, or why it vouches for nothing.
///
/// Takes about a millisecond of CPU and asks nobody. It never unwinds, whatever the material is: material
/// that the library fails on is a flaw, so one hostile signature cannot keep the others of an image from
/// being judged.
pub fn check(material: &Material, grounds: &Grounds<'_>) -> Facts {
    // The closure only reads, so a half-done check leaves nothing behind that another could see.
    let outcome = catch_unwind(AssertUnwindSafe(|| signature(material, grounds)));
    let failed = |_| Err(flaw(FlawKind::Unsupported, "the verifier failed on it"));
    Facts {
        material: material.digest(),
        finding: match outcome.unwrap_or_else(failed) {
            Ok(signature) => Finding::Signed(signature),
            Err(flaw) => Finding::Flawed(flaw),
        },
    }
}

fn signature(material: &Material, grounds: &Grounds<'_>) -> Result<Signature, Flaw> {
    let Grounds { trust_root, profile, key } = *grounds;
    let Some(key) = key else {
        let claimed = claimed::read(material, Under::Certificate, Entries::Read)?;
        return by_certificate::verify(claimed, trust_root, profile);
    };
    let entries = match profile.log {
        LogDemand::Nothing => Entries::Ignored,
        LogDemand::Entry | LogDemand::Proof => Entries::Read,
    };
    by_key::verify(claimed::read(material, Under::Key, entries)?, key, trust_root, profile)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use policies::Profile;

    use super::*;
    use crate::TrustRoot;

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
        for material in [
            Material::simple_signing("{}".into(), BTreeMap::new()),
            Material::envelope("{}".into(), BTreeMap::new()),
            Material::bundle("{}".into()),
        ] {
            let material = material.unwrap();
            let facts = check(&material, &Grounds::keyless(&trust_root, Profile::STRICT));
            assert_eq!(facts.material, material.digest());
            assert!(matches!(facts.finding, Finding::Flawed(flaw) if flaw.kind == FlawKind::Malformed));
        }
    }
}
