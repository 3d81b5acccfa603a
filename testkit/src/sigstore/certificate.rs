//! Requests for certificates, as Fulcio's API of version 2 has them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::answer::Refusal;
use crate::authority::key::PublicKey;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    public_key_request: KeyRequest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyRequest {
    public_key: Key,
    proof_of_possession: String,
}

#[derive(Deserialize)]
struct Key {
    content: String,
}

/// The key that is to be certified, whose holder has signed this text with it.
pub(super) fn key_of(body: &[u8], signed: &str) -> Result<PublicKey, Refusal> {
    let Request { public_key_request: request } =
        serde_json::from_slice(body).map_err(|_| Refusal::Bad("not a request for a certificate"))?;
    let key = pem::parse(&request.public_key.content)
        .ok()
        .and_then(|document| PublicKey::from_der(document.contents()))
        .ok_or(Refusal::Bad("not a key on P-256 in PEM"))?;
    let proof = BASE64.decode(request.proof_of_possession);
    let digest = Sha256::digest(signed).into();
    proof
        .is_ok_and(|proof| key.signed(&digest, &proof))
        .then_some(key)
        .ok_or(Refusal::Bad("the proof of possession was not made with the key"))
}
