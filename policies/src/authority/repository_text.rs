//! Where signatures may be kept apart from their image: a registry or a repository, as `source[].oci` names it.

const CHARACTERS: &str = "abcdefghijklmnopqrstuvwxyz0123456789_-./";

/// What is wrong with the name of a registry or repository, in the words of go-containerregistry's strict reading.
pub(super) fn complaint(text: &str) -> Option<String> {
    match text.split_once('/') {
        Some((registry, repository)) if registry.contains(['.', ':']) => {
            self::repository(repository).or_else(|| self::registry(registry)).or_else(|| {
                let hub = ["index.docker.io", "docker.io"].contains(&registry);
                (hub && !repository.contains('/')).then(|| {
                    "strict validation requires the full repository path (missing 'library')".to_owned()
                })
            })
        }
        Some(_) | None => registry(text),
    }
}

fn repository(text: &str) -> Option<String> {
    if !(2..=255).contains(&text.chars().count()) {
        return Some(format!("repository must be between 2 and 255 characters in length: {text}"));
    }
    if !text.chars().all(|character| CHARACTERS.contains(character)) {
        return Some(format!("repository can only contain the characters `{CHARACTERS}`: {text}"));
    }
    None
}

/// A host and perhaps a port: all of what may stand between `//` and the path of a URL, but no user.
fn registry(text: &str) -> Option<String> {
    let known = |byte: u8| {
        byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"-_.~!$&'()*+,;=:[]<>\"".contains(&byte)
    };
    let host_ends = if text.starts_with('[') { text.rfind(']').map(|at| at + 1) } else { Some(0) };
    let port = host_ends.map(|at| text[at..].rsplit_once(':').map_or("", |(_, port)| port));
    let fits = port.is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    (!fits || !text.bytes().all(known))
        .then(|| format!("registries must be valid RFC 3986 URI authorities: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_refused_in_the_words_that_are_known() {
        for fine in [
            "registry1",
            "registry.example.com",
            "registry.example.com:5000",
            "[::1]:5000",
            "gcr.io/google.com/project/hello-world",
            "index.docker.io/library/nginx",
        ] {
            assert_eq!(complaint(fine), None, "{fine}");
        }
        for (text, want) in [
            ("foo/bar", "registries must be valid RFC 3986 URI authorities: foo/bar"),
            ("a b", "registries must be valid RFC 3986 URI authorities: a b"),
            ("registry:port", "registries must be valid RFC 3986 URI authorities: registry:port"),
            ("[::1", "registries must be valid RFC 3986 URI authorities: [::1"),
            ("u@ghcr.io/acme/app", "registries must be valid RFC 3986 URI authorities: u@ghcr.io"),
            ("ghcr.io/a", "repository must be between 2 and 255 characters in length: a"),
            ("docker.io/nginx", "strict validation requires the full repository path (missing 'library')"),
        ] {
            assert_eq!(complaint(text).as_deref(), Some(want), "{text}");
        }
    }
}
