//! Directories of `hosts.toml`.

use std::collections::BTreeSet;
use std::path::Path as FilePath;

use oci::Host;

use super::address::{Path, Whose};
use super::files::{Files, Form};
use super::{Expected, Finder, Hole, Kind};
use crate::mirror::document::{self, Entry, Node};
use crate::mirror::spelled;

const SO: &str = "containerd logs it, forgets the file, and asks the registry itself";

pub(super) fn lint(files: &Files, expected: &Expected) -> Vec<Hole> {
    let mut holes = Vec::new();
    for source in files.of(Form::HostsToml) {
        let mut finder = Finder::new(&source.path, expected);
        let directory = source.path.parent().and_then(FilePath::file_name).unwrap_or_default();
        finder.hosts_toml(&source.text, registry_of(&directory.to_string_lossy()).as_ref());
        holes.extend(finder.holes);
    }
    for tree in &files.trees {
        let mut finder = Finder::new(&tree.path, expected);
        finder.tree(&tree.with_hosts, &tree.without_hosts);
        holes.extend(finder.holes);
    }
    holes
}

/// The registry that a directory is for; none for `_default`, which is for all others.
fn registry_of(directory: &str) -> Option<Host> {
    let port = directory.strip_suffix('_').and_then(|rest| rest.rsplit_once('_'));
    match port {
        Some((host, port)) if !host.is_empty() => format!("{host}:{port}").parse().ok(),
        _ => directory.parse().ok(),
    }
}

/// The keys that `server` and each host have.
const KEYS: &[&str] =
    &["capabilities", "ca", "client", "skip_verify", "header", "override_path", "dial_timeout"];

impl Finder<'_> {
    fn tree(&mut self, with: &BTreeSet<String>, without: &BTreeSet<String>) {
        for directory in without {
            let registry = registry_of(directory);
            let own = registry.as_ref().is_some_and(|host| self.whose(host.as_str(), None) == Whose::Ours);
            if !own {
                let what = format!(
                    "{directory} has no hosts.toml, and goes before _default: its registry is asked itself"
                );
                self.found(None, Kind::NoHostsFile, what, "a hosts.toml in it, or no such directory");
            }
        }
        if with.contains("_default") {
            return;
        }
        self.found(
            None,
            Kind::NoDefault,
            "there is no _default: every registry that has no directory here is asked itself",
            "_default/hosts.toml, with the gateway as its server and host",
        );
        let named: Vec<Host> = with.iter().filter_map(|directory| registry_of(directory)).collect();
        for host in self.expected.hosts().filter(|host| !named.contains(host)) {
            let name = spelled(host);
            let what = format!("{name} has no directory here: it is asked itself");
            self.found(None, Kind::NotCovered, what, format!("{name}/hosts.toml, or _default/hosts.toml"));
        }
    }

    fn hosts_toml(&mut self, text: &str, registry: Option<&Host>) {
        if text.is_empty() {
            self.found(
                None,
                Kind::NoHostsFile,
                "the file is empty: the registry is asked itself",
                "server and [host]",
            );
            return;
        }
        let root = match document::toml(text) {
            Ok(root) => root,
            Err(error) => return self.unparsable(&error, SO),
        };
        self.server(root.get("server"), registry);
        self.host(&root, registry);
    }

    fn server(&mut self, server: Option<&Entry>, registry: Option<&Host>) {
        match server.map(|entry| (entry.line, &entry.node)) {
            Some((line, Node::Text(url))) if !url.is_empty() => {
                self.endpoint(line, url, registry, Path::Completed, true);
            }
            Some((line, node)) if *node != Node::Text(String::new()) => {
                self.found(
                    line,
                    Kind::InvalidValue,
                    format!("server is no text: {SO}"),
                    "server = \"the gateway's URL\"",
                );
            }
            empty => self.found(
                empty.and_then(|(line, _)| line),
                Kind::NoServer,
                "without `server` the registry itself is asked after every host has said no",
                "server = \"the gateway's URL\", besides the [host] table",
            ),
        }
    }

    fn host(&mut self, root: &Node, registry: Option<&Host>) {
        self.settings(root.entries(), &["server", "host"]);
        if let Some(capabilities) = root.get("capabilities")
            && !["pull", "resolve"].iter().all(|wanted| has(&capabilities.node, wanted))
        {
            self.found(
                capabilities.line,
                Kind::RootCapabilities,
                "capabilities of `server` hold back the first question alone: manifests by digest and blobs are fetched from it all the same",
                "no capabilities outside [host]; server = \"the gateway's URL\"",
            );
        }
        let host = root.get("host");
        let hosts = host.map(|host| host.node.entries()).unwrap_or_default();
        if let Some(host) = host.filter(|host| !matches!(host.node, Node::Map(_))) {
            self.found(
                host.line,
                Kind::InvalidValue,
                format!("host is no table: {SO}"),
                "[host.\"the gateway's URL\"]",
            );
        } else if hosts.is_empty() {
            self.found(
                host.and_then(|host| host.line),
                Kind::NoHost,
                "without a [host] table containerd 1.6, and 1.7 before 1.7.32, cannot read the file, and ask the registry itself",
                "[host.\"the gateway's URL\"] with capabilities = [\"pull\", \"resolve\"], besides `server`",
            );
        }
        for host in hosts {
            if !matches!(host.node, Node::Map(_)) {
                self.found(
                    host.line,
                    Kind::InvalidValue,
                    format!("{} is no table: {SO}", host.key),
                    "a table",
                );
                continue;
            }
            let keeps = host.node.get("override_path").is_some_and(|keeps| keeps.node.is_true());
            let path = if keeps { Path::Kept } else { Path::Completed };
            self.endpoint(host.line, &host.key, registry, path, false);
            self.settings(host.node.entries(), &[]);
        }
    }

    /// What is said of `server` or a host, besides its address.
    fn settings(&mut self, entries: &[Entry], besides: &[&str]) {
        for entry in entries {
            match entry.key.as_str() {
                "capabilities" => self.capabilities(entry),
                "skip_verify" => {
                    self.truth(Some(entry), SO);
                    self.unverified(Some(entry), "the gateway", "ca = \"the certificate of its authority\"");
                }
                "override_path" => {
                    self.truth(Some(entry), SO);
                }
                key if !KEYS.contains(&key) && !besides.contains(&key) => {
                    let what = format!("containerd passes over {key}, whatever it is to mean");
                    self.found(entry.line, Kind::IgnoredKey, what, "a key that containerd knows, or none");
                }
                key if !besides.contains(&key) && !is_of_its_kind(key, &entry.node) => {
                    let what = format!("{key} is not of the kind that containerd reads: {SO}");
                    self.found(
                        entry.line,
                        Kind::InvalidValue,
                        what,
                        "what containerd's docs/hosts.md says of it",
                    );
                }
                _ => {}
            }
        }
    }

    fn capabilities(&mut self, entry: &Entry) {
        if !matches!(entry.node, Node::List(_)) {
            self.found(
                entry.line,
                Kind::InvalidValue,
                format!("capabilities is no list: {SO}"),
                "[\"pull\", \"resolve\"]",
            );
        }
        for item in entry.node.items() {
            let known = item.node.text().map(str::to_ascii_lowercase);
            if !known.as_deref().is_some_and(|known| ["pull", "resolve", "push"].contains(&known)) {
                let since = if known.as_deref() == Some("referrers") { " before 2.2" } else { "" };
                let named = item.node.text().unwrap_or("what is no text");
                let what = format!("{named:?} is no capability that containerd{since} knows: {SO}");
                self.found(
                    item.line.or(entry.line),
                    Kind::UnknownCapability,
                    what,
                    "[\"pull\", \"resolve\"]",
                );
            }
        }
    }
}

