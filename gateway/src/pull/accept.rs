//! Which manifests a client takes.

use http::{HeaderMap, header};
use oci::MediaType;
use upstream::Images;

/// The images to look for in place of a manifest of this type, where a client takes it by no means and takes images.
///
/// Everybody is asked for everything, so what a tag leads to can be a manifest that a client does not take: one that
/// knows no index, mostly. The registry may have another for it under the same tag. Who says nothing, or takes
/// anything, gets what there is; so does who takes nothing that we have.
pub(super) fn instead_of(media_type: &MediaType, headers: &HeaderMap) -> Option<Images> {
    let (mut oci, mut docker, mut others) = (false, false, false);
    // Clients send the header once with everything, or once for each type.
    for value in headers.get_all(header::ACCEPT) {
        for entry in value.to_str().unwrap_or_default().split(',') {
            let mut parts = entry.split(';').map(str::trim);
            let accepted = parts.next().unwrap_or_default();
            if parts.any(|parameter| matches!(parameter, "q=0" | "q=0.0" | "q=0.00" | "q=0.000")) {
                continue;
            }
            others |= accepted == media_type.as_str() || matches!(accepted, "*/*" | "application/*");
            oci |= accepted == MediaType::OCI_MANIFEST;
            docker |= accepted == MediaType::DOCKER_MANIFEST;
        }
    }
    match (others, oci, docker) {
        (true, ..) | (false, false, false) => None,
        (false, true, true) => Some(Images::Any),
        (false, true, false) => Some(Images::Oci),
        (false, false, true) => Some(Images::Docker),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &[&str], has: &str, instead: Option<Images>) {
        let lines = lines.iter().map(|line| (header::ACCEPT, line.parse().unwrap()));
        let headers = lines.fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        });
        assert_eq!(instead_of(&MediaType::new(has), &headers), instead, "{headers:?}");
    }

    #[test]
    fn who_takes_it_or_anything_gets_what_there_is() {
        check(&[], MediaType::OCI_INDEX, None);
        check(&["*/*"], MediaType::OCI_INDEX, None);
        check(&[MediaType::DOCKER_MANIFEST, MediaType::OCI_INDEX], MediaType::OCI_INDEX, None);
        check(&[&format!("{}, */*;q=0.1", MediaType::DOCKER_MANIFEST)], MediaType::OCI_INDEX, None);
        check(&["application/json, text/html"], MediaType::OCI_INDEX, None);
    }

    #[test]
    fn who_takes_images_alone_gets_one() {
        check(&[MediaType::DOCKER_MANIFEST], MediaType::OCI_INDEX, Some(Images::Docker));
        check(&[MediaType::OCI_MANIFEST], MediaType::DOCKER_LIST, Some(Images::Oci));
        let both = format!("{}, {}", MediaType::DOCKER_MANIFEST, MediaType::OCI_MANIFEST);
        check(&[&both], MediaType::OCI_INDEX, Some(Images::Any));
        check(
            &["application/json", MediaType::DOCKER_MANIFEST],
            MediaType::OCI_MANIFEST,
            Some(Images::Docker),
        );
        let not = format!("{}, {};q=0", MediaType::DOCKER_MANIFEST, MediaType::OCI_INDEX);
        check(&[&not], MediaType::OCI_INDEX, Some(Images::Docker));
    }
}
