//! The cases of policy-controller's tests of validation, in their order.

use crate::test_support::KEY;

/// The place of whatever a test is about.
pub(super) const AT: &str = "spec.authorities[0]";

/// A case of policy-controller's tests, by the name that it has there.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) spec: String,
    /// What is wrong here, where the table does not say so: it lost the message, or we deviate.
    pub(super) deviates: Option<String>,
}

fn case(name: &'static str, spec: impl Into<String>) -> Case {
    Case { name, spec: spec.into(), deviates: None }
}

impl Case {
    fn says(self, message: impl Into<String>) -> Self {
        Self { deviates: Some(message.into()), ..self }
    }
}

pub(super) fn authority(authority: &str) -> String {
    format!("{{images: [{{glob: '**'}}], authorities: [{{{authority}}}]}}")
}

pub(super) fn kms(rest: &str) -> String {
    authority(&format!("key: {{kms: 'hashivault://key/path'}}, {rest}"))
}

fn source(source: &str) -> String {
    kms(&format!("source: [{source}]"))
}

fn pull_secret(name: &str) -> String {
    source(&format!("{{oci: registry1, signaturePullSecrets: [{{name: '{name}'}}]}}"))
}

fn hash(hash: &str) -> String {
    authority(&format!("key: {{kms: 'hashivault://key/path', hashAlgorithm: {hash}}}"))
}

fn identity(identity: &str) -> String {
    authority(&format!("keyless: {{url: u, identities: [{{{identity}}}]}}"))
}

pub(super) fn more(more: &str) -> String {
    format!("{{images: [{{glob: '**'}}], authorities: [{{static: {{action: pass}}}}], {more}}}")
}

fn attestation(attestation: &str) -> String {
    kms(&format!("attestations: [{{{attestation}}}]"))
}

pub(super) fn program(program: &str) -> String {
    attestation(&format!("name: second, predicateType: 'https://a.example/v1', policy: {{{program}}}"))
}

fn disallowed(field: &'static str) -> (String, String) {
    let spec = program(&format!("type: cue, data: d, {field}: true"));
    (spec, format!("must not set the field(s): {AT}.attestations.policy.{field}"))
}

pub(super) fn images_and_keys() -> Vec<Case> {
    let key = |fields: &str| authority(&format!("key: {{{fields}}}"));
    vec![
        case("Should fail when glob is not present", "{images: [{}]}"),
        case("Glob should fail with invalid glob", "{images: [{glob: '['}]}"),
        case("Glob should fail with invalid regexp", "{images: [{glob: '$FOO*'}]}"),
        case("missing image and authorities in the spec", "{}"),
        case(
            "Should fail when key has multiple properties",
            key(&format!("data: \"{KEY}\", kms: 'hashivault://key/path'")),
        ),
        case("Should fail when key has malformed pubkey data", key("data: '---some key data----'")),
        case(
            "Should fail when key secretref has an invalid value for the namespace",
            key("secretRef: {name: test, namespace: invalid}"),
        ),
        case("Should fail when key is empty", key("")),
        case(
            "Should fail with invalid AWS KMS for Keyful",
            key("kms: 'awskms://localhost:8888/arn:butnotvalid'"),
        ),
        case("Should fail with invalid OCI value", source("{oci: registry.example.com/repo/*}")),
        case(
            "Should fail with invalid OCI value usign wrong characters",
            source("{oci: re@gistry/reponame}"),
        ),
        case(
            "Should pass with valid OCI repository name",
            source("{oci: gcr.io/google.com/project/hello-world}"),
        ),
        case("Should pass with valid OCI repository name", source("{oci: registry.example.com/repository}")),
        case("Should pass when key has only one property: %v", key("kms: 'hashivault://key/path'")),
        case(
            "Glob should pass with exact digest image",
            "{images: [{glob: 'ghcr.io/foo@sha256:5504f2a95018e3d8a52d80d9e1a128c6ea337581808ff9fe96f5628ce2336350'}], \
             authorities: [{key: {kms: 'hashivault://key/path'}}]}",
        ),
    ]
}

pub(super) fn keyless_static_and_mode() -> Vec<Case> {
    vec![
        case("Should fail when keyless is empty", authority("keyless: {}"))
            .says(format!("missing field(s): {AT}.keyless.identities")),
        case(
            "Should fail when keyless has multiple properties",
            authority(&format!("keyless: {{url: u, ca-cert: {{data: \"{KEY}\"}}}}")),
        ),
        case(
            "Should warn when valid keyless ref is specified, but no identities given",
            authority("keyless: {url: u}"),
        ),
        case("Should pass when valid keyless ref is specified", identity("issuer: i, subject: s")),
        case("Should fail when static is empty", authority("static: {}")),
        case("Should fail when action is invalid", authority("static: {action: garbage}")),
        case("Works with pass", authority("static: {action: pass}")),
        case(
            "Works with pass, and Spec.Policy.FetchConfigFile",
            more("policy: {type: cue, data: d, fetchConfigFile: true}"),
        ),
        case(
            "Works with pass, and Spec.Policy.IncludeSpec",
            more("policy: {type: cue, data: d, includeSpec: true}"),
        ),
        case(
            "Works with pass, and Spec.Policy.IncludeObjectMeta",
            more("policy: {type: cue, data: d, includeObjectMeta: true}"),
        ),
        case(
            "Works with pass, and Spec.Policy.IncludeTypeMeta",
            more("policy: {type: rego, data: d, includeTypeMeta: true}"),
        ),
        case("Works with fail", authority("static: {action: fail}")),
        case("Should work when mode is empty", more("mode: ''")),
        case("Should work with mode enforce", more("mode: enforce")),
        case("Should work with mode warn", more("mode: warn")),
        case("Should not work with mode garbage", more("mode: garbage"))
            .says("invalid value: garbage: spec.mode\nunsupported mode"),
    ]
}

