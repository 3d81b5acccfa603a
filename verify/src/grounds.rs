//! What some material is checked against.

use oci::{Algorithm, Digest, Hasher};
use policies::{Profile, PublicKey};

use crate::TrustRoot;

/// What some material is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Grounds<'a> {
    /// Whom to believe.
    pub trust_root: &'a TrustRoot,
    /// Which checks are demanded.
    pub profile: Profile,
    /// The key that must have signed; without one, a certificate must vouch for the signer.
    pub key: Option<&'a PublicKey>,
}

impl<'a> Grounds<'a> {
    /// Grounds on which a certificate vouches for the signer.
    pub fn keyless(trust_root: &'a TrustRoot, profile: Profile) -> Self {
        Self { trust_root, profile, key: None }
    }

    /// Grounds on which whoever holds a key is the signer. Of the trust root, the logs and timestamp
    /// authorities count.
    pub fn key(key: &'a PublicKey, trust_root: &'a TrustRoot, profile: Profile) -> Self {
        Self { trust_root, profile, key: Some(key) }
    }

    /// A digest that no other grounds have: part of the key that facts are remembered under.
    pub fn id(&self) -> Digest {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(self.trust_root.id().hash());
        hasher.update(self.profile.name().as_bytes());
        if let Some(key) = self.key {
            // No name of a profile has a line feed in it, so no other grounds spell the same.
            hasher.update(b"\n");
            hasher.update(key.id().hash());
            hasher.update(key.hash.as_str().as_bytes());
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use policies::{Demand, HashAlgorithm, LogDemand};

    use super::*;

    #[test]
    fn whatever_could_change_facts_distinguishes_grounds() {
        let (public_good, staging) = (TrustRoot::public_good().unwrap(), TrustRoot::staging().unwrap());
        let key = |der: &'static [u8], hash| PublicKey { der: der.into(), hash };
        let (key, other, rehashed) = (
            key(b"key", HashAlgorithm::Sha256),
            key(b"other", HashAlgorithm::Sha256),
            key(b"key", HashAlgorithm::Sha512),
        );
        let no_log = Profile { log: LogDemand::Nothing, ..Profile::STRICT };
        let no_sct = Profile { certificate_timestamp: Demand::NotRequired, ..Profile::STRICT };
        let all = [
            Grounds::keyless(&public_good, Profile::STRICT),
            Grounds::keyless(&staging, Profile::STRICT),
            Grounds::keyless(&public_good, no_log),
            Grounds::keyless(&public_good, no_sct),
            Grounds::key(&key, &public_good, Profile::STRICT),
            Grounds::key(&key, &public_good, no_log),
            Grounds::key(&key, &staging, Profile::STRICT),
            Grounds::key(&other, &public_good, Profile::STRICT),
            Grounds::key(&rehashed, &public_good, Profile::STRICT),
        ];
        for (index, grounds) in all.iter().enumerate() {
            assert_eq!(grounds.id(), grounds.id());
            assert!(all[..index].iter().all(|other| other.id() != grounds.id()), "{index}");
        }
    }
}
