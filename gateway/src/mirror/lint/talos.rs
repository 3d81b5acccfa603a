//! Talos Linux's machine configuration, in one document or in several.

use oci::Host;

use super::address::Path;
use super::files::{Files, Form};
use super::{Expected, Finder, Hole, Kind};
use crate::mirror::document::{self, Node};

pub(super) fn lint(files: &Files, expected: &Expected) -> Vec<Hole> {
    let mut holes = Vec::new();
    for source in files.of(Form::Talos) {
        let mut finder = Finder::new(&source.path, expected);
        match document::yaml(&source.text) {
            Ok(documents) => finder.machine(&documents),
            Err(error) => finder.unparsable(&error, "Talos refuses it"),
        }
        holes.extend(finder.holes);
    }
    holes
}

/// Whether a document is Talos's.
pub(super) fn is_talos(root: &Node) -> bool {
    let kind = root.get("kind").and_then(|kind| kind.node.text());
    root.get("machine").is_some() || matches!(kind, Some("RegistryMirrorConfig" | "RegistryTLSConfig"))
}

impl Finder<'_> {
    fn machine(&mut self, documents: &[Node]) {
        let mut named: Vec<String> = Vec::new();
        for root in documents {
            match root.get("kind").and_then(|kind| kind.node.text()) {
                Some("RegistryMirrorConfig") => named.extend(self.mirror_document(root)),
                Some("RegistryTLSConfig") => {
                    let host = root.get("name").and_then(|name| name.node.text()).unwrap_or_default();
                    self.unverified(root.get("insecureSkipVerify"), host, "ca");
                }
                Some(_) | None => named.extend(self.machine_registries(root)),
            }
        }
        if !named.iter().any(|name| name == "*") {
            let hosts: Vec<Host> = named.iter().filter_map(|name| name.parse().ok()).collect();
            self.not_covered(&hosts, "the mirrors");
        }
    }

    fn machine_registries(&mut self, root: &Node) -> Vec<String> {
        let below = |key| {
            root.below(&["machine", "registries", key]).map(|entry| entry.node.entries()).unwrap_or_default()
        };
        for config in below("config") {
            self.unverified(config.node.below(&["tls", "insecureSkipVerify"]), &config.key, "ca");
        }
        let mirrors = below("mirrors");
        for mirror in mirrors {
            let endpoints = mirror.node.get("endpoints").map(|entry| entry.node.items()).unwrap_or_default();
            let path = path_of(&mirror.node);
            let urls = endpoints.iter().map(|item| (item.line, item.node.text(), path)).collect();
            self.talos_mirror(&mirror.key, mirror.line, &mirror.node, urls);
        }
        mirrors.iter().map(|mirror| mirror.key.clone()).collect()
    }

    /// The form that each registry has a document of its own in.
    fn mirror_document(&mut self, root: &Node) -> Option<String> {
        let name = root.get("name")?;
        let key = name.node.text()?.to_owned();
        let endpoints = root.get("endpoints").map(|entry| entry.node.items()).unwrap_or_default();
        let urls = endpoints.iter().map(|item| {
            let url = item.node.get("url");
            (url.map_or(item.line, |url| url.line), url.and_then(|url| url.node.text()), path_of(&item.node))
        });
        self.talos_mirror(&key, name.line, root, urls.collect());
        Some(key)
    }

    fn talos_mirror(
        &mut self,
        name: &str,
        line: Option<usize>,
        node: &Node,
        urls: Vec<(Option<usize>, Option<&str>, Path)>,
    ) {
        let registry = if name == "*" { None } else { name.parse::<Host>().ok() };
        let skips = node.get("skipFallback");
        if !skips.is_some_and(|skips| skips.node.is_true()) {
            let what = format!(
                "{name}: without skipFallback the registry itself is asked after the gateway has said no"
            );
            self.found(skips.map_or(line, |skips| skips.line), Kind::Fallback, what, "skipFallback: true");
        }
        if urls.is_empty() {
            self.found(
                line,
                Kind::NoHost,
                format!("{name} has no endpoint: the gateway is not asked"),
                "endpoints: [the gateway's URL]",
            );
        }
        for (line, url, path) in urls {
            match url {
                Some(url) => self.endpoint(line, url, registry.as_ref(), path, false),
                None => {
                    self.found(line, Kind::InvalidValue, "an endpoint that is no text", "the gateway's URL")
                }
            }
        }
    }
}

fn path_of(node: &Node) -> Path {
    let keeps = node.get("overridePath").is_some_and(|keeps| keeps.node.is_true());
    if keeps { Path::Kept } else { Path::Completed }
}
