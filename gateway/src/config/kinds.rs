//! The kinds of objects whose images are where their operators say.

use super::file::{parsed, wrong};
use super::{ConfigError, Kind, wire};
use crate::admission::{Kinds, POD_SPEC};
use crate::field_path::FieldPath;

/// How many kinds there may be, and how many paths of each.
const KINDS: usize = 64;
const PATHS: usize = 64;

/// Reads them all.
pub(super) fn read(kinds: Vec<wire::Kind>) -> Result<Vec<Kind>, ConfigError> {
    let key = "admission.kinds";
    if kinds.len() > KINDS {
        return Err(wrong(key, format!("more than {KINDS} kinds")));
    }
    let mut read: Vec<Kind> = Vec::with_capacity(kinds.len());
    for (index, kind) in kinds.into_iter().enumerate() {
        let key = format!("{key}[{index}]");
        let kind = one(&key, kind)?;
        let is_known = |known: &Kind| (&known.group, &known.kind) == (&kind.group, &kind.kind);
        if Kinds::has_built_in(&kind.group, &kind.kind) {
            return Err(wrong(key, format!("the images of {} are known", kind.kind)));
        }
        if read.iter().any(is_known) {
            return Err(wrong(key, format!("{} of {:?} is named twice", kind.kind, kind.group)));
        }
        read.push(kind);
    }
    Ok(read)
}

fn one(key: &str, kind: wire::Kind) -> Result<Kind, ConfigError> {
    let wire::Kind { group, kind, resource, paths, pod_specs } = kind;
    if kind.is_empty() {
        return Err(wrong(format!("{key}.kind"), "is missing"));
    }
    let mut read = paths
        .iter()
        .map(|path| parsed::<FieldPath>(&format!("{key}.paths"), path))
        .collect::<Result<Vec<_>, _>>()?;
    let at = format!("{key}.podSpecs");
    let pod_specs =
        pod_specs.iter().map(|spec| parsed::<FieldPath>(&at, spec)).collect::<Result<Vec<_>, _>>()?;
    for spec in &pod_specs {
        for image in POD_SPEC {
            read.push(spec.join(&parsed(&at, image)?));
        }
    }
    if read.is_empty() || read.len() > PATHS {
        return Err(wrong(key, format!("must have paths or podSpecs, and {PATHS} paths at most")));
    }
    for (index, path) in read.iter().enumerate() {
        let others = read.iter().enumerate().filter(|(other, _)| *other != index);
        if let Some((_, other)) = others.into_iter().find(|(_, other)| path.leads_to(other)) {
            return Err(wrong(key, format!("{path} is either an image or on the way to {other}")));
        }
    }
    let resource = resource.unwrap_or_else(|| plural(&kind.to_ascii_lowercase()));
    Ok(Kind { group, kind, resource, paths: read, pod_specs })
}

/// What the objects of a kind are called, unless their definition says otherwise: Kubernetes guesses the same.
fn plural(kind: &str) -> String {
    match (kind.strip_suffix('y'), kind.ends_with('s')) {
        (Some(stem), _) => format!("{stem}ies"),
        (None, true) => format!("{kind}es"),
        (None, false) => format!("{kind}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_the_plural_of_its_kind_or_what_is_said() {
        for (kind, resource) in [("Rollout", "rollouts"), ("Policy", "policies"), ("Ingress", "ingresses")] {
            let said = |resource| wire::Kind {
                group: "g.example".into(),
                kind: kind.into(),
                resource,
                paths: vec!["spec.image".into()],
                pod_specs: Vec::new(),
            };
            assert_eq!(one("k", said(None)).unwrap().resource, resource);
            assert_eq!(one("k", said(Some("others".into()))).unwrap().resource, "others");
        }
    }
}
