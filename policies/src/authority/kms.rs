//! References to keys in key management services, as far as policy-controller looks into them.

use std::sync::LazyLock;

use regex::RegexSet;

/// The services that there are, by the start of a reference.
const PROVIDERS: [&str; 4] = ["awskms://", "azurekms://", "hashivault://", "gcpkms://"];

const SHAPE: &str = "kms key should be in the format awskms://[ENDPOINT]/[ID/ALIAS/ARN] (endpoint optional)";

/// The shapes of what stands after `awskms://`: an endpoint that may be empty, and an id, an alias, or the ARN of either.
#[expect(clippy::expect_used, reason = "the expressions are constants, and a test compiles them")]
static AWS: LazyLock<RegexSet> = LazyLock::new(|| {
    let uuid = "m?r?k?-?[A-Fa-f0-9]{8}-?[A-Fa-f0-9]{4}-?[A-Fa-f0-9]{4}-?[A-Fa-f0-9]{4}-?[A-Fa-f0-9]{12}";
    let arn = "arn:(?:aws|aws-us-gov|aws-cn):kms:[a-z0-9-]+:[0-9]{12}:";
    RegexSet::new([
        format!("^[^/]*/{uuid}$"),
        format!("^[^/]*/{arn}key/{uuid}$"),
        "^[^/]*/alias/.*$".to_owned(),
        format!("^[^/]*/{arn}alias/.*$"),
    ])
    .expect("constant expressions")
});

/// What is wrong with a reference, in policy-controller's words.
pub(super) fn complaint(reference: &str) -> Option<String> {
    if !PROVIDERS.iter().any(|provider| reference.starts_with(provider)) {
        let providers = PROVIDERS.join(" ");
        return Some(format!(
            "malformed KMS format, should be prefixed by any of the supported providers: [{providers}]"
        ));
    }
    reference.strip_prefix(PROVIDERS[0]).and_then(aws)
}

/// What is wrong with what stands after `awskms://`. Of ids, aliases and ARNs only the last are accepted: the others
/// mean nothing without the environment of whoever reads them.
fn aws(reference: &str) -> Option<String> {
    let Some((endpoint, key)) = reference.split_once('/') else {
        return Some(
            "malformed AWS KMS format 'awskms://$ENDPOINT/$KEYID', should be conformant with KMS standard documented here: https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id"
                .to_owned(),
        );
    };
    if !AWS.is_match(reference) || endpoint.starts_with("arn") || endpoint.starts_with("alias") {
        return Some(SHAPE.to_owned());
    }
    if let Some(why) = address(endpoint) {
        return Some(format!("malformed endpoint: address {endpoint}: {why}"));
    }
    if !key.starts_with("arn:") {
        return Some("failed to parse either key or alias arn: arn: invalid prefix".to_owned());
    }
    None
}

/// What Go says of text that is no `host:port`.
fn address(endpoint: &str) -> Option<&'static str> {
    if endpoint.is_empty() {
        return None;
    }
    let Some((host, port)) = endpoint.rsplit_once(':') else {
        return Some("missing port in address");
    };
    let outside = match host.strip_prefix('[') {
        Some(inside) => match inside.split_once(']') {
            None if port.contains(']') => return Some("missing port in address"),
            None => return Some("missing ']' in address"),
            Some((_, after)) => after,
        },
        None => host,
    };
    if outside.contains(':') {
        return Some("too many colons in address");
    }
    if outside.contains('[') || port.contains('[') {
        return Some("unexpected '[' in address");
    }
    if outside.contains(']') || port.contains(']') {
        return Some("unexpected ']' in address");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_need_a_port() {
        for (endpoint, want) in [
            ("", None),
            ("localhost:4566", None),
            ("[::1]:4566", None),
            ("localhost", Some("missing port in address")),
            ("localhost:::4566", Some("too many colons in address")),
            ("[::1:4566", Some("missing ']' in address")),
            ("[::1]", Some("missing port in address")),
            ("a[:1", Some("unexpected '[' in address")),
            ("a]:1", Some("unexpected ']' in address")),
        ] {
            assert_eq!(address(endpoint), want, "{endpoint}");
        }
    }

    #[test]
    fn only_arns_name_a_key_of_aws_and_other_services_are_not_looked_into() {
        let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
        for reference in [
            "hashivault://",
            "gcpkms://projects/p",
            "azurekms://v/k",
            &format!("awskms:///arn:aws-cn:kms:cn-north-1:111122223333:key/mrk-{}", id.replace('-', "")),
        ] {
            assert_eq!(complaint(reference), None, "{reference}");
        }
        for reference in [
            "AWSKMS:///x",
            &format!("awskms:///{id}"),
            "awskms:///alias/a",
            "awskms:///arn:aws:kms:us-east-2:1:alias/a",
            "awskms:///arn:aws-x:kms:us-east-2:111122223333:alias/a",
        ] {
            assert!(complaint(reference).is_some(), "{reference}");
        }
    }
}
