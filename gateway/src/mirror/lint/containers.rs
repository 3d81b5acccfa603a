//! `registries.conf` with its drop-ins, and `policy.json`, as CRI-O, podman, skopeo and buildah read them.

use std::path::Path as FilePath;

use oci::Host;

use super::address::Whose;
use super::files::{Files, Form};
use super::policy_json::{Policy, host_of, is_of};
use super::{Expected, Finder, Hole, Kind};
use crate::mirror::document::{self, Entry, Node};
use crate::mirror::spelled;

const SO: &str = "no image can be pulled with it";

/// What is said of the images under a prefix.
struct Registry<'a> {
    file: &'a FilePath,
    line: Option<usize>,
    prefix: String,
    location: String,
    node: &'a Node,
}

pub(super) fn lint(files: &Files, expected: &Expected) -> Vec<Hole> {
    let mut holes = Vec::new();
    let mut roots = Vec::new();
    for source in files.of(Form::Registries) {
        let mut finder = Finder::new(&source.path, expected);
        match document::toml(&source.text) {
            Ok(root) => roots.push((source, root)),
            Err(error) => finder.unparsable(&error, SO),
        }
        holes.extend(finder.holes);
    }
    let mut registries: Vec<Registry<'_>> = Vec::new();
    for (source, root) in &roots {
        let mut finder = Finder::new(&source.path, expected);
        for registry in finder.registries_conf(root) {
            // The last that is read of a prefix is in force: drop-ins after the file, in the order of their names.
            registries.retain(|earlier| earlier.prefix != registry.prefix);
            registries.push(registry);
        }
        holes.extend(finder.holes);
    }
    for registry in &registries {
        let mut finder = Finder::new(registry.file, expected);
        finder.registry(registry);
        holes.extend(finder.holes);
    }
    let policies: Vec<Policy<'_>> = files.of(Form::Policy).map(Policy::new).collect();
    let first = roots.first().map(|(source, _)| *source).or_else(|| files.of(Form::Policy).next());
    if let Some(first) = first {
        let mut finder = Finder::new(&first.path, expected);
        finder.reach(&registries, &policies);
        finder.unlisted(&policies);
        holes.extend(finder.holes);
    }
    for policy in &policies {
        let mut finder = Finder::new(&policy.source.path, expected);
        finder.accepted(policy, &registries);
        holes.extend(finder.holes);
    }
    holes
}