fn has(list: &Node, wanted: &str) -> bool {
    list.items().iter().any(|item| item.node.text().is_some_and(|text| text.eq_ignore_ascii_case(wanted)))
}

/// Whether containerd reads a value of this key.
fn is_of_its_kind(key: &str, node: &Node) -> bool {
    let texts = |node: &Node| matches!(node, Node::List(items) if items.iter().all(|item| item.node.text().is_some()));
    match key {
        "ca" => node.text().is_some() || texts(node),
        "client" => match node {
            Node::List(items) => items.iter().all(|item| {
                item.node.text().is_some() || (texts(&item.node) && item.node.items().len() == 2)
            }),
            Node::Null | Node::Bool(_) | Node::Text(_) | Node::Other | Node::Map(_) => node.text().is_some(),
        },
        "header" => {
            matches!(node, Node::Map(entries) if entries.iter().all(|entry| entry.node.text().is_some() || texts(&entry.node)))
        }
        "dial_timeout" => node.text().is_some_and(is_go_duration),
        _ => true,
    }
}

/// Numbers with units, such as `1m30s`, as Go reads them.
fn is_go_duration(text: &str) -> bool {
    let mut rest = text.trim_start_matches(['+', '-']);
    if rest == "0" || rest.is_empty() {
        return !text.is_empty() && !rest.is_empty();
    }
    while !rest.is_empty() {
        let number =
            rest.trim_start_matches(|character: char| character.is_ascii_digit() || character == '.');
        if number.len() == rest.len() {
            return false;
        }
        let unit =
            ["ns", "us", "µs", "ms", "s", "m", "h"].iter().filter_map(|unit| number.strip_prefix(unit));
        match unit.min_by_key(|after| after.len()) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    true
}
