use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;

/// An API server's key, under a name.
struct Signer {
    id: &'static str,
    pair: EcdsaKeyPair,
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

impl Signer {
    fn new(id: &'static str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { id, pair }
    }

    fn key(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        let [x, y] = [x, y].map(|part| URL_SAFE_NO_PAD.encode(part));
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id, "x": x, "y": y})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let text = format!("{}.{}", encoded(header), encoded(claims));
        let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn now() -> u64 {
    crate::clock::seconds_since_1970()
}

fn claims() -> Value {
    json!({
        "iss": "https://kubernetes.default.svc", "aud": ["countersign"], "sub": "system:serviceaccount:payments:app",
        "exp": now() + 600, "nbf": now(), "iat": now(),
        "kubernetes.io": {
            "namespace": "payments", "pod": {"name": "app-1", "uid": "0b4e1c2a"},
            "serviceaccount": {"name": "app", "uid": "1"},
        },
    })
}

fn read(keys: &Value) -> anyhow::Result<ServiceAccounts> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    std::fs::write(&path, keys.to_string()).unwrap();
    ServiceAccounts::read(&config::ServiceAccounts {
        issuer: "https://kubernetes.default.svc".to_owned(),
        audience: "countersign".to_owned(),
        keys: path,
    })
}

#[test]
fn a_token_for_a_pod_says_of_which_namespace_it_is_and_nothing_like_it_is_believed() {
    let (signer, other) = (Signer::new("one"), Signer::new("two"));
    let accounts = read(&json!({"keys": [signer.key(), Signer::new("three").key()]})).unwrap();
    let header = json!({"alg": "ES256", "kid": "one", "typ": "JWT"});
    let namespace = |token: &str| accounts.judge(token);
    let is = Token::Bound("payments".to_owned());
    let refused = |token: &Token| matches!(token, Token::Refused(_));
    assert_eq!(namespace(&signer.sign(&header, &claims())), is);

    let changed = |pointer: &str, value: Value| {
        let mut claims = claims();
        *claims.pointer_mut(pointer).unwrap() = value;
        namespace(&signer.sign(&header, &claims))
    };
    assert_eq!(changed("/aud", json!("countersign")), is);
    assert_eq!(changed("/kubernetes.io/namespace", json!("other")), Token::Bound("other".to_owned()));
    // By so much clocks may differ.
    assert_eq!(changed("/exp", json!(now() - CLOCKS / 2)), is);
    assert_eq!(changed("/nbf", json!(now() + CLOCKS / 2)), is);
    for (pointer, value) in [
        ("/aud", json!(["https://kubernetes.default.svc"])),
        ("/aud", json!(null)),
        ("/exp", json!(now() - 60)),
        ("/exp", json!(null)),
        ("/nbf", json!(now() + 600)),
        ("/kubernetes.io/pod", json!(null)),
        ("/kubernetes.io/namespace", json!(null)),
        ("/kubernetes.io", json!(null)),
    ] {
        assert!(refused(&changed(pointer, value.clone())), "{pointer} {value}");
    }
    for issuer in
        [json!("https://kubernetes.default.svc/"), json!(null), json!(["https://kubernetes.default.svc"])]
    {
        assert_eq!(changed("/iss", issuer.clone()), Token::Foreign, "{issuer}");
    }

    let right = signer.sign(&header, &claims());
    let (signed, signature) = right.rsplit_once('.').unwrap();
    let unsigned = format!("{}.{}.", encoded(&json!({"alg": "none"})), encoded(&claims()));
    for token in [
        &unsigned,
        &format!("{signed}."),
        &format!("{signed}.{}", &signature[..20]),
        // Signed by others, in their own name and in this one's; and by what everybody knows.
        &other.sign(&json!({"alg": "ES256", "kid": "two"}), &claims()),
        &other.sign(&header, &claims()),
        &signer.sign(&json!({"alg": "ES256", "kid": "three"}), &claims()),
        &signer.sign(&json!({"alg": "ES256"}), &claims()),
        &signer.sign(&json!({"alg": "HS256", "kid": "one"}), &claims()),
        &signer.sign(&json!({"alg": "ES384", "kid": "one"}), &claims()),
        &format!("{right}{}", "A".repeat(TOKEN)),
    ] {
        assert!(refused(&namespace(token)), "{token}");
    }
    for text in ["", "..", "a.b.c", "user.name.password"] {
        assert_eq!(namespace(text), Token::Foreign, "{text}");
    }
}

#[test]
fn what_an_rsa_key_signed_is_believed_by_one_algorithm_alone() {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    // That is where the modulus is of an RSAPublicKey (RFC 8017) of this size.
    let modulus = URL_SAFE_NO_PAD.encode(&pair.public_key().as_ref()[9..265]);
    let key = json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "one", "n": modulus, "e": "AQAB"});
    let accounts = read(&json!({"keys": [key]})).unwrap();
    let judged = |by: &'static dyn RsaEncoding, algorithm: &str| {
        let text = format!("{}.{}", encoded(&json!({"alg": algorithm, "kid": "one"})), encoded(&claims()));
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(by, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
        accounts.judge(&format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    };
    assert_eq!(judged(&RSA_PKCS1_SHA256, "RS256"), Token::Bound("payments".to_owned()));
    let others: [(&'static dyn RsaEncoding, &str); 5] = [
        (&RSA_PKCS1_SHA512, "RS512"),
        (&RSA_PSS_SHA256, "PS256"),
        (&RSA_PKCS1_SHA512, "RS256"),
        (&RSA_PKCS1_SHA256, "HS256"),
        (&RSA_PKCS1_SHA256, "ES256"),
    ];
    for (by, algorithm) in others {
        assert!(matches!(judged(by, algorithm), Token::Refused(_)), "{algorithm}");
    }
}

#[test]
fn keys_that_nobody_signs_tokens_with_are_refused() {
    let key = Signer::new("one").key();
    let with = |name: &str, value: Value| {
        let mut key = key.clone();
        key[name] = value;
        read(&json!({"keys": [key]})).err().map(|error| format!("{error:#}"))
    };
    assert_eq!(with("use", json!("sig")), None);
    for (name, value) in [
        ("use", json!("enc")),
        ("alg", json!("ES384")),
        ("alg", json!("HS256")),
        ("crv", json!("P-521")),
        ("kty", json!("oct")),
        ("x", json!("?")),
        ("kid", json!(null)),
    ] {
        let error = with(name, value.clone()).unwrap_or_default();
        assert!(error.contains("registry.serviceAccounts.keys"), "{name} {value}: {error}");
    }
    assert!(read(&json!({"keys": []})).is_err() && read(&json!({})).is_err());
    assert!(
        read(&json!({"keys": vec![key.clone(); 2]})).is_err(),
        "which of two signed a token could not be told"
    );
    assert!(read(&json!({"keys": vec![key; KEYS + 1]})).is_err());
}