impl<'a> Finder<'a> {
    fn registries_conf<'n>(&mut self, root: &'n Node) -> Vec<Registry<'n>>
    where
        'a: 'n,
    {
        if let Some(old) = root.get("registries") {
            let what = "[registries.*] is the first version of the format, which knows no mirrors that are asked alone";
            self.found(
                old.line,
                Kind::OldFormat,
                what,
                "[[registry]] with blocked = true and [[registry.mirror]]",
            );
        }
        let mut registries = Vec::new();
        for item in root.get("registry").map(|entry| entry.node.items()).unwrap_or_default() {
            let text =
                |key| item.node.get(key).and_then(|entry| entry.node.text()).unwrap_or_default().to_owned();
            let (prefix, location) = (text("prefix"), text("location"));
            let prefix = if prefix.is_empty() { location.clone() } else { prefix };
            registries.push(Registry {
                file: self.file,
                line: item.line,
                prefix,
                location,
                node: &item.node,
            });
        }
        registries
    }

    fn registry(&mut self, registry: &Registry<'_>) {
        self.keys(
            registry.node,
            &["prefix", "location", "insecure", "blocked", "mirror-by-digest-only", "mirror"],
        );
        let own = host_of(&registry.prefix);
        let insecure = registry.node.get("insecure").filter(|insecure| insecure.node.is_true());
        if self.whose(own, own.parse().ok().as_ref()) == Whose::Ours && registry.location == registry.prefix {
            return self.insecure(insecure, own);
        }
        let host = own.parse::<Host>().ok();
        let mirrors = registry.node.get("mirror").map(|entry| entry.node.items()).unwrap_or_default();
        let rewritten = !registry.location.is_empty()
            && self.whose(host_of(&registry.location), host.as_ref()) == Whose::Ours;
        if rewritten {
            self.insecure(insecure, host_of(&registry.location));
            self.rewritten(registry, registry.line, &registry.location);
        }
        let blocked = self.truth(registry.node.get("blocked"), SO);
        if !rewritten && !blocked {
            let what = format!(
                "{} is not blocked: it is asked itself{}",
                registry.prefix,
                if mirrors.is_empty() { "" } else { " after every mirror has said no" }
            );
            self.found(
                registry.line,
                Kind::NotBlocked,
                what,
                "blocked = true, with the gateway as [[registry.mirror]]",
            );
        }
        let only = registry.node.get("mirror-by-digest-only");
        if self.truth(only, SO) && !blocked {
            let what =
                format!("{}: tags do not go to the mirror, but to the registry itself", registry.prefix);
            self.found(only.and_then(|only| only.line), Kind::PartOnly, what, "no mirror-by-digest-only");
        }
        for mirror in mirrors {
            self.registry_mirror(registry, host.as_ref(), mirror.line, &mirror.node, blocked);
        }
    }

    fn registry_mirror(
        &mut self,
        registry: &Registry<'_>,
        host: Option<&Host>,
        line: Option<usize>,
        mirror: &Node,
        blocked: bool,
    ) {
        self.keys(mirror, &["location", "insecure", "pull-from-mirror"]);
        let location = mirror.get("location");
        let line = location.and_then(|location| location.line).or(line);
        let location = location.and_then(|location| location.node.text()).unwrap_or_default();
        if self.whose(host_of(location), host) == Whose::Ours {
            self.insecure(
                mirror.get("insecure").filter(|insecure| insecure.node.is_true()),
                host_of(location),
            );
            self.rewritten(registry, line, location);
        } else {
            let what = format!("{location} is not the gateway: whatever it serves, nobody has verified");
            self.found(line, Kind::NotOurs, what, "the gateway as the only mirror");
        }
        let part = mirror.get("pull-from-mirror");
        let left = match part.and_then(|part| part.node.text()) {
            Some("digest-only") => "tags",
            Some("tag-only") => "digests",
            Some(_) | None => return,
        };
        if !blocked {
            let what =
                format!("{}: {left} do not go to the mirror, but to the registry itself", registry.prefix);
            self.found(part.and_then(|part| part.line), Kind::PartOnly, what, "no pull-from-mirror");
        }
    }

    /// The gateway is told no registry but by the path.
    fn rewritten(&mut self, registry: &Registry<'_>, line: Option<usize>, location: &str) {
        let gateway = host_of(location);
        if registry.prefix.starts_with("*.") {
            let what = format!(
                "every registry under {} becomes {location}: which one was meant is lost",
                registry.prefix
            );
            self.found(line, Kind::Wildcard, what, "an entry for each registry");
            return;
        }
        let below = location.split_once('/').map(|(_, path)| path.trim_end_matches('/')).unwrap_or_default();
        let (host, rest) = registry.prefix.split_once('/').unwrap_or((&registry.prefix, ""));
        let (to, to_rest) = below.split_once('/').unwrap_or((below, ""));
        let same = match (host.parse::<Host>(), to.parse::<Host>()) {
            (Ok(host), Ok(to)) => self.expected.is_same(&host, &to),
            _ => false,
        };
        let same = same && !to.contains(':');
        if !same || rest != to_rest {
            let what = format!("{location} is not where the gateway has {}", registry.prefix);
            self.found(line, Kind::WrongPath, what, format!("{gateway}/{}", registry.prefix));
        }
    }

    fn insecure(&mut self, insecure: Option<&Entry>, host: &str) {
        let address = format!("http://{host}").parse::<upstream::Origin>();
        if let Some(insecure) = insecure
            && !address.is_ok_and(|address| crate::mirror::is_authentic(&address))
        {
            let what = format!("insecure: whoever is on the way to {host} can answer in its place");
            self.found(
                insecure.line,
                Kind::SkipVerify,
                what,
                "no insecure; the authority's certificate in /etc/containers/certs.d",
            );
        }
    }

    fn keys(&mut self, node: &Node, known: &[&str]) {
        for entry in node.entries().iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let what = format!("{} is passed over, whatever it is to mean", entry.key);
            self.found(entry.line, Kind::IgnoredKey, what, "a key of containers-registries.conf(5), or none");
        }
    }

    /// Whether every registry is spoken of, and what wildcards leave out.
    fn reach(&mut self, registries: &[Registry<'_>], policies: &[Policy<'_>]) {
        for host in self.expected.hosts() {
            let name = spelled(host);
            if !covers(registries, &name) && !policies.iter().any(|policy| policy.rejects_all_of(&name)) {
                let what = format!("{name} is not listed as a whole: it is asked itself");
                self.found(
                    None,
                    Kind::NotCovered,
                    what,
                    "a [[registry]] for it; there is no entry for all registries",
                );
            }
        }
        for registry in registries {
            let Some(parent) = registry.prefix.strip_prefix("*.") else { continue };
            if !covers(registries, parent) {
                let what = format!("{} does not match {parent}: it is asked itself", registry.prefix);
                self.found(registry.line, Kind::Wildcard, what, format!("a [[registry]] for {parent} too"));
            }
        }
    }

    /// Whether something rejects the registries that are not listed.
    fn unlisted(&mut self, policies: &[Policy<'_>]) {
        if !policies.iter().any(Policy::rejects_others) {
            self.found(
                None,
                Kind::Unlisted,
                "registries that are not listed are asked themselves: nothing here stands for all registries, and no policy.json \
                 that was read rejects the others",
                "policy.json with \"transports\": {\"docker\": {\"\": [{\"type\": \"reject\"}], …}} and an entry for each registry",
            );
        }
    }

    /// What a policy accepts has to be guarded.
    fn accepted(&mut self, policy: &Policy<'_>, registries: &[Registry<'_>]) {
        if let Err(error) = &policy.root {
            return self.unparsable(error, SO);
        }
        for scope in policy.accepts() {
            let host = host_of(&scope.key);
            let ours = self.whose(host, host.parse().ok().as_ref()) == Whose::Ours;
            // Of those that are expected it has been said already.
            let is_expected = self.expected.hosts().any(|expected| spelled(expected) == host);
            if !ours && !is_expected && !covers(registries, host) {
                let what =
                    format!("{} is accepted, and no [[registry]] lists it: it is asked itself", scope.key);
                self.found(scope.line, Kind::NotCovered, what, "a [[registry]] for it, or no such entry");
            }
        }
    }
}

/// Whether some entry speaks of a whole registry.
fn covers(registries: &[Registry<'_>], name: &str) -> bool {
    registries.iter().any(|registry| is_of(name, &registry.prefix))
}
