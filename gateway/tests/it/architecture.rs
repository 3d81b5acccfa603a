//! The rule of ARCHITECTURE.md, over what cargo says of the workspace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn metadata(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What each crate of ours names directly, tests apart.
fn direct_dependencies() -> BTreeMap<String, Vec<String>> {
    let metadata = metadata(&["--no-deps"]);
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let named = dependencies
                .filter(|dependency| dependency["kind"] != "dev")
                .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
                .collect();
            (package["name"].as_str().unwrap().to_owned(), named)
        })
        .collect()
}

const OURS: &[&str] = &["oci", "policies", "verify", "cache", "upstream", "gateway", "testkit", "loadtest"];

#[test]
fn each_crate_names_only_what_it_may() {
    let dependencies = direct_dependencies();
    let rule: &[(&str, &[&str], &[&str])] = &[
        ("oci", &[], &["tokio", "hyper"]),
        ("policies", &["oci"], &["tokio", "hyper", "sigstore-verify"]),
        ("verify", &["policies", "oci"], &["tokio", "hyper"]),
        ("cache", &["oci"], &["hyper", "hyper-util", "sigstore-verify"]),
        ("upstream", &["oci"], &["sigstore-verify", "redb"]),
        ("gateway", &["oci", "policies", "verify", "cache", "upstream"], &["sigstore-verify", "redb"]),
        ("testkit", &["oci"], &["sigstore-verify"]),
        ("loadtest", &["oci", "testkit"], &["sigstore-verify"]),
    ];
    assert_eq!(rule.len(), dependencies.len(), "a crate has no rule: {:?}", dependencies.keys());
    for (name, may, never) in rule {
        for dependency in &dependencies[*name] {
            let dependency = dependency.as_str();
            assert!(!OURS.contains(&dependency) || may.contains(&dependency), "{name} names {dependency}");
            assert!(!never.contains(&dependency), "{name} names {dependency}");
            // One crate knows that there are clusters.
            assert!(
                *name == "gateway" || !["kube", "k8s-openapi"].contains(&dependency),
                "{name} names {dependency}"
            );
        }
    }
}

/// The Rust files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn pure_crates_do_no_io() {
    for name in ["oci", "policies", "verify"] {
        let folder = root().join(name).join("src");
        let table = std::fs::read_to_string(folder.join("lib.rs")).unwrap();
        // Tests may read vectors, and whole modules are for tests alone.
        let for_tests: Vec<&str> = table
            .split("#[cfg(test)]\nmod ")
            .skip(1)
            .map(|rest| rest.split(';').next().unwrap())
            .chain(["tests"])
            .collect();
        for path in sources(&folder) {
            let below = path.strip_prefix(&folder).unwrap().with_extension("");
            if below.iter().any(|part| for_tests.iter().any(|name| part == *name)) {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            for io in ["std::fs", "std::net::Tcp", "std::process", "std::thread::sleep"] {
                assert!(!code.contains(io), "{} names {io}", path.display());
            }
        }
    }
}

#[test]
fn there_is_one_tls_and_one_provider_of_cryptography() {
    // Not `cargo metadata`, nor the lock file: both list what a dependency could be built with and is not.
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--offline", "--locked", "--edges", "normal,build,dev"])
        .args(["--prefix", "none", "--format", "{p}"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let named = |name: &str| tree.lines().any(|line| line.split(' ').next() == Some(name));
    assert!(named("aws-lc-rs") && named("rustls"), "the test does not see what it looks for");
    for name in ["ring", "openssl", "openssl-sys", "native-tls", "sigstore", "oci-distribution"] {
        assert!(!named(name), "{name} is in the graph");
    }
}

#[test]
fn no_file_outgrows_its_subject() {
    let lines = |path: &PathBuf| std::fs::read_to_string(path).unwrap().lines().count();
    let long: Vec<_> =
        OURS.iter().flat_map(|name| sources(&root().join(name))).filter(|path| lines(path) > 600).collect();
    assert!(long.is_empty(), "{long:?}");
}
