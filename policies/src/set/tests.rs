use oci::{Reference, TagOrDigest};

use super::*;
use crate::test_support::{KEY, policy, set};
use crate::{Problem, Warning};

const AUTHORITY: &str = "authorities: [{keyless: {identities: [{issuer: i, subject: s}]}}]";

fn load(text: &str) -> Result<PolicySet, LoadError> {
    PolicySet::load([Document { origin: "test.yaml", text }], &Externals::default())
}

/// Everything that is wrong with a policy of this specification, as policy-controller joins it.
fn complaint(spec: &str) -> String {
    let problems = load(&policy("p", spec)).map_or_else(|error| error.problems().to_vec(), |_| Vec::new());
    problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn complains(spec: &str, want: &str) {
    assert_eq!(complaint(spec), want, "{spec}");
}

fn authority(authority: &str) -> String {
    format!("{{images: [{{glob: '**'}}], authorities: [{authority}]}}")
}

fn identity(identity: &str) -> String {
    authority(&format!("{{keyless: {{identities: [{identity}]}}}}"))
}

#[test]
fn a_policy_that_names_what_cannot_be_had_denies_what_it_covers_and_says_why() {
    let keyless = "keyless: {identities: [{issuer: i, subject: s}]}";
    let cases = [
        (
            "key: {kms: 'gcpkms://k'}".to_owned(),
            "key.kms: keys of key services are not fetched: give the public key as data",
        ),
        ("key: {secretRef: {name: a}}".to_owned(), "key.secretRef: secret \"a\" is not known here"),
        (
            format!("key: {{data: \"{KEY}\", hashAlgorithm: sha224}}, ctlog: {{}}"),
            "key.hashAlgorithm: no log entry speaks of sha224",
        ),
        (
            format!("keyless: {{ca-cert: {{data: \"{KEY}\"}}, identities: [{{issuer: i, subject: s}}]}}"),
            "keyless.ca-cert.data: wants certificates in PEM, and nothing else",
        ),
        (
            format!("{keyless}, source: [{{oci: 'registry.example.com:5000'}}]"),
            "source[0].oci: is a registry, and a repository is wanted",
        ),
        (
            format!(
                "{keyless}, attestations: [{{name: a, predicateType: 'https://a.example', policy: {{type: rego, configMapRef: {{name: m, key: k}}}}}}]"
            ),
            "attestations.policy.configMapRef: configmap \"m\" is not known here",
        ),
    ];
    for (fields, why) in cases {
        let set = set(&[policy("p", &authority(&format!("{{{fields}}}")))]);
        let why = format!("spec.authorities[0].{why}");
        assert_eq!(set.unusable().collect::<Vec<_>>(), [("p", why.as_str())]);
        assert!(
            set.warnings()
                .iter()
                .any(|warning| warning.message == format!("denies what it speaks of: {why}"))
        );
    }
}

#[test]
fn what_is_judged_is_loaded() {
    for fields in [
        format!("key: {{data: \"{KEY}\"}}"),
        format!("key: {{data: \"{KEY}\", hashAlgorithm: sha224}}, rfc3161timestamp: {{trustRootRef: t}}"),
        format!("key: {{data: \"{KEY}\", hashAlgorithm: sha512}}, ctlog: {{url: u, trustRootRef: t}}"),
        "keyless: {insecureIgnoreSCT: true, identities: [{issuer: i, subject: s}]}, rfc3161timestamp: {}".to_owned(),
        "keyless: {trustRootRef: t, identities: [{issuer: i, subject: s}]}, ctlog: {trustRootRef: t}".to_owned(),
        "keyless: {identities: [{issuer: i, subject: s}]}, attestations: [{name: a, predicateType: 'https://a.example'}]"
            .to_owned(),
    ] {
        complains(&authority(&format!("{{{fields}}}")), "");
    }
}

#[test]
fn what_changes_nothing_is_accepted() {
    complains(
        &authority(
            "{name: a, signatureFormat: legacy, source: [{oci: ''}], attestations: null, ctlog: {trustRootRef: ''}, keyless: {insecureIgnoreSCT: \
             false, trustRootRef: '', identities: [{issuer: i, issuerRegExp: '', subject: s}]}}",
        ),
        "",
    );
}

#[test]
fn no_field_is_ignored() {
    complains(
        &format!("{{images: [{{glob: '**', tag: v1}}], {AUTHORITY}, Mode: warn}}"),
        "unknown field(s): spec.Mode, spec.images[0].tag",
    );
    complains(
        &authority("{keyles: {}, keyless: {identities: [{issuer: i, subject: s, subjectRegexp: s}]}}"),
        "unknown field(s): spec.authorities[0].keyles, spec.authorities[0].keyless.identities[0].subjectRegexp",
    );
    let text = policy("p", &authority("{static: {action: pass}}")) + "sepc: {}\nstatus: {}\n";
    assert_eq!(load(&text).unwrap_err().to_string(), "test.yaml: p: unknown field(s): sepc");
}

#[test]
fn values_of_the_wrong_type_are_refused() {
    complains(
        "{images: {glob: '**'}, authorities: 5}",
        "expected a list, got a mapping: spec.images\nexpected a list, got a number: spec.authorities",
    );
    complains(
        &identity("{issuer: 5, subject: true}"),
        "expected text, got a boolean: spec.authorities[0].keyless.identities[0].subject\nexpected text, got a number: spec.authorities[0].keyless.identities[0].issuer",
    );
    complains(
        &format!("{{images: ['**'], mode: garbage, {AUTHORITY}}}"),
        "expected a mapping, got text: spec.images[0]\ninvalid value: garbage: spec.mode\nunsupported mode",
    );
    complains("[x]", "expected a mapping, got a list: spec");
}

#[test]
fn both_versions_are_read_and_other_objects_are_named() {
    let text = policy("p", &identity("{issuer: i, subject: s}"));
    assert_eq!(load(&text.replace("v1beta1", "v1alpha1")).unwrap().len(), 1);
    for (from, to, want) in [
        (
            "v1beta1",
            "v1",
            "test.yaml: p: invalid value: policy.sigstore.dev/v1: apiVersion: only policy.sigstore.dev/v1beta1 and policy.sigstore.dev/v1alpha1 are read",
        ),
        (
            "ClusterImagePolicy",
            "Pod",
            "test.yaml: document 1: invalid value: Pod: kind: only ClusterImagePolicy, ImagePolicy, Revocation, TrustRoot, Secret, ConfigMap are read",
        ),
        ("kind: ClusterImagePolicy\n", "", "test.yaml: document 1: missing field(s): kind"),
        ("name: p", "labels: {}", "test.yaml: document 1: missing field(s): metadata.name"),
    ] {
        assert_eq!(load(&text.replace(from, to)).unwrap_err().to_string(), want);
    }
    for name in ["A", "a_b", "-a", "a..b", "'a\\nb'", &"a".repeat(254)] {
        assert!(load(&text.replace("name: p", &format!("name: {name}"))).is_err(), "{name}");
    }
}

#[test]
fn all_problems_of_all_documents_are_told_and_nothing_is_loaded() {
    let good = policy("good", &identity("{issuer: i, subject: s}"));
    let text = format!(
        "---\n{good}---\n# nothing\n---\n{}---\n{}",
        policy("a", "{}"),
        policy("b", "{images: [{glob: '['}]}")
    );
    let documents = [
        Document { origin: "one.yaml", text: &text },
        Document { origin: "two.yaml", text: &good },
        Document { origin: "three.yaml", text: "a: [" },
    ];
    let error = PolicySet::load(documents, &Externals::default()).unwrap_err();
    let lines: Vec<String> = error.problems().iter().map(Problem::to_string).collect();
    assert_eq!(
        lines[..3],
        [
            "one.yaml: a: missing field(s): spec.authorities, spec.images",
            "one.yaml: b: invalid value: [: spec.images[0].glob: glob is invalid: syntax error in pattern",
            "one.yaml: b: missing field(s): spec.authorities",
        ]
    );
    assert!(lines[3].starts_with("three.yaml: "), "{lines:?}");
    assert_eq!(lines[4..], ["two.yaml: good: another policy has this name, in one.yaml"]);
    assert_eq!(error.to_string(), lines.join("\n"));
}

#[test]
fn sizes_are_limited() {
    let big = format!("# {}\n", "x".repeat(1024 * 1024));
    assert_eq!(load(&big).unwrap_err().to_string(), "test.yaml: larger than 1048576 bytes");

    let text = policy("p", &authority("{static: {action: pass}}"));
    let mut parsed = Parsed::of([Document { origin: "test.yaml", text: &text }], &Externals::default());
    parsed.policies = vec![parsed.policies[0].clone(); POLICY_LIMIT];
    limit(&mut parsed);
    assert_eq!(parsed.problems, []);
    parsed.policies.push(parsed.policies[0].clone());
    limit(&mut parsed);
    assert_eq!(parsed.problems[0].to_string(), "test.yaml: more than 10000 policies in all");

    let globs = vec!["{glob: '**'}"; 257].join(", ");
    complains(&format!("{{images: [{globs}], {AUTHORITY}}}"), "more than 256 entries: spec.images");

    let regexes = vec!["{issuerRegExp: ^i$, subjectRegExp: ^s$}"; 129].join(", ");
    let authorities = vec![format!("{{keyless: {{identities: [{regexes}]}}}}"); 16].join(", ");
    let complaint = complaint(&authority(&authorities));
    assert!(
        complaint.starts_with("more than 4096 regular expressions in all policies: spec.auth"),
        "{complaint:.90}"
    );
}

#[test]
fn revisions_differ_exactly_where_policies_do() {
    let (a, b) = (
        policy("a", &identity("{issuer: i, subject: s}")),
        policy("b", &identity("{issuer: i, subject: s}")),
    );
    let revision = set(&[a.clone(), b.clone()]).revision();
    assert_eq!(set(&[format!("# text\n{b}---\n{a}")]).revision(), revision);
    assert_eq!(set(&[a.replace("name: a", "name: a, labels: {x: y}"), b.clone()]).revision(), revision);
    for other in
        [a.replace("subject: s", "subject: t"), a.replace("name: a", "name: c"), a.replace("'**'", "'*'")]
    {
        assert_ne!(set(&[other, b.clone()]).revision(), revision);
    }
    assert_ne!(set(&[a]).revision(), revision);
    assert_eq!(set(&[]).revision(), PolicySet::empty().revision());
}

#[test]
fn revisions_differ_by_every_revocation_and_only_those_change_what_is_revoked() {
    let digest = |of: &[u8]| Digest::of(of);
    let revoking = |image: Digest| {
        format!(
            "apiVersion: policy.countersign.dev/v1alpha1\nkind: Revocation\nmetadata: {{name: leak}}\n\
             spec: {{reason: r, digests: [{{digest: '{image}'}}]}}\n"
        )
    };
    let a = policy("a", &identity("{issuer: i, subject: s}"));
    let sets = [
        set(std::slice::from_ref(&a)),
        set(&[a.clone(), revoking(digest(b"one"))]),
        set(&[a, revoking(digest(b"two"))]),
    ];
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        assert_ne!(sets[one].revision(), sets[other].revision());
        assert_ne!(sets[one].revoked(), sets[other].revoked());
    }
    assert_eq!(sets[0].revoked(), PolicySet::empty().revoked());
}

