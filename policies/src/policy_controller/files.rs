use std::path::PathBuf;

use super::{complaint, load};
use crate::test_support::shared_path;

const TESTDATA: &str = "data/policy-controller/test/testdata/policy-controller";

/// The files of a folder, by their names without `v1beta1-`, and their texts.
fn files(folder: &str) -> Vec<(String, String)> {
    let folder: PathBuf = shared_path(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    let yaml = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    yaml.map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().trim_start_matches("v1beta1-").to_owned();
        (name, std::fs::read_to_string(path).unwrap())
    })
    .collect()
}

#[test]
fn what_it_refuses_is_refused_in_its_words() {
    let files = files(&format!("{TESTDATA}/invalid"));
    assert_eq!(files.len(), 33);
    for (name, text) in files {
        let complaint = complaint(&text);
        let wanted = text.lines().filter_map(|line| line.strip_prefix("# ERROR:"));
        let wanted = wanted.map(|line| line.trim().trim_start_matches("validation failed: ")).map(|line| {
            // The API server's schema speaks before the webhook there; here is no API server.
            match (line, name.as_str()) {
                ("keyless.identities: Invalid value", "empty-keyref-and-keylessref.yaml") => {
                    "expected exactly one, got both: spec.authorities[0].key, spec.authorities[0].keyless, spec.authorities[0].static"
                }
                ("keyless.identities: Invalid value", _) => {
                    "missing field(s): spec.authorities[0].keyless.identities"
                }
                _ => line,
            }
        });
        let wanted: Vec<_> = wanted.collect();
        assert!(!wanted.is_empty(), "{name}");
        for wanted in wanted {
            assert!(complaint.contains(wanted), "{name}: {wanted:?} is not in {complaint:?}");
        }
    }
}

#[test]
fn what_it_accepts_is_accepted() {
    let mut count = 0;
    for folder in ["valid", "e2e", "tester"] {
        for (name, text) in files(&format!("{TESTDATA}/{folder}")) {
            if name == "test-deployment.yaml" {
                continue;
            }
            assert_eq!(complaint(&text), "", "{folder}/{name}");
            count += 1;
        }
    }
    assert_eq!(count, 50);
}

#[test]
fn its_examples_are_accepted_once_their_blanks_are_filled_in() {
    let files = files("data/policy-controller/examples/policies");
    assert_eq!(files.len(), 7);
    for (name, text) in files {
        let text = text
            .replace("<< region >>", "us-east-2")
            .replace("<< account id >>", "111122223333")
            .replace("<< key id >>", "1234abcd-12ab-34cd-56ef-1234567890ab");
        assert_eq!(complaint(&text), "", "{name}");
    }
}

#[test]
fn of_its_tests_only_what_names_something_elsewhere_cannot_be_judged_by() {
    let mut unusable: Vec<_> = ["valid", "e2e", "tester"]
        .iter()
        .flat_map(|folder| files(&format!("{TESTDATA}/{folder}")))
        .filter(|(name, _)| name != "test-deployment.yaml")
        .filter(|(_, text)| load(text).unwrap().unusable().next().is_some())
        .map(|(name, _)| name)
        .collect();
    unusable.sort();
    unusable.dedup();
    assert_eq!(
        unusable,
        [
            "cip-config-file-policy-from-configmap.yaml",
            "cip-key-secret.yaml",
            "cip-policy-from-url.yaml",
            "valid-keyless-with-source.yaml",
            "valid-keylessref-awskms.yaml",
            "valid-keyref-awskms.yaml",
            "valid-policy-glob.yaml",
            "valid-policy-hash-algo.yaml",
            "valid-policy-keyless-ignore-sct.yaml",
            "valid-policy-match-resource-label.yaml",
            "valid-policy-match-resource.yaml",
            "valid-policy.yaml",
        ]
    );
}

#[test]
fn policies_without_authorities_are_refused_always() {
    let files = files(&format!("{TESTDATA}/empty-authorities"));
    assert_eq!(files.len(), 2);
    for (name, text) in files {
        assert_eq!(complaint(&text), "missing field(s): spec.authorities", "{name}");
    }
}