pub(super) fn authorities() -> Vec<Case> {
    let static_and = |type_: &str, rest: &str| {
        authority(&format!(
            "static: {{action: fail}}, attestations: [{{name: first, predicateType: '{type_}'}}], source: [{{oci: \
             registry1, signaturePullSecrets: [{{name: placeholder}}]}}], {rest}: {{}}"
        ))
    };
    let data = format!("key: {{data: \"{KEY}\"}}");
    vec![
        case("Should fail when authority is empty", authority("")),
        case("Should fail when key/keyless specified", authority(&format!("{data}, keyless: {{url: u}}"))),
        case(
            "Should fail when key/static specified",
            authority(&format!("{data}, static: {{action: pass}}")),
        ),
        case(
            "Should fail when keyless/static specified",
            authority("static: {action: fail}, keyless: {url: u}"),
        ),
        case(
            "Should fail when key/keyless/static specified",
            authority(&format!("{data}, static: {{action: fail}}, keyless: {{url: u}}")),
        ),
        case(
            "Should fail when static and sources,attestations, and ctlog is specified, warn about legacy short predicate type",
            static_and("vuln", "ctlog"),
        ),
        case(
            "Should fail with invalid kms prefix",
            authority(
                "key: {kms: 'fookms://localhost:8888/xpa:butnotvalid'}, source: [{oci: registry.example.com}]",
            ),
        ),
        case(
            "Should fail when static and sources,attestations, and rfc3161timestamp is specified",
            static_and("https://cosign.sigstore.dev/attestation/vuln/v1", "rfc3161timestamp"),
        ),
        case("Should fail when authorities is empty", "{images: [{glob: '**'}], authorities: []}"),
        case("Should pass when source oci is present", source("{oci: registry.example.com}")),
        case("Should pass with multiple source oci is present", source("{oci: registry1}")),
        case("Should fail with multiple source oci is present", source("{oci: 'not/one'}, {oci: registry2}"))
            .says(format!("invalid value: source: {AT}.source\nonly single source is supported")),
        case(
            "Should fail with invalid AWS KMS for Keyful",
            authority("key: {kms: 'awskms://localhost:8888/arn:butnotvalid'}"),
        ),
        case(
            "Should fail with invalid AWS KMS for Keyless",
            authority("keyless: {ca-cert: {kms: 'awskms://localhost:8888/arn:butnotvalid'}}"),
        ),
        case(
            "Should pass with attestations present",
            kms(
                "attestations: [{name: first, predicateType: 'https://a.example/v1'}, {name: second, predicateType: \
                 'https://a.example/v1', policy: {type: cue, data: d}}]",
            ),
        ),
    ]
}

pub(super) fn attestations_and_sources() -> Vec<Case> {
    let disallowed = |name, field| {
        let (spec, message) = disallowed(field);
        case(name, spec).says(message)
    };
    vec![
        disallowed("Should fail with attestations policy specifying fetchConfigFile", "fetchConfigFile"),
        disallowed("Should fail with attestations policy specifying includeSpec", "includeSpec"),
        disallowed("Should fail with attestations policy specifying includeObjectMeta", "includeObjectMeta"),
        disallowed("Should fail with attestations policy specifying includeTypeMeta", "includeTypeMeta"),
        case("Should fail with signaturePullSecret name empty", pull_secret("")),
        case("Should pass with signaturePullSecret name filled", pull_secret("testPullSecrets")),
        case("Should fail with invalid signature hash algorithm", hash("shaInvalid")),
        case("Should pass with sha256 signature hash algorithm", hash("sha256")),
        case("Should pass with sha512 signature hash algorithm", hash("' SHA512 '")),
        case("Should pass when source oci is empty", source("{oci: ''}")),
        case("Should pass when Authorities is empty", "{images: [{glob: '*'}], authorities: []}")
            .says("missing field(s): spec.authorities"),
    ]
}

