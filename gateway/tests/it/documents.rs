//! What the documents print is true.

use std::path::{Path, PathBuf};

use gateway::config;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The fenced blocks of a language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("```{language}\n");
    text.split(opening.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// The same with what is commented out in force.
fn uncommented(text: &str) -> String {
    text.lines()
        .map(|line| {
            format!("{}\n", line.replacen("# ", "", usize::from(line.trim_start().starts_with("# "))))
        })
        .collect()
}

#[test]
fn the_readmes_commands_exist() {
    let readme = read("README.md");
    let makefile = read("Makefile");
    let commands: Vec<&str> = blocks(&readme, "sh").into_iter().flat_map(str::lines).collect();
    assert!(commands.iter().any(|command| command.starts_with("make run")));
    assert!(commands.iter().any(|command| command.starts_with("make test")));
    for command in commands {
        let mut words = command.split_whitespace();
        match words.next() {
            Some("make") => {
                let target = words.next().unwrap();
                assert!(makefile.contains(&format!("\n{target}: ")), "no recipe {target}");
            }
            Some("countersign") => {
                let is_name =
                    |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
                let is_subcommand = |word: &&str| is_name(word) && !word.starts_with('-');
                let subcommands: Vec<&str> = words.clone().take_while(is_subcommand).collect();
                assert!(!subcommands.is_empty(), "{command}");
                let help = std::process::Command::new(env!("CARGO_BIN_EXE_countersign"))
                    .args(subcommands)
                    .arg("--help")
                    .output()
                    .unwrap();
                assert!(help.status.success(), "{command}");
                let help = String::from_utf8(help.stdout).unwrap();
                for flag in words.filter(|word| word.starts_with("--")) {
                    assert!(help.contains(flag), "{command}: no {flag}");
                }
            }
            other => panic!("{other:?} is no command of ours"),
        }
    }
}

#[test]
fn the_readmes_policy_loads() {
    let readme = read("README.md");
    let policies = blocks(&readme, "yaml");
    assert!(!policies.is_empty());
    for policy in policies {
        policies::PolicySet::load(
            [policies::Document { origin: "README.md", text: policy }],
            &policies::Externals::default(),
        )
        .unwrap();
    }
}

#[test]
fn the_documented_defaults_are_the_defaults() {
    let text = read("docs/configuration.md");
    let documented = blocks(&text, "yaml")[0].split("upstreams:").next().unwrap().to_owned();
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("countersign.yaml");
    std::fs::write(&path, &documented).unwrap();
    let configured = config::load(Some(&path), std::iter::empty()).unwrap();
    let defaults = config::load(None, std::iter::empty()).unwrap();
    assert_eq!(format!("{configured:?}"), format!("{defaults:?}"));

    // What is commented out is configuration too. Some of it is for a cluster alone.
    let uncommented = uncommented(blocks(&text, "yaml")[0]).replace("kubernetes: false", "kubernetes: true");
    std::fs::write(&path, &uncommented).unwrap();
    config::load(Some(&path), std::iter::empty()).unwrap();
}

#[test]
fn the_documented_kinds_are_configuration() {
    let text = read("docs/admission.md");
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("countersign.yaml");
    std::fs::write(&path, blocks(&text, "yaml")[0]).unwrap();
    let kinds = config::load(Some(&path), std::iter::empty()).unwrap().admission.kinds;
    assert!(kinds.len() >= 6 && kinds.iter().all(|kind| !kind.paths.is_empty()), "{kinds:?}");
}

#[test]
fn the_documented_ways_to_share_are_configuration() {
    let text = read("docs/cache.md");
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("countersign.yaml");
    std::fs::write(&path, uncommented(blocks(&text, "yaml")[0])).unwrap();
    assert!(config::load(Some(&path), std::iter::empty()).unwrap().redis.is_some());
}

#[test]
fn the_charts_profiles_are_configuration() {
    let files = std::fs::read_dir(root().join("helm/configurations")).unwrap();
    let paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    assert_eq!(paths.len(), 6);
    for path in paths {
        config::load(Some(&path), std::iter::empty())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

#[test]
fn the_documented_upstreams_are_configuration() {
    let text = read("docs/upstreams.md");
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("countersign.yaml");
    std::fs::write(&path, blocks(&text, "yaml")[0]).unwrap();
    let config = config::load(Some(&path), std::iter::empty()).unwrap();
    assert_eq!(config.upstreams[0].endpoints.len(), 2);
}

#[test]
fn links_lead_somewhere() {
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "RELEASING.md",
        "SECURITY.md",
        "docs/README.md",
        "docs/cache.md",
        "docs/configuration.md",
        "docs/howto-air-gap.md",
        "docs/howto-migrate.md",
        "docs/install.md",
        "docs/nodes.md",
        "docs/registry.md",
        "docs/sizing.md",
        "docs/threat-model.md",
        "docs/troubleshooting.md",
        "docs/trust-roots.md",
        "docs/tutorial.md",
        "docs/upstreams.md",
    ] {
        let text = read(document);
        let folder = root().join(document).parent().unwrap().to_owned();
        for target in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if !target.starts_with("http") {
                let file = target.split('#').next().unwrap();
                assert!(folder.join(file).exists(), "{document}: {target}");
            }
        }
    }
}
