//! Where signatures are kept apart from their image: `source`. Checked, and not honoured yet.

use super::repository_text;
use crate::object::{Object, Report};

/// How many entries a list may have before it is not looked into.
const LIMIT: usize = 64;

const FIELDS: [&str; 3] = ["oci", "signaturePullSecrets", "tagPrefix"];

/// Checks the sources of an authority, of which there may be one.
pub(super) fn check(authority: &Object<'_>, report: &mut Report) {
    let sources = authority.objects("source", LIMIT, report);
    let [source] = &sources[..] else {
        if !sources.is_empty() {
            report.errors.invalid("source", authority.at("source"), "only single source is supported");
        }
        return;
    };
    source.only(&FIELDS, report);
    source.refuse(&FIELDS, report);
    source.text("tagPrefix", report);
    if let Some(oci) = source.text("oci", report)
        && let Some(why) = repository_text::complaint(oci)
    {
        report.errors.invalid(oci, source.at("oci"), why);
    }
    for secret in source.objects("signaturePullSecrets", LIMIT, report) {
        secret.only(&["name"], report);
        secret.require(&["name"], report);
    }
}
