//! `spec.match[]`: which kinds of Kubernetes objects a policy is for. Checked, and not honoured yet.

use crate::object::{Object, Report};

/// The kinds that admission sees, in the plural.
const RESOURCES: [&str; 7] =
    ["replicasets", "deployments", "pods", "cronjobs", "jobs", "statefulsets", "daemonsets"];

const OPERATORS: [&str; 4] = ["In", "NotIn", "Exists", "DoesNotExist"];

/// How many entries a list of a selector may have.
const LIMIT: usize = 256;

/// Checks one entry.
pub(crate) fn check(entry: &Object<'_>, report: &mut Report) {
    entry.only(&["group", "version", "resource", "selector"], report);
    let resource = entry.text("resource", report);
    if let Some(resource) = resource.filter(|resource| !RESOURCES.contains(resource)) {
        report.errors.invalid(resource, entry.at("resource"), "unsupported resource name");
    }
    entry.text("group", report);
    entry.text("version", report);
    if let Some(selector) = entry.object("selector", report) {
        self::selector(&selector, report);
        if !["group", "version", "resource"].iter().any(|key| entry.has(key)) {
            let why = "selector requires a resource type to match the labels";
            report.errors.invalid("", entry.at("selector"), why);
        }
    }
}

/// Checks a selector by labels, as Kubernetes has it.
fn selector(selector: &Object<'_>, report: &mut Report) {
    selector.only(&["matchLabels", "matchExpressions"], report);
    if let Some(labels) = selector.object("matchLabels", report) {
        labels.keys().for_each(|label| {
            labels.text(label, report);
        });
    }
    for expression in selector.objects("matchExpressions", LIMIT, report) {
        expression.only(&["key", "operator", "values"], report);
        expression.require(&["key", "operator"], report);
        if let Some(operator) = expression.text("operator", report)
            && !OPERATORS.contains(&operator)
        {
            report.errors.invalid(operator, expression.at("operator"), "unsupported operator");
        }
        expression.texts("values", LIMIT, report);
    }
}
