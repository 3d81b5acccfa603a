//! `registries.yaml`, as k3s and RKE2 read it.

use oci::Host;

use super::address::Path;
use super::files::{Files, Form, Source};
use super::{Expected, Finder, Hole, Kind};
use crate::mirror::document::{self, Entry, Node};
use crate::mirror::spelled;

pub(super) fn lint(files: &Files, expected: &Expected) -> Vec<Hole> {
    let mut holes = Vec::new();
    for source in files.of(Form::K3s) {
        let mut finder = Finder::new(&source.path, expected);
        match document::yaml(&source.text) {
            Ok(documents) => finder.registries_yaml(documents.first().unwrap_or(&Node::Null)),
            Err(error) => finder.unparsable(&error, "k3s does not start with it"),
        }
        if !is_disabled(files, source) {
            finder.found(
                None,
                Kind::DefaultEndpoint,
                "disable-default-registry-endpoint is in no config.yaml beside it: every registry is asked itself after the gateway has said no",
                "disable-default-registry-endpoint: true, in config.yaml or config.yaml.d/*.yaml of every server and agent",
            );
        }
        holes.extend(finder.holes);
    }
    holes
}

/// Whether a configuration beside the file says that there is no default endpoint.
fn is_disabled(files: &Files, registries: &Source) -> bool {
    let folder = registries.path.parent();
    let says = |source: &Source| {
        let documents = document::yaml(&source.text).unwrap_or_default();
        let key = documents.first().and_then(|root| root.get("disable-default-registry-endpoint").cloned());
        key.is_some_and(|key| key.node.is_true() || key.node.text() == Some("true"))
    };
    files.of(Form::K3sConfig).any(|source| {
        let beside = source.path.parent();
        (beside == folder || beside.and_then(std::path::Path::parent) == folder) && says(source)
    })
}

impl Finder<'_> {
    fn registries_yaml(&mut self, root: &Node) {
        let mirrors = root.get("mirrors").map(|entry| entry.node.entries()).unwrap_or_default();
        let configs = root.get("configs").map(|entry| entry.node.entries()).unwrap_or_default();
        for mirror in mirrors {
            self.k3s_mirror(mirror);
            if let Some(config) = configs.iter().find(|config| config.key == mirror.key) {
                let what = format!(
                    "{} has an entry under configs: k3s keeps its default endpoint for it",
                    config.key
                );
                self.found(
                    config.line,
                    Kind::DefaultEndpoint,
                    what,
                    "no entry but the gateway's under configs",
                );
            }
        }
        for config in configs {
            self.unverified(config.node.below(&["tls", "insecure_skip_verify"]), &config.key, "ca_file");
        }
        self.covered(mirrors, "mirrors");
    }

    fn k3s_mirror(&mut self, mirror: &Entry) {
        let registry = if mirror.key == "*" { None } else { mirror.key.parse::<Host>().ok() };
        let endpoints = mirror.node.get("endpoint").map(|entry| entry.node.items()).unwrap_or_default();
        if endpoints.is_empty() {
            let what = format!("{} has no endpoint: the gateway is not asked", mirror.key);
            self.found(mirror.line, Kind::NoHost, what, "endpoint: [the gateway's URL]");
        }
        for endpoint in endpoints {
            let Some(url) = endpoint.node.text() else {
                self.found(
                    endpoint.line,
                    Kind::InvalidValue,
                    "an endpoint that is no text",
                    "the gateway's URL",
                );
                continue;
            };
            self.endpoint(endpoint.line, url, registry.as_ref(), path_of(url), false);
        }
    }

    /// Whether every registry is spoken of, by its name or as `*`.
    pub(super) fn covered(&mut self, mirrors: &[Entry], what: &str) {
        if mirrors.iter().any(|mirror| mirror.key == "*") {
            return;
        }
        let named: Vec<Host> = mirrors.iter().filter_map(|mirror| mirror.key.parse().ok()).collect();
        self.not_covered(&named, what);
    }

    /// Reports the registries that are not among these, where nothing stands for the others.
    pub(super) fn not_covered(&mut self, named: &[Host], what: &str) {
        self.found(
            None,
            Kind::NoDefault,
            format!("{what} say nothing of \"*\": every registry that is not named is asked itself"),
            "\"*\", with the gateway as its endpoint",
        );
        for host in self.expected.hosts().filter(|host| !named.contains(host)) {
            let name = spelled(host);
            self.found(
                None,
                Kind::NotCovered,
                format!("{name} is not named: it is asked itself"),
                format!("{name}, or \"*\""),
            );
        }
    }
}

/// k3s adds `/v2` where there is no path, and keeps any other as it is.
fn path_of(url: &str) -> Path {
    let after = url.split_once("://").map_or(url, |(_, rest)| rest);
    match after.split_once('/') {
        None | Some((_, "" | "v2")) => Path::Completed,
        Some(_) => Path::Kept,
    }
}