pub(super) fn statements() -> Vec<Case> {
    let says = |name, spec, message: &str| {
        case(name, spec).says(message.replace("AT", &format!("{AT}.attestations")))
    };
    let both = "expected exactly one, got both: AT.policy.configMapRef, AT.policy.data, AT.policy.remote";
    let map = "configMapRef: {name: cmname, key: keyname}";
    let remote = "remote: {url: 'https://example.com', sha256sum: '123123123'}";
    vec![
        case(
            "https://cosign.sigstore.dev/attestation/vuln/v1",
            attestation("name: first, predicateType: 'https://cosign.sigstore.dev/attestation/vuln/v1'"),
        ),
        case(
            "fully specified URL",
            attestation("name: fullyspecified, predicateType: 'https://cyclonedx.org/schema'"),
        ),
        says(
            "missing name",
            attestation("predicateType: 'https://a.example/v1'"),
            "missing field(s): AT.name",
        ),
        says("missing predicatetype", attestation("name: first"), "missing field(s): AT.predicateType"),
        case("invalid predicatetype", attestation("name: first, predicateType: notsupported")),
        says(
            "custom with invalid policy type",
            program("type: not-cue, data: d"),
            "invalid value: not-cue: AT.policy.type\nonly [cue,rego] are supported at the moment",
        ),
        says(
            "custom with missing policy data, url and configMapRef",
            program("type: cue"),
            "missing field(s): AT.policy.configMapRef, AT.policy.data, AT.policy.remote",
        ),
        says(
            "custom with both policy data and configMapRef",
            program(&format!("type: cue, data: d, {map}")),
            both,
        ),
        says(
            "custom with both policy data, url and configMapRef",
            program(&format!("type: cue, data: d, {map}, {remote}")),
            both,
        ),
        case("custom with both policy url", program(&format!("type: cue, {remote}"))),
        says(
            "custom with invalid policy url scheme",
            program(&format!("type: cue, {}", remote.replace("https", "http"))),
            "invalid value: http://example.com: AT.policy.remote.url\nurl valid is invalid. host and https scheme are expected",
        ),
        says(
            "custom with invalid configMapRef, missing key",
            program("type: cue, configMapRef: {name: cmname}"),
            "missing field(s): AT.policy.configMapRef.key",
        ),
        case("custom with policy", program("type: cue, data: d")),
    ]
}

pub(super) fn identities() -> Vec<Case> {
    vec![
        case("Should pass with identities", identity("subjectRegExp: .*subject.*, issuerRegExp: .*issuer.*")),
        case("Should warn when identities fields are empty", identity("issuer: ''")),
        case(
            "Should fail with both issuer and issuerRegExp",
            identity("issuer: i, issuerRegExp: i, subject: s"),
        ),
        case(
            "Should fail with both subject and subjectRegExp",
            identity("issuer: i, subject: s, subjectRegExp: s"),
        ),
        case("Should fail when issuer has invalid regex", identity("issuerRegExp: '****', subject: s")),
        case("Should warn when issuer or issuerRegExp is missing", identity("subject: s")),
        case("Should warn when subject or subjectRegExp is missing", identity("issuer: i")),
        case("Should fail when subject has invalid regex", identity("issuer: i, subjectRegExp: '****'")),
        case(
            "Should pass when subject and issuer have valid regex",
            identity("subjectRegExp: .*subject.*, issuerRegExp: .*issuer.*"),
        ),
        case("Should pass when identities is valid", identity("issuer: some issuer, subject: some subject")),
    ]
}

/// References to keys of AWS, each of which is tried as a key and as an authority's.
pub(super) fn references() -> Vec<(&'static str, String)> {
    let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
    let arn = "arn:aws:kms:us-east-2:111122223333";
    vec![
        ("malformed, only 2 slashes ", format!("awskms://{id}")),
        ("fails with invalid host", "awskms://localhost:::4566/alias/exampleAlias".into()),
        ("fails with non-arn alias", "awskms://localhost:4566/alias/exampleAlias".into()),
        ("Should fail when arn is invalid", "awskms://localhost:4566/arn:sonotvalid".into()),
        ("Should fail with key is invalid", format!("awskms://{arn}:key/{id}")),
        ("works with valid arn key and endpoint", format!("awskms://localhost:4566/{arn}:key/{id}")),
        ("works with valid arn key and no endpoint", format!("awskms:///{arn}:key/{id}")),
        (
            "works with valid arn alias and endpoint",
            format!("awskms://localhost:4566/{arn}:alias/ExampleAlias"),
        ),
        ("works with valid arn alias and no endpoint", format!("awskms:///{arn}:alias/ExampleAlias")),
    ]
}

pub(super) fn resources() -> Vec<Case> {
    vec![
        case("Should pass with identities", identity("subjectRegExp: .*subject.*, issuerRegExp: .*issuer.*")),
        case(
            "Should pass with match label selector",
            more(
                "match: [{group: apps, version: v1, resource: deployments, selector: {matchLabels: {a: b, c: d}}}]",
            ),
        ),
        case(
            "Should pass with match resource types",
            more("match: [{group: apps, version: v1, resource: deployments}]"),
        ),
        case(
            "Should fail with invalid match resource type",
            more("match: [{version: v1, resource: myobject}]"),
        ),
    ]
}
