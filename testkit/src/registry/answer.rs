//! What a well-behaved registry answers.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use oci::{Digest, Endpoint, MediaType, Repository};
use serde_json::json;

use super::Seen;
use super::range::{Part, part};
use super::serve::Shared;
use super::{token, upload};

/// Answers a request, whose body has been read.
pub(super) fn answer(shared: &Shared, seen: &Seen, body: &Bytes) -> Response<Bytes> {
    if seen.path == "/token" {
        return token_for(shared, &with_form(seen, body));
    }
    let scope = scope_of(seen);
    if let Some(auth) = &shared.options.auth
        && !auth.admits(seen, &scope, shared.revoked())
    {
        let mut refusal = failure(StatusCode::UNAUTHORIZED, "UNAUTHORIZED");
        let challenge = auth.challenge(&shared.url(), &scope);
        set(&mut refusal, header::WWW_AUTHENTICATE, &challenge);
        return refusal;
    }
    match seen.method {
        Method::GET | Method::HEAD => read(shared, seen),
        _ => upload::write(shared, seen, body),
    }
}

/// The request with the form that was posted in its query's place: tokens can be asked for either way.
fn with_form(seen: &Seen, body: &Bytes) -> Seen {
    let mut seen = seen.clone();
    if seen.method == Method::POST {
        seen.query = String::from_utf8(body.to_vec()).ok();
    }
    seen
}

fn token_for(shared: &Shared, seen: &Seen) -> Response<Bytes> {
    let Some(auth) = &shared.options.auth else {
        return failure(StatusCode::NOT_FOUND, "UNSUPPORTED");
    };
    if !auth.knows(seen) {
        return failure(StatusCode::UNAUTHORIZED, "UNAUTHORIZED");
    }
    let scope = token::parameter(seen, "scope").unwrap_or_default();
    let body = json!({"token": token::issue(&scope), "expires_in": auth.expires_in()});
    content(StatusCode::OK, "application/json", body.to_string().into_bytes().into())
}

/// What a request needs to be allowed, in the words of the
/// [token specification](https://distribution.github.io/distribution/spec/auth/scope/); nothing for `/v2/`.
fn scope_of(seen: &Seen) -> String {
    let action = match seen.method {
        Method::GET | Method::HEAD => "pull",
        _ => "push",
    };
    let name = ["/manifests/", "/blobs/", "/referrers/", "/tags/"]
        .iter()
        .find_map(|kind| seen.path.strip_prefix("/v2/")?.rsplit_once(kind));
    name.map_or_else(String::new, |(name, _)| format!("repository:{name}:{action}"))
}

fn read(shared: &Shared, seen: &Seen) -> Response<Bytes> {
    match Endpoint::parse(&seen.path) {
        Ok(Endpoint::Base) => content(StatusCode::OK, "application/json", Bytes::from_static(b"{}")),
        Ok(Endpoint::Manifest(name, version)) => match shared.content().manifest(name.as_str(), &version) {
            Some(stored) => {
                let digest = Digest::of(&stored.bytes);
                digest_header(content(StatusCode::OK, &stored.media_type, stored.bytes), &digest)
            }
            None => failure(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
        },
        Ok(Endpoint::Blob(name, digest)) => blob(shared, seen, &name, &digest),
        Ok(Endpoint::Referrers(name, digest)) => match shared.content().referrers(name.as_str(), &digest) {
            Some(index) => content(StatusCode::OK, MediaType::OCI_INDEX, index),
            None => failure(StatusCode::NOT_FOUND, "UNSUPPORTED"),
        },
        Ok(Endpoint::Tags(name)) => match shared.content().tags(name.as_str()) {
            Some(tags) => {
                let list = json!({"name": name.as_str(), "tags": tags});
                content(StatusCode::OK, "application/json", list.to_string().into_bytes().into())
            }
            None => failure(StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
        },
        Err(_) => failure(StatusCode::NOT_FOUND, "UNSUPPORTED"),
    }
}

fn blob(shared: &Shared, seen: &Seen, name: &Repository, digest: &Digest) -> Response<Bytes> {
    if let Some(elsewhere) = &shared.options.redirect_blobs {
        let mut answer = empty(StatusCode::TEMPORARY_REDIRECT);
        let location = format!("{elsewhere}{}?signature=presigned", seen.path);
        set(&mut answer, header::LOCATION, &location);
        return answer;
    }
    let Some(bytes) = shared.content().blob(name.as_str(), digest) else {
        return failure(StatusCode::NOT_FOUND, "BLOB_UNKNOWN");
    };
    let length = bytes.len();
    let kind = "application/octet-stream";
    let mut answer = match part(seen.header(header::RANGE.as_str()), length) {
        Part::Whole => content(StatusCode::OK, kind, bytes),
        Part::Some(range) => {
            let which = format!("bytes {}-{}/{length}", range.start, range.end - 1);
            let mut answer = content(StatusCode::PARTIAL_CONTENT, kind, bytes.slice(range));
            set(&mut answer, header::CONTENT_RANGE, &which);
            answer
        }
        Part::Unsatisfiable => {
            let mut answer = failure(StatusCode::RANGE_NOT_SATISFIABLE, "RANGE_INVALID");
            set(&mut answer, header::CONTENT_RANGE, &format!("bytes */{length}"));
            answer
        }
    };
    set(&mut answer, header::ACCEPT_RANGES, "bytes");
    set(&mut answer, header::ETAG, &format!("\"{digest}\""));
    digest_header(answer, digest)
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = status;
    set(&mut answer, header::CONTENT_LENGTH, "0");
    answer
}

/// An answer with an error code of the specification.
pub(super) fn failure(status: StatusCode, code: &str) -> Response<Bytes> {
    let body = json!({"errors": [{"code": code, "message": "as told by the test registry"}]});
    content(status, "application/json", body.to_string().into_bytes().into())
}

/// The same answer with the header that says which content it is.
pub(super) fn digest_header(mut answer: Response<Bytes>, digest: &Digest) -> Response<Bytes> {
    let name = HeaderName::from_static("docker-content-digest");
    set(&mut answer, name, &digest.to_string());
    answer
}

#[expect(clippy::expect_used, reason = "what tests put is sent, so it has to fit a header")]
pub(super) fn set(answer: &mut Response<Bytes>, name: HeaderName, value: &str) {
    let value = HeaderValue::from_str(value).expect("visible characters");
    answer.headers_mut().insert(name, value);
}

fn content(status: StatusCode, media_type: &str, bytes: Bytes) -> Response<Bytes> {
    let length = bytes.len().to_string();
    let mut answer = Response::new(bytes);
    *answer.status_mut() = status;
    set(&mut answer, header::CONTENT_TYPE, media_type);
    // Said outright, because an answer to HEAD has no body to take it from.
    set(&mut answer, header::CONTENT_LENGTH, &length);
    answer
}
