//! Pushes to a registry over HTTP, be it ours or a real one.

use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use oci::Digest;

/// Pushes a manifest under a tag or digest. `base` is the registry's URL without a slash at the end.
///
/// # Panics
/// If the registry does not take it, which leaves a test nothing to go on with.
pub async fn manifest(
    base: &str,
    repository: &str,
    reference: &str,
    media_type: &str,
    bytes: impl Into<Bytes>,
) -> Digest {
    let bytes = bytes.into();
    let digest = Digest::of(&bytes);
    let url = format!("{base}/v2/{repository}/manifests/{reference}");
    let answer = send(Method::PUT, &url, media_type, bytes).await;
    assert_eq!(answer.status(), StatusCode::CREATED, "{url}");
    digest
}

/// Pushes a blob in one piece. `base` is the registry's URL without a slash at the end.
///
/// # Panics
/// If the registry does not take it, which leaves a test nothing to go on with.
pub async fn blob(base: &str, repository: &str, bytes: impl Into<Bytes>) -> Digest {
    let bytes = bytes.into();
    let digest = Digest::of(&bytes);
    let kind = "application/octet-stream";
    let url = format!("{base}/v2/{repository}/blobs/uploads/");
    let begun = send(Method::POST, &url, kind, Bytes::new()).await;
    assert_eq!(begun.status(), StatusCode::ACCEPTED, "{url}");

    let location = begun.headers().get(header::LOCATION).map(|value| value.to_str());
    let Some(Ok(location)) = location else {
        panic!("{url} began no upload");
    };
    let absolute = if location.starts_with('/') { format!("{base}{location}") } else { location.to_owned() };
    let separator = if absolute.contains('?') { '&' } else { '?' };
    let url = format!("{absolute}{separator}digest={digest}");
    let ended = send(Method::PUT, &url, kind, bytes).await;
    assert_eq!(ended.status(), StatusCode::CREATED, "{url}");
    digest
}

#[expect(clippy::expect_used, reason = "a test cannot go on without its registry")]
async fn send(
    method: Method,
    url: &str,
    media_type: &str,
    bytes: Bytes,
) -> http::Response<hyper::body::Incoming> {
    let request = Request::builder()
        .method(method)
        .uri(url.parse::<Uri>().expect("a URL"))
        .header(header::CONTENT_TYPE, media_type)
        .body(Full::new(bytes))
        .expect("a request");
    let client = Client::builder(TokioExecutor::new()).build_http();
    client.request(request).await.expect("an answer")
}

#[cfg(test)]
mod tests {
    use oci::MediaType;

    use super::*;
    use crate::image::Image;
    use crate::registry::Registry;

    #[tokio::test]
    async fn what_is_pushed_is_there() {
        let registry = Registry::start().await;
        let image = Image::random(1);
        let mut digests = Vec::new();
        for bytes in image.blobs() {
            digests.push(blob(&registry.url(), "acme/app", bytes.clone()).await);
        }
        let kind = MediaType::OCI_MANIFEST;
        digests.push(manifest(&registry.url(), "acme/app", "v1", kind, image.manifest.clone()).await);
        assert_eq!(digests.last(), Some(&image.digest()));
        assert!(digests.iter().all(|digest| registry.has("acme/app", digest)));
        assert_eq!(registry.tagged("acme/app", "v1"), Some(image.digest()));
    }
}
