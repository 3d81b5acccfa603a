//! A trust root made of the keys that an object of policies holds.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use policies::{AuthorityKeys, LogKey, SigstoreKeys};
use serde_json::{Value, json};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::spki::SubjectPublicKeyInfoRef;

use super::{InvalidTrustRoot, MEDIA_TYPE, TrustRoot};

impl TrustRoot {
    /// The root of these authorities and logs. Logs are known by the hash of their key, as everywhere else.
    ///
    /// # Errors
    /// As [`TrustRoot::from_json`].
    pub fn from_keys(keys: &SigstoreKeys) -> Result<Self, InvalidTrustRoot> {
        Self::from_json(&document(keys).to_string())
    }
}

/// The `trusted_root.json` that says the same.
fn document(keys: &SigstoreKeys) -> Value {
    let authorities = |list: &[AuthorityKeys]| list.iter().map(authority).collect::<Vec<_>>();
    let logs = |list: &[LogKey]| list.iter().map(log).collect::<Vec<_>>();
    json!({
        "mediaType": format!("{MEDIA_TYPE}+json;version=0.1"),
        "tlogs": logs(&keys.transparency_logs),
        "certificateAuthorities": authorities(&keys.certificate_authorities),
        "ctlogs": logs(&keys.certificate_logs),
        "timestampAuthorities": authorities(&keys.timestamp_authorities),
    })
}

fn authority(authority: &AuthorityKeys) -> Value {
    let certificates: Vec<_> =
        authority.chain.iter().map(|der| json!({"rawBytes": STANDARD.encode(der)})).collect();
    json!({
        "subject": {"organization": authority.organization, "commonName": authority.common_name},
        "uri": authority.uri,
        "certChain": {"certificates": certificates},
        "validFor": {"start": "1970-01-01T00:00:00Z"},
    })
}

fn log(log: &LogKey) -> Value {
    json!({
        "baseUrl": log.base_url,
        "hashAlgorithm": log.hash_algorithm,
        "publicKey": {
            "rawBytes": STANDARD.encode(&log.key),
            "keyDetails": details(&log.key).unwrap_or("PUBLIC_KEY_DETAILS_UNSPECIFIED"),
            "validFor": {"start": "1970-01-01T00:00:00Z"},
        },
        "logId": {"keyId": STANDARD.encode(digest(&SHA256, &log.key))},
    })
}

/// What a key is, as the Sigstore protocol names it.
fn details(key: &[u8]) -> Option<&'static str> {
    const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
    const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
    const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
    let info = SubjectPublicKeyInfoRef::from_der(key).ok()?;
    match info.algorithm.oid {
        ED25519 => Some("PKIX_ED25519"),
        EC => match info.algorithm.parameters_oid().ok()?.to_string().as_str() {
            "1.2.840.10045.3.1.7" => Some("PKIX_ECDSA_P256_SHA_256"),
            "1.3.132.0.34" => Some("PKIX_ECDSA_P384_SHA_384"),
            "1.3.132.0.35" => Some("PKIX_ECDSA_P521_SHA_512"),
            _ => None,
        },
        // By the length of the whole, which differs from that of the modulus by a few bytes.
        RSA => match usize::try_from(info.encoded_len().ok()?).ok()? {
            256..384 => Some("PKIX_RSA_PKCS1V15_2048_SHA256"),
            384..512 => Some("PKIX_RSA_PKCS1V15_3072_SHA256"),
            512..640 => Some("PKIX_RSA_PKCS1V15_4096_SHA256"),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use testkit::authority::{KeyKind, ManagedKey};

    use super::*;

    /// The folder of what policy-controller publishes; `None` where it is not there. In CI that is a failure.
    fn shared() -> Option<PathBuf> {
        let root = std::env::var_os("COUNTERSIGN_SHARED")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
        let path = root.join("data/policy-controller/pkg/reconciler/trustroot/testdata");
        assert!(path.exists() || std::env::var_os("CI").is_none(), "{} is missing", path.display());
        path.exists().then_some(path)
    }

    fn ders(path: PathBuf) -> Vec<Vec<u8>> {
        let blocks = pem::parse_many(std::fs::read(path).unwrap()).unwrap();
        blocks.into_iter().map(pem::Pem::into_contents).collect()
    }

    #[test]
    fn it_is_what_policy_controller_makes_of_the_same_keys_but_for_the_names_of_logs() {
        let Some(folder) = shared() else { return };
        let authority = |name: &str, file: &str| AuthorityKeys {
            organization: format!("{name}-organization"),
            common_name: format!("{name}-common-name"),
            uri: format!("https://{name}.example.com"),
            chain: ders(folder.join(file)),
        };
        let log = |name: &str, file: &str| LogKey {
            base_url: format!("https://{name}.example.com"),
            hash_algorithm: "SHA2_256",
            key: ders(folder.join(file)).remove(0),
        };
        let keys = SigstoreKeys {
            certificate_authorities: vec![authority("fulcio", "fulcioCertChain.pem")],
            transparency_logs: vec![log("rekor", "rekorPublicKey.pem")],
            certificate_logs: vec![log("ctfe", "ctfePublicKey.pem")],
            timestamp_authorities: vec![authority("tsa", "tsaCertChain.pem")],
        };
        let golden = std::fs::read_to_string(folder.join("marshalledEntry.json")).unwrap();
        let mut golden: Value = serde_json::from_str(&golden).unwrap();
        for list in ["tlogs", "ctlogs"] {
            // It writes the name in hexadecimal, as if that were its bytes.
            let id = &mut golden[list][0]["logId"]["keyId"];
            let hexadecimal = STANDARD.decode(id.as_str().unwrap()).unwrap();
            *id = STANDARD.encode(hex::decode(hexadecimal).unwrap()).into();
        }
        assert_eq!(document(&keys), golden);
    }

    #[test]
    fn logs_may_have_keys_of_every_kind() {
        for kind in [KeyKind::EcdsaP256, KeyKind::Ed25519] {
            let key = ManagedKey::generate(kind);
            let log = LogKey {
                base_url: "https://log.example".to_owned(),
                hash_algorithm: "SHA2_256",
                key: key.public_der().to_vec(),
            };
            let keys = SigstoreKeys { transparency_logs: vec![log], ..SigstoreKeys::default() };
            let root = TrustRoot::from_keys(&keys).unwrap();
            assert!(root.knows_log(digest(&SHA256, key.public_der()).as_ref()), "{kind:?}");
        }
    }
}
