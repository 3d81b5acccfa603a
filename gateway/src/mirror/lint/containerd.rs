//! containerd's own `config.toml`: whether it reads the directory of hosts at all.

use super::files::{Files, Form};
use super::{Expected, Finder, Hole, Kind};
use crate::mirror::document::{self, Entry, Node};

/// What holds the settings of registries, by version.
const PLUGINS: &[&str] = &["io.containerd.cri.v1.images", "io.containerd.grpc.v1.cri", "cri"];

pub(super) fn lint(files: &Files, expected: &Expected) -> Vec<Hole> {
    let mut holes = Vec::new();
    for source in files.of(Form::ContainerdConfig) {
        let mut finder = Finder::new(&source.path, expected);
        match document::toml(&source.text) {
            Ok(root) => finder.config(&root),
            Err(error) => finder.unparsable(&error, "containerd does not start with it"),
        }
        holes.extend(finder.holes);
    }
    holes
}

impl Finder<'_> {
    fn config(&mut self, root: &Node) {
        let registries: Vec<(&str, &Entry)> = PLUGINS
            .iter()
            .filter_map(|plugin| Some((*plugin, root.below(&["plugins", plugin, "registry"])?)))
            .collect();
        let is_told = |registry: &Entry| {
            registry
                .node
                .get("config_path")
                .and_then(|path| path.node.text())
                .is_some_and(|path| !path.is_empty())
        };
        if !registries.iter().any(|(_, registry)| is_told(registry)) {
            let line = registries.first().and_then(|(_, registry)| registry.line);
            let besides =
                if root.get("imports").is_some() { ", unless a file that it imports does" } else { "" };
            self.found(
                line,
                Kind::NoConfigPath,
                format!("config_path is not set{besides}: containerd reads no hosts.toml, and asks every registry itself"),
                "config_path = \"/etc/containerd/certs.d\" in [plugins.\"io.containerd.cri.v1.images\".registry] (version 3) or \
                 [plugins.\"io.containerd.grpc.v1.cri\".registry] (version 2)",
            );
        }
        for (plugin, registry) in registries {
            for key in ["mirrors", "configs"] {
                let Some(entry) = registry.node.get(key).filter(|entry| !entry.node.entries().is_empty())
                else {
                    continue;
                };
                if key == "mirrors" {
                    let what = format!(
                        "{plugin}: mirrors end at the registry itself, and forbid config_path beside them"
                    );
                    self.found(
                        entry.line,
                        Kind::OldMirrors,
                        what,
                        "config_path, and a hosts.toml for each registry",
                    );
                }
                for config in entry.node.entries() {
                    let skips = config.node.below(&["tls", "insecure_skip_verify"]);
                    self.unverified(skips, &config.key, "ca in hosts.toml");
                }
            }
        }
    }
}