#[test]
fn policies_match_canonical_names_with_digest_or_tag() {
    let glob = |name: &str, glob: &str| {
        policy(name, &format!("{{images: [{{glob: nothing}}, {{glob: '{glob}'}}], {AUTHORITY}}}"))
    };
    let set = set(&[
        glob("acme", "ghcr.io/acme/**"),
        glob("tag", "ghcr.io/*/*:v1"),
        glob("hub", "*"),
        glob("raw", "nginx*"),
    ]);
    let names = |image: &str| {
        let reference: Reference = image.parse().unwrap();
        set.matching(reference.name(), &reference.version(), &Request::Pull)
            .names()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let digest = Digest::of(b"");
    assert_eq!(names("ghcr.io/acme/app:v1"), ["acme", "tag"]);
    assert_eq!(names(&format!("ghcr.io/acme/app:v1@{digest}")), ["acme"]);
    assert_eq!(names("nginx"), ["hub"]);
    let evil: Reference = "ghcr.io.evil.example/acme/app".parse().unwrap();
    assert!(set.matching(evil.name(), &TagOrDigest::Digest(digest), &Request::Pull).is_uncovered());
}

#[test]
fn authors_are_warned_of_what_they_may_not_have_meant() {
    let spec = "{images: [{glob: 'ghcr.io/acme/app:*'}], authorities: [{keyless: {identities: [{issuerRegExp: ci, \
                subjectRegExp: ^s$}, {issuerRegExp: ^.*$, subjectRegExp: '^https://github\\.com/acme/.*$'}]}}]}";
    let set = set(&[policy("p", spec)]);
    assert_eq!(
        set.warnings().iter().map(Warning::to_string).collect::<Vec<_>>(),
        [
            "test.yaml: p: spec.images[0].glob: ghcr.io/acme/app:* matches no image, because images are matched as \
             host/repository@digest",
            "test.yaml: p: spec.authorities[0].keyless.identities[0].issuerRegExp: matches anywhere in the issuer; \
             write ^…$ to match all of it",
            "test.yaml: p: spec.authorities[0].keyless.identities[1].issuerRegExp: accepts whatever any issuer says; \
             name one",
            "test.yaml: p: spec.authorities[0].keyless.identities[1].subjectRegExp: accepts more than one repository; \
             start with ^https://host/owner/repository/ in letters",
        ]
    );
}

#[test]
fn every_example_is_a_set_without_warnings() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let set = load(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(set.names().chain(set.revocations()).count() == 1, "{}", path.display());
        assert_eq!(set.warnings(), [], "{}", path.display());
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn at_the_first_start_what_is_wrong_denies_what_it_speaks_of() {
    let wrong = "{images: [{glob: 'ghcr.io/acme/**'}], authorities: [{static: {action: maybe}}]}";
    let texts = [policy("good", &authority("{static: {action: pass}}")), policy("wrong", wrong)];
    let documents = |texts: &'static [String]| texts.iter().map(|text| Document { origin: "a.yaml", text });
    let texts: &'static [String] = Box::leak(Box::new(texts));
    assert!(PolicySet::load(documents(texts), &Externals::default()).is_err());
    let (set, problems) = PolicySet::load_closed(documents(texts), &Externals::default());
    assert_eq!(problems.len(), 1);
    let unusable = |image: &str| {
        let reference: Reference = image.parse().unwrap();
        let version = TagOrDigest::Digest(Digest::of(b""));
        set.matching(reference.name(), &version, &Request::Pull).names().any(|name| name == "wrong")
    };
    assert!(unusable("ghcr.io/acme/app"));
    assert!(!unusable("ghcr.io/other/app"));
}

#[test]
fn what_cannot_even_be_read_denies_everything_at_the_first_start() {
    let revocation = "apiVersion: policy.countersign.dev/v1alpha1\nkind: Revocation\nmetadata: {name: r}\nspec: {reason: r}";
    for text in ["a: [", "kind: Pod", revocation, "spec: {}", "[]"] {
        let (set, problems) =
            PolicySet::load_closed([Document { origin: "a.yaml", text }], &Externals::default());
        assert!(!problems.is_empty());
        let reference: Reference = "docker.io/library/nginx".parse().unwrap();
        let version = TagOrDigest::Digest(Digest::of(b""));
        assert!(!set.matching(reference.name(), &version, &Request::Pull).is_uncovered(), "{text}");
        assert_eq!(set.unusable().count(), 1);
    }
}

#[test]
fn secrets_and_config_maps_beside_policies_are_what_they_name() {
    let secret = |data: &str| {
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: k, namespace: cosign-system}}\n{data}\n")
    };
    let by_secret = policy("p", &authority("{key: {secretRef: {name: k}}}"));
    let why = |secret: &str| {
        let set = set(&[by_secret.clone(), secret.to_owned()]);
        set.unusable().map(|(_, why)| why.to_owned()).next()
    };
    assert_eq!(why(&secret(&format!("stringData: {{pub: \"{KEY}\"}}"))), None);
    let at = "spec.authorities[0].key.secretRef: ";
    for (data, message) in [
        ("data: {}", "secret \"k\" contains no data"),
        ("stringData: {a: b, c: d}", "secret \"k\" contains multiple data entries, only one is supported"),
        ("data: {a: '!'}", "secret \"k\": not base64"),
        ("data: {a: aGVsbG8=}", "contains an invalid public key: not a public key in PEM"),
    ] {
        assert_eq!(why(&secret(data)), Some(format!("{at}{message}")));
    }
    let elsewhere = secret(&format!("stringData: {{pub: \"{KEY}\"}}")).replace("cosign-system", "default");
    assert_eq!(why(&elsewhere), Some(format!("{at}secret \"k\" is not known here")));

    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {k: 'true', l: 'false'}\n";
    let by_map = |key: &str| {
        let spec = format!(
            "{{images: [{{glob: '**'}}], authorities: [{{static: {{action: pass}}}}], policy: {{type: cel, configMapRef: {{name: m, key: {key}}}}}}}"
        );
        set(&[policy("p", &spec), map.to_owned()])
    };
    assert_eq!(by_map("k").unusable().count(), 0);
    assert_eq!(
        by_map("x").unusable().collect::<Vec<_>>(),
        [("p", "spec.policy.configMapRef: configmap \"m\" does not contain key x")]
    );
    let changed = set(&[
        policy(
            "p",
            "{images: [{glob: '**'}], authorities: [{static: {action: pass}}], policy: {type: cel, configMapRef: {name: m, key: k}}}",
        ),
        map.replace("'true'", "'false'"),
    ]);
    assert_ne!(changed.revision(), by_map("k").revision());
}

