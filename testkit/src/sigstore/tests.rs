//! What the services give and what they refuse, asked over HTTP with nothing of theirs but a key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use sha2::{Digest as _, Sha256};
use x509_cert::Certificate;
use x509_cert::der::{DecodePem, Encode};

use super::*;
use crate::authority::{Identity, ManagedKey};

struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{:?}", self.body))
    }
}

async fn start() -> Sigstore {
    Sigstore::start(Arc::new(Authority::new("seed"))).await
}

async fn post(sigstore: &Sigstore, path: &str, token: Option<&str>, body: impl Into<Bytes>) -> Reply {
    let mut request = Request::post(format!("{}{path}", sigstore.url()));
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Reply { status: parts.status.as_u16(), headers: parts.headers, body }
}

fn key() -> ManagedKey {
    ManagedKey::seeded("a client's")
}

fn release() -> Identity {
    Identity::github_workflow("acme/app", "release.yaml@refs/heads/main")
}

fn certificate_request(proven: &str) -> String {
    let proof = BASE64.encode(key().sign(proven.as_bytes()));
    let public = json!({"algorithm": "ECDSA", "content": key().public_pem()});
    json!({"publicKeyRequest": {"publicKey": public, "proofOfPossession": proof}}).to_string()
}

fn hashed_rekord(message: &[u8], signed: &[u8], pem: &str) -> Value {
    json!({
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": hex::encode(Sha256::digest(message))}},
            "signature": {
                "content": BASE64.encode(key().sign(signed)),
                "publicKey": {"content": BASE64.encode(pem)},
            },
        },
    })
}

fn second(message: &[u8], signed: &[u8]) -> Value {
    json!({"hashedRekordRequestV002": {
        "digest": BASE64.encode(Sha256::digest(message)),
        "signature": {
            "content": BASE64.encode(key().sign(signed)),
            "verifier": {
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "publicKey": {"rawBytes": BASE64.encode(key().public_der())},
            },
        },
    }})
}

#[tokio::test]
async fn a_certificate_is_for_the_tokens_holder_who_has_the_key() {
    let sigstore = start().await;
    let (path, token) = ("/api/v2/signingCert", token(&release()));
    let subject = release().subject;
    let request = certificate_request(subject.as_str());
    let given = post(&sigstore, path, Some(&token), request.clone()).await;
    let chain = given.json()["signedCertificateEmbeddedSct"]["chain"]["certificates"].clone();
    assert_eq!((given.status, chain.as_array().map(Vec::len)), (200, Some(3)));
    let leaf = Certificate::from_pem(chain[0].as_str().unwrap()).unwrap();
    let info = leaf.tbs_certificate.subject_public_key_info.to_der().unwrap();
    assert_eq!(info, key().public_der());

    assert_eq!(post(&sigstore, path, None, request.clone()).await.status, 401);
    assert_eq!(post(&sigstore, path, Some("a.b.c"), request).await.status, 401);
    let of_another = certificate_request("https://github.com/acme/other");
    assert_eq!(post(&sigstore, path, Some(&token), of_another).await.status, 400);
    assert_eq!(post(&sigstore, path, Some(&token), "{}").await.status, 400);
}

#[tokio::test]
async fn the_logs_keep_what_is_signed_and_nothing_else() {
    let sigstore = start().await;
    let (first_path, second_path) = ("/api/v1/log/entries", "/api/v2/log/entries");
    let pem = key().public_pem();
    let good = hashed_rekord(b"message", b"message", &pem);
    let kept = post(&sigstore, first_path, None, good.to_string()).await;
    let name = kept.headers[header::ETAG].to_str().unwrap().to_owned();
    let entry = kept.json()[&name].take();
    assert_eq!(kept.status, 201);
    let body = BASE64.decode(entry["body"].as_str().unwrap()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), good, "it is canonical already");
    assert_eq!(entry["verification"]["inclusionProof"]["treeSize"], 38);

    let kept = post(&sigstore, second_path, None, second(b"message", b"message").to_string()).await;
    assert_eq!((kept.status, kept.json()["kindVersion"]["version"].clone()), (201, json!("0.0.2")));

    let mut other_kind = good.clone();
    other_kind["kind"] = "rekord".into();
    let mut other_version = good;
    other_version["apiVersion"] = "0.0.2".into();
    let not_a_key = hashed_rekord(b"message", b"message", "a key");
    for bad in [hashed_rekord(b"message", b"another", &pem), other_kind, other_version, not_a_key] {
        assert_eq!(post(&sigstore, first_path, None, bad.to_string()).await.status, 400, "{bad}");
    }
    let unsigned = second(b"message", b"another").to_string();
    assert_eq!(post(&sigstore, second_path, None, unsigned).await.status, 400);
}

#[tokio::test]
async fn a_stamp_is_given_for_a_plain_question_alone() {
    let sigstore = start().await;
    let path = "/api/v1/timestamp";
    let hash = Sha256::digest(b"a signature");
    // SEQUENCE {1, {{sha256}, OCTET STRING}, nonce 0x1234567}, and the same with the wish for certificates.
    let imprint = [&hex::decode("302f300b0609608648016503040201").unwrap()[..], &[4, 32], &hash].concat();
    let question = |rest: &[u8]| {
        let content = [&[2, 1, 1][..], &imprint, rest].concat();
        [&[0x30, u8::try_from(content.len()).unwrap()][..], &content].concat()
    };
    let nonce = [2, 4, 1, 0x23, 0x45, 0x67];
    let stamp = post(&sigstore, path, None, question(&nonce)).await;
    assert_eq!(stamp.status, 201);
    for part in [&hash[..], &nonce] {
        assert!(stamp.body.windows(part.len()).any(|window| window == part), "{:02x?}", stamp.body);
    }
    assert_eq!(post(&sigstore, path, None, question(&[1, 1, 0xff])).await.status, 400);
    assert_eq!(post(&sigstore, path, None, "a question").await.status, 400);
}

#[tokio::test]
async fn what_is_no_service_or_too_long_is_refused() {
    let sigstore = start().await;
    assert_eq!(post(&sigstore, "/api/v1/log/entries/retrieve", None, "{}").await.status, 404);
    assert_eq!(post(&sigstore, "/api/v1/log/entries", None, vec![b' '; (1 << 20) + 1]).await.status, 413);
}
