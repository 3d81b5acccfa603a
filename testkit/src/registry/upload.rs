//! Pushes: uploads of blobs, in one piece or several, and manifests.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use oci::{Digest, Endpoint, TagOrDigest};

use super::Seen;
use super::answer::{digest_header, empty, failure};
use super::serve::Shared;
use super::token::parameter;

/// The uploads that have begun and not ended.
#[derive(Default)]
pub(super) struct Uploads {
    begun: Mutex<HashMap<u64, Vec<u8>>>,
}

impl Uploads {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Vec<u8>>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> u64 {
        let mut begun = self.lock();
        let id = begun.keys().max().map_or(1, |last| last + 1);
        begun.insert(id, Vec::new());
        id
    }

    fn extend(&self, id: u64, bytes: &[u8]) -> Option<usize> {
        let mut begun = self.lock();
        let upload = begun.get_mut(&id)?;
        upload.extend_from_slice(bytes);
        Some(upload.len())
    }

    fn end(&self, id: u64) -> Option<Vec<u8>> {
        self.lock().remove(&id)
    }
}

/// Answers a request that writes.
pub(super) fn write(shared: &Shared, seen: &Seen, body: &Bytes) -> Response<Bytes> {
    if let Some((name, id)) = upload_of(&seen.path) {
        return match (&seen.method, id.parse::<u64>()) {
            (&Method::POST, Err(_)) => begun(shared, name),
            (&Method::PATCH, Ok(id)) => extended(shared, name, id, body),
            (&Method::PUT, Ok(id)) => ended(shared, seen, name, id, body),
            _ => failure(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
        };
    }
    match (&seen.method, Endpoint::parse(&seen.path)) {
        (&Method::PUT, Ok(Endpoint::Manifest(name, version))) => {
            let media_type = seen.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
            let tag = match &version {
                TagOrDigest::Tag(tag) => Some(tag.as_str()),
                TagOrDigest::Digest(digest) if *digest != Digest::of(body) => {
                    return failure(StatusCode::BAD_REQUEST, "DIGEST_INVALID");
                }
                TagOrDigest::Digest(_) => None,
            };
            let digest = shared.content().put_manifest(name.as_str(), tag, media_type, body.clone());
            digest_header(empty(StatusCode::CREATED), &digest)
        }
        _ => failure(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
    }
}

/// The repository and the number in `/v2/<name>/blobs/uploads/<number>`.
fn upload_of(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("/v2/")?.split_once("/blobs/uploads/")
}

fn begun(shared: &Shared, name: &str) -> Response<Bytes> {
    located(StatusCode::ACCEPTED, name, shared.uploads.begin())
}

fn extended(shared: &Shared, name: &str, id: u64, body: &[u8]) -> Response<Bytes> {
    match shared.uploads.extend(id, body) {
        Some(length) => {
            let mut answer = located(StatusCode::ACCEPTED, name, id);
            let range = format!("0-{}", length.saturating_sub(1));
            super::answer::set(&mut answer, header::RANGE, &range);
            answer
        }
        None => failure(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
    }
}

fn ended(shared: &Shared, seen: &Seen, name: &str, id: u64, body: &[u8]) -> Response<Bytes> {
    let Some(mut bytes) = shared.uploads.end(id) else {
        return failure(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN");
    };
    bytes.extend_from_slice(body);
    if parameter(seen, "digest") != Some(Digest::of(&bytes).to_string()) {
        return failure(StatusCode::BAD_REQUEST, "DIGEST_INVALID");
    }
    let digest = shared.content().put_blob(name, bytes.into());
    digest_header(empty(StatusCode::CREATED), &digest)
}

fn located(status: StatusCode, name: &str, id: u64) -> Response<Bytes> {
    let mut answer = empty(status);
    super::answer::set(&mut answer, header::LOCATION, &format!("/v2/{name}/blobs/uploads/{id}"));
    answer
}
