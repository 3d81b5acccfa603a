//! Where signatures are kept apart from their image: `source`.

use oci::{Name, Reference};

use super::repository_text;
use crate::facts::Source;
use crate::object::{Object, Report};

/// How many entries a list may have before it is not looked into.
const LIMIT: usize = 64;

/// The longest prefix of a tag: what cosign adds to it has 76 letters, and a tag 128.
const PREFIX_LIMIT: usize = 48;

/// Reads the sources of an authority, of which there may be one.
pub(super) fn read(authority: &Object<'_>, report: &mut Report) -> Source {
    let sources = authority.objects("source", LIMIT, report);
    let [source] = &sources[..] else {
        if !sources.is_empty() {
            report.errors.invalid("source", authority.at("source"), "only single source is supported");
        }
        return Source::default();
    };
    source.only(&["oci", "signaturePullSecrets", "tagPrefix"], report);
    for secret in source.objects("signaturePullSecrets", LIMIT, report) {
        secret.only(&["name"], report);
        secret.require(&["name"], report);
    }
    if source.has("signaturePullSecrets") {
        report.warnings.push(format!(
            "{}: signatures are read with the credentials that are configured for their registry",
            source.at("signaturePullSecrets")
        ));
    }
    Source { repository: repository(source, report), tag_prefix: tag_prefix(source, report).map(Into::into) }
}

fn repository(source: &Object<'_>, report: &mut Report) -> Option<Name> {
    let oci = source.text("oci", report)?;
    if let Some(why) = repository_text::complaint(oci) {
        report.errors.invalid(oci, source.at("oci"), why);
        return None;
    }
    // As policy-controller reads it: a name without a host is one of Docker Hub.
    let name = oci.parse::<Reference>().ok().map(|reference| reference.name().clone());
    let name = name.filter(|_| !oci.rsplit('/').next().is_some_and(|last| last.contains(':')));
    if name.is_none() {
        report.unusable(&source.at("oci"), "is a registry, and a repository is wanted");
    }
    if !oci.contains('/') {
        let path = source.at("oci");
        report.warnings.push(format!("{path}: is read as a repository of Docker Hub, not as a registry"));
    }
    name
}

fn tag_prefix<'a>(source: &Object<'a>, report: &mut Report) -> Option<&'a str> {
    let prefix = source.text("tagPrefix", report)?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let first = prefix.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !first || !prefix.bytes().all(fits) || prefix.len() > PREFIX_LIMIT {
        let why =
            format!("no tag begins so: up to {PREFIX_LIMIT} letters, digits, dots, dashes or underscores");
        report.errors.invalid(prefix, source.at("tagPrefix"), why);
        return None;
    }
    Some(prefix)
}