#[test]
fn an_exemption_that_has_ended_or_hardly_ever_ends_is_odd() {
    let exempts = |expires: &str| {
        let digest = Digest::of(b"app");
        format!("{{digest: '{digest}', reason: soon, expires: {expires}}}")
    };
    let listed = ["2027-01-14", "2027-01-15", "2028-01-14", "2028-02-01"].map(exempts).join(", ");
    let spec = format!(
        "{{images: [{{glob: '**'}}], exemptions: [{listed}], authorities: [{{static: {{action: fail}}}}]}}"
    );
    let set = set(&[policy("p", &spec)]);
    assert_eq!(set.warnings(), []);
    let said: Vec<_> = set.warnings_at(crate::test_support::NOW).iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "test.yaml: p: spec.exemptions[0].expires: this exemption ended at 2027-01-15T00:00:00Z; take it out",
            "test.yaml: p: spec.exemptions[3].expires: this exemption ends at 2028-02-02T00:00:00Z, more than a year away",
        ]
    );
}

#[test]
fn policy_controllers_own_configuration_says_what_becomes_of_an_image_that_no_policy_matches() {
    let configured = |data: &str| {
        let map = "{apiVersion: v1, kind: ConfigMap, metadata: {name: config-policy-controller, namespace: cosign-system}";
        load(&format!("{map}, data: {data}}}")).unwrap().no_match()
    };
    assert_eq!(load("").unwrap().no_match(), None);
    assert_eq!(configured("{enable-oci11: 'true'}"), None);
    for (said, meant) in
        [("allow", NoMatch::Allow), ("warn", NoMatch::Warn), ("deny", NoMatch::Deny), ("alow", NoMatch::Deny)]
    {
        assert_eq!(configured(&format!("{{no-match-policy: '{said}'}}")), Some(meant), "{said:?}");
    }
    let map = |said: &str| {
        format!(
            "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: config-policy-controller}}, data: {{no-match-policy: {said}}}}}"
        )
    };
    let revisions = ["allow", "warn", "deny"].map(|said| load(&map(said)).unwrap().revision());
    assert!(
        revisions[0] != revisions[1]
            && revisions[1] != revisions[2]
            && revisions[0] != load("").unwrap().revision()
    );
}
