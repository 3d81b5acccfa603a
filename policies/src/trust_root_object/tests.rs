use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::test_support::shared_path;
use crate::{Document, Externals, PolicySet};

fn load(spec: &str) -> Result<PolicySet, crate::LoadError> {
    let text = format!(
        "apiVersion: policy.sigstore.dev/v1alpha1\nkind: TrustRoot\nmetadata: {{name: acme}}\nspec: {spec}"
    );
    PolicySet::load([Document { origin: "t.yaml", text: &text }], &Externals::default())
}

#[track_caller]
fn refuses(spec: &str, messages: &[&str]) {
    let error = load(spec).unwrap_err();
    let got: Vec<_> = error.problems().iter().map(|problem| problem.message.as_str()).collect();
    for message in messages {
        assert!(got.contains(message), "{message:?} is not in {got:?}");
    }
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

#[test]
fn an_object_has_one_form() {
    refuses("{}", &["expected exactly one, got neither: spec.remote, spec.repository, spec.sigstoreKeys"]);
    refuses(
        "{remote: {mirror: m}, repository: {root: r}}",
        &["expected exactly one, got both: spec.remote, spec.repository, spec.sigstoreKeys"],
    );
    refuses("{elsewhere: {}}", &["unknown field(s): spec.elsewhere"]);
}

#[test]
fn a_repository_is_complained_of_in_the_words_of_policy_controller() {
    let (signed, unsigned) = (base64(r#"{"signatures": [{}]}"#), base64(r#"{"signatures": []}"#));
    refuses("{remote: {root: x}}", &["missing field(s): spec.remote.mirror"]);
    refuses(
        "{repository: {targets: t}}",
        &["missing field(s): spec.repository.repository, spec.repository.root"],
    );
    refuses(
        &format!("{{repository: {{root: {unsigned}, mirrorFS: {}}}}}", base64("not packed")),
        &[
            "invalid value: failed to construct a TUF client: spec.repository.mirrorFS\nfailed to uncompress: gzip: invalid header",
            "invalid value: missing signatures in root.json: spec.repository.root\nno signatures",
        ],
    );
    let error = load(&format!("{{remote: {{mirror: m, root: {}}}}}", base64("{"))).unwrap_err();
    let message = &error.problems()[0].message;
    assert!(message.starts_with("invalid value: failed to unmarshal: spec.remote.root\n"), "{message}");
    refuses("{remote: {mirror: m, root: '!'}}", &["expected base64: spec.remote.root"]);
    let set = load(&format!("{{remote: {{mirror: 'https://m', root: {signed}}}}}")).unwrap();
    let [TrustRootObject { name, source: TrustRootSource::Remote { mirror, repository } }] =
        set.trust_root_objects()
    else {
        panic!("{set:?}");
    };
    assert_eq!((&**name, mirror.as_str()), ("acme", "https://m"));
    assert_eq!((repository.targets.as_str(), repository.target.as_str()), ("targets", "trusted_root.json"));
}

#[test]
fn every_item_that_is_wrong_is_complained_of() {
    let at = "spec.sigstoreKeys";
    refuses(
        "{sigstoreKeys: {tLogs: [{baseURL: a}]}}",
        &[
            &format!(
                "expected exactly one, got neither: {at}.certificateAuthority, {at}.timestampAuthorities"
            ),
            &format!("missing field(s): {at}.tLogs[0].hashAlgorithm, {at}.tLogs[0].publicKey"),
        ],
    );
    let ca = format!("{at}.certificateAuthority");
    refuses(
        "{sigstoreKeys: {certificateAuthorities: [{subject: {organization: o}, uri: u}, {uri: u, certChain: QQ==}]}}",
        &[
            &format!(
                "missing field(s): {ca}[0].certchain, {ca}[0].subject.commonName, {ca}[1].subject.commonName, {ca}[1].subject.organization"
            ),
            &format!("invalid value: error splitting the certificates: {ca}[1].certChain"),
        ],
    );
    let folder = shared_path("data/policy-controller/pkg/reconciler/trustroot/testdata");
    let chain = std::fs::read_to_string(folder.join("tsaCertChain.pem")).unwrap();
    let twice = base64(format!("{chain}{chain}"));
    refuses(
        &format!(
            "{{sigstoreKeys: {{timestampAuthorities: [{{subject: {{organization: o, commonName: c}}, uri: u, certChain: {twice}}}]}}}}"
        ),
        &[&format!(
            "invalid value: certificate chain must contain at most one TSA certificate: {at}.timestampAuthorities[0].certChain"
        )],
    );
}

#[test]
fn what_policy_controller_accepts_is_accepted() {
    let folder = shared_path("data/policy-controller/test/testdata/trustroot/valid");
    let text = std::fs::read_to_string(folder.join("valid-sigstore-keys.yaml")).unwrap();
    let set = PolicySet::load([Document { origin: "valid", text: &text }], &Externals::default()).unwrap();
    let [TrustRootObject { source: TrustRootSource::Keys(keys), .. }] = set.trust_root_objects() else {
        panic!("{set:?}");
    };
    let counts = [keys.certificate_authorities.len(), keys.timestamp_authorities.len()];
    assert_eq!((counts, keys.transparency_logs.len(), keys.certificate_logs.len()), ([1, 1], 1, 1));
    assert_eq!(set.len(), 0);
}

#[test]
fn two_objects_do_not_share_a_name() {
    let text = format!(
        "apiVersion: policy.sigstore.dev/v1alpha1\nkind: TrustRoot\nmetadata: {{name: acme}}\nspec: {{remote: {{mirror: m, root: {}}}}}\n---\n",
        base64(r#"{"signatures": [{}]}"#)
    )
    .repeat(2);
    let error =
        PolicySet::load([Document { origin: "t.yaml", text: &text }], &Externals::default()).unwrap_err();
    assert_eq!(error.problems()[0].message, "another trust root has this name, in t.yaml");
}
