//! Tables of cases: the examples' own, and what is said where something is not as expected.

use std::path::Path;
use std::process::Output;

use super::cli::{countersign, exits};

const RELEASE: &str = "{issuer: 'https://token.actions.githubusercontent.com', subject: \
                       'https://github.com/acme/app/.github/workflows/release.yaml@refs/tags/v1.0.0'}";

/// A folder of policies with one table.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(table: &str) -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/examples");
        for name in ["github-actions-release.yaml", "warn-first.yaml"] {
            std::fs::copy(examples.join(name), folder.path().join(name)).unwrap();
        }
        std::fs::create_dir(folder.path().join("tests")).unwrap();
        std::fs::write(folder.path().join("tests/table.yaml"), table).unwrap();
        Self(folder)
    }

    fn test(&self, more: &[&str]) -> Output {
        let folder = self.0.path().display().to_string();
        countersign(&[&["policy", "test", &folder], more].concat())
    }
}

#[test]
fn every_example_does_what_its_table_says() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/examples");
    let named = |folder: &Path| {
        let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let yaml = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
        yaml.map(|path| path.file_name().unwrap().to_owned()).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(named(&examples), named(&examples.join("tests")), "every example has a table");
    let readme = std::fs::read_to_string(examples.join("README.md")).unwrap();
    for name in named(&examples) {
        assert!(readme.contains(name.to_str().unwrap()), "{}", name.display());
    }
    exits(&countersign(&["policy", "test", &examples.display().to_string()]), 0, &[" passed, 0 failed"]);
}

#[test]
fn a_case_that_comes_out_otherwise_says_what_was_expected_what_came_and_why() {
    let folder = Folder::new(&format!(
        "cases:\n\
         - {{name: signed, image: ghcr.io/acme/app, evidence: [{RELEASE}], expect: {{verdict: allow, ground: warned, warns: acme-is-signed-soon}}}}\n\
         - {{name: unsigned, image: ghcr.io/acme/app, expect: allow}}\n\
         - {{name: other reason, image: ghcr.io/acme/app, expect: {{verdict: deny, reason: flawed, policy: acme, message: tomorrow}}}}\n"
    ));
    let xml = folder.0.path().join("junit.xml");
    let output = folder.test(&["--junit", &xml.display().to_string()]);
    exits(
        &output,
        1,
        &[
            "ok   ",
            "table.yaml: signed",
            "FAIL ",
            "table.yaml: unsigned",
            "- verdict: allow\n",
            "+ verdict: deny unsigned\n",
            "failed policy: acme-app-releases",
            "- reason: flawed",
            "+ reason: unsigned",
            "- policy: acme\n",
            "+ policy: acme-app-releases",
            "- message: tomorrow",
            "1 passed, 2 failed",
        ],
    );
    let xml = std::fs::read_to_string(xml).unwrap();
    assert!(xml.contains("tests=\"3\" failures=\"2\" errors=\"0\""), "{xml}");
}

#[test]
fn what_the_table_does_not_give_cannot_be_told() {
    let folder = Folder::new("cases: [{name: c, image: ghcr.io/acme/config, expect: deny}]\n");
    let policy = std::fs::read_to_string(folder.0.path().join("warn-first.yaml")).unwrap();
    let asks = |program: &str| {
        policy
            .replace("  mode: warn\n", &format!("  policy: {program}\n"))
            .replace("acme-is-signed-soon", "asks")
    };
    let write = |program: &str| std::fs::write(folder.0.path().join("asks.yaml"), asks(program)).unwrap();
    let signed = "evidence: [{issuer: 'https://token.actions.githubusercontent.com', subject: \
                  'https://github.com/acme/app/.github/workflows/build.yaml@refs/heads/main'}]";
    let table = |more: &str| {
        let text =
            format!("cases: [{{name: c, image: ghcr.io/acme/config, {signed}, {more}, expect: allow}}]\n");
        std::fs::write(folder.0.path().join("tests/table.yaml"), text).unwrap();
    };
    table("noMatch: deny");
    write("{type: cue, data: 'authorityMatches: _'}");
    exits(&folder.test(&[]), 2, &["?    ", "--cue", "0 passed, 0 failed, 1 could not be told"]);
    // What answers nothing leaves it open.
    exits(&folder.test(&["--cue", "/bin/true"]), 2, &["?    ", "1 could not be told"]);
    exits(&folder.test(&["--cue", "/nowhere/cue"]), 2, &["/nowhere/cue"]);
    write("{type: cel, fetchConfigFile: true, data: \"config['linux/amd64'].config.User != 'root'\"}");
    exits(&folder.test(&[]), 2, &["give config"]);
    table("config: {linux/amd64: {config: {User: '65532'}}}");
    exits(&folder.test(&[]), 0, &["1 passed"]);
    table("config: {linux/amd64: {config: {User: root}}}");
    exits(&folder.test(&[]), 1, &["not-compliant"]);
}

#[test]
fn a_table_that_is_wrong_is_refused_with_the_path_of_what_is_wrong() {
    let refuses = |table: &str, says: &str| exits(&Folder::new(table).test(&[]), 2, &["table.yaml", says]);
    let case = |more: &str| format!("cases: [{{name: a, image: ghcr.io/acme/app, expect: deny{more}}}]");
    refuses("cases: []", "cases: there are none");
    refuses(&case(", evidense: []"), "cases[0].evidense: unknown field");
    refuses(
        &case(", evidence: [{issuer: i, subject: s, time: t}]"),
        "cases[0].evidence[0].time: unknown field",
    );
    refuses(&case(", evidence: [{issuer: i}]"), "cases[0].evidence[0]: wants issuer and subject");
    refuses(&case(", evidence: [{issuer: i, subject: s, keyId: 'sha256:1'}]"), "cases[0].evidence[0].keyId");
    refuses(&case(", now: yesterday"), "cases[0].now: \"yesterday\"");
    refuses(&case(", namespace: shop"), "cases[0].namespace: there is no object");
    refuses(&case("}, {name: a, image: a, expect: deny"), "cases[1].name: another case");
    refuses("cases: [{name: a, image: a, expect: perhaps}]", "cases[0].expect");
    refuses(
        "cases: [{name: a, image: a, expect: {verdict: allow, reason: unsigned}}]",
        "reason and policy are of a denial",
    );
    refuses("cases: [{name: a, image: A B, expect: deny}]", "cases[0].image");
    let policies = Folder::new("policies: [../missing.yaml]\ncases: [{name: a, image: a, expect: deny}]");
    exits(&policies.test(&[]), 2, &["missing.yaml"]);
    let wrong = Folder::new("cases: [{name: a, image: a, expect: deny}]");
    std::fs::write(wrong.0.path().join("wrong.yaml"), "kind: Policy").unwrap();
    exits(&wrong.test(&[]), 1, &["wrong.yaml", "the policies are refused", "0 passed, 1 failed"]);
}
