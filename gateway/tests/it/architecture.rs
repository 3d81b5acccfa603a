//! The rule of ARCHITECTURE.md, over what cargo says of the workspace.

use std::collections::BTreeMap;
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
        }
    }
}

#[test]
fn pure_crates_do_no_io() {
    for name in ["oci", "policies", "verify"] {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let mut folders = vec![std::path::Path::new(source).join(name).join("src")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                // Tests may read vectors.
                let text = std::fs::read_to_string(&path).unwrap();
                let is_test = path.file_stem().is_some_and(|stem| stem == "tests" || stem == "test_support");
                let code = if is_test { "" } else { text.split("#[cfg(test)]").next().unwrap() };
                for io in ["std::fs", "std::net::Tcp", "std::process", "std::thread::sleep"] {
                    assert!(!code.contains(io), "{} names {io}", path.display());
                }
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
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut long = Vec::new();
    for name in OURS {
        let mut folders = vec![std::path::Path::new(root).join(name)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let lines = std::fs::read_to_string(&path).unwrap().lines().count();
                    if lines > 600 {
                        long.push((path, lines));
                    }
                }
            }
        }
    }
    assert!(long.is_empty(), "{long:?}");
}
