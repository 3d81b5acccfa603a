//! Secrets and ConfigMaps that stand beside the policies that name them.

use base64::Engine as _;

use crate::externals::{External, Externals};
use crate::object::{Object, Report};

/// The namespace that policy-controller is installed in, and that policies' secrets and config maps are read from.
pub(crate) const NAMESPACE: &str = "cosign-system";

/// Takes the only entry of a Secret.
pub(crate) fn secret(document: &Object<'_>, externals: &mut Externals, report: &mut Report) {
    let Some(name) = name(document, report) else { return };
    let mut entries = Vec::new();
    if let Some(data) = document.object("data", report) {
        entries.extend(data.keys().filter_map(|key| data.text(key, report)).map(decoded));
    }
    if let Some(data) = document.object("stringData", report) {
        let texts = data.keys().filter_map(|key| data.text(key, report));
        entries.extend(texts.map(|text| Ok(text.to_owned())));
    }
    let content = match (entries.pop(), entries.is_empty()) {
        (None, _) => Err(format!("secret {name:?} contains no data")),
        (Some(_), false) => {
            Err(format!("secret {name:?} contains multiple data entries, only one is supported"))
        }
        (Some(entry), true) => entry.map(Into::into).map_err(|why| format!("secret {name:?}: {why}")),
    };
    externals.insert(External::Secret(name), content);
}

/// Takes every entry of a ConfigMap.
pub(crate) fn config_map(document: &Object<'_>, externals: &mut Externals, report: &mut Report) {
    let Some(name) = name(document, report) else { return };
    externals.config_map(&name);
    let Some(data) = document.object("data", report) else { return };
    for key in data.keys() {
        if let Some(text) = data.text(key, report) {
            let external = External::ConfigMap { name: name.clone(), key: key.to_owned() };
            externals.insert(external, Ok(text.into()));
        }
    }
}

/// The name of one that policies can name: it has to be in their namespace.
fn name(document: &Object<'_>, report: &mut Report) -> Option<String> {
    let metadata = document.object("metadata", report)?;
    metadata.require(&["name"], report);
    let namespace = metadata.text("namespace", report).unwrap_or(NAMESPACE);
    if namespace != NAMESPACE {
        let path = metadata.at("namespace");
        report.warnings.push(format!("{path}: policies name only what is in {NAMESPACE}"));
        return None;
    }
    metadata.text("name", report).map(str::to_owned)
}

fn decoded(text: &str) -> Result<String, String> {
    let compact: String = text.split_whitespace().collect();
    let bytes =
        base64::engine::general_purpose::STANDARD.decode(compact).map_err(|_| "not base64".to_owned())?;
    String::from_utf8(bytes).map_err(|_| "not text".to_owned())
}
