//! What was exported, object by object.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

use crate::cli::input;

/// The most objects that are read.
const LIMIT: usize = 100_000;

/// One object of a cluster.
#[derive(Debug)]
pub(super) struct Object {
    group: String,
    kind: String,
    /// Its name.
    pub(super) name: String,
    /// All of it.
    pub(super) value: Value,
    origin: String,
    text: String,
}

impl Object {
    fn of(value: Value) -> Option<Self> {
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
        let version = text("/apiVersion")?;
        let group = version.split_once('/').map_or("", |(group, _)| group).to_owned();
        let kind = text("/kind")?.to_owned();
        let name = text("/metadata/name").unwrap_or_default().to_owned();
        let (origin, text) = (format!("{kind} {name}"), value.to_string());
        Some(Self { group, kind, name, value, origin, text })
    }

    /// What it is called in messages.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// All of it in JSON, which is YAML.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The entries of a ConfigMap that are set.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        let data = self.value.get("data").and_then(Value::as_object);
        let entries = data.into_iter().flatten().filter(|(key, _)| *key != "_example");
        entries.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
    }
}

/// Everything that was exported.
#[derive(Debug)]
pub(super) struct Objects(Vec<Object>);

impl Objects {
    /// Reads files of one object or several, or of lists of them.
    pub(super) fn read(files: &[PathBuf]) -> anyhow::Result<Self> {
        let mut objects = Vec::new();
        for file in files {
            let path = if file.as_os_str() == "-" { Path::new("/dev/stdin") } else { file };
            let documents = input::documents(&input::text(path)?);
            for document in documents.with_context(|| file.display().to_string())? {
                unpack(document, &mut objects).with_context(|| file.display().to_string())?;
            }
        }
        Ok(Self(objects))
    }

    /// Those of some kinds, in the order in which they were exported.
    pub(super) fn of(
        &self,
        group: &'static str,
        kinds: &'static [&'static str],
    ) -> impl Iterator<Item = &Object> {
        self.0.iter().filter(move |it| it.group == group && kinds.contains(&it.kind.as_str()))
    }

    /// The one of that name.
    pub(super) fn named(&self, group: &'static str, kind: &'static str, name: &str) -> Option<&Object> {
        self.0.iter().find(|it| it.group == group && it.kind == kind && it.name == name)
    }
}

/// A list is what is in it; lists are in no list.
fn unpack(mut document: Value, objects: &mut Vec<Object>) -> anyhow::Result<()> {
    let listed = document.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take);
    let items = listed.unwrap_or_else(|| vec![document]);
    for item in items {
        objects.push(
            Object::of(item)
                .context("something has no apiVersion or no kind: this is no object of Kubernetes")?,
        );
        anyhow::ensure!(objects.len() <= LIMIT, "more than {LIMIT} objects");
    }
    Ok(())
}
