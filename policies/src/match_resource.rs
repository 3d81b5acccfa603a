//! `spec.match[]`: which kinds of Kubernetes objects a policy is for.

use crate::object::{Object, Report};
use crate::request::Admitted;

/// The kinds that admission sees, in the plural.
const RESOURCES: [&str; 7] =
    ["replicasets", "deployments", "pods", "cronjobs", "jobs", "statefulsets", "daemonsets"];

/// How many entries a list of a selector may have.
const LIMIT: usize = 256;

/// One kind of objects.
#[derive(Clone, Debug)]
pub(crate) struct MatchResource {
    group: String,
    version: String,
    resource: String,
    requirements: Vec<Requirement>,
}

/// What is wanted of one label.
#[derive(Clone, Debug)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl MatchResource {
    /// Reads one entry.
    pub(crate) fn read(entry: &Object<'_>, report: &mut Report) -> Self {
        entry.only(&["group", "version", "resource", "selector"], report);
        let resource = entry.text("resource", report);
        if let Some(resource) = resource.filter(|resource| !RESOURCES.contains(resource)) {
            report.errors.invalid(resource, entry.at("resource"), "unsupported resource name");
        }
        let (group, version) = (entry.text("group", report), entry.text("version", report));
        let mut requirements = Vec::new();
        if let Some(selector) = entry.object("selector", report) {
            requirements = self::requirements(&selector, report);
            if !["group", "version", "resource"].iter().any(|key| entry.has(key)) {
                let why = "selector requires a resource type to match the labels";
                report.errors.invalid("", entry.at("selector"), why);
            }
        }
        if resource.is_none() || version.is_none() {
            let path = entry.at(if resource.is_none() { "resource" } else { "version" });
            report.warnings.push(format!("{path}: without it this entry selects no object"));
        }
        let owned = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Self { group: owned(group), version: owned(version), resource: owned(resource), requirements }
    }

    /// Whether the policy is for this object. Group and resource must be equal, and so must the version, unless any
    /// will do: an entry that leaves out one of the last two selects nothing.
    pub(crate) fn selects(&self, object: &Admitted) -> bool {
        self.group == object.group
            && (self.version == "*" || self.version == object.version)
            && !self.version.is_empty()
            && self.resource == object.resource()
            && self.requirements.iter().all(|requirement| requirement.holds(object))
    }

    /// Whether it looks into the object.
    pub(crate) fn reads_labels(&self) -> bool {
        !self.requirements.is_empty()
    }
}

/// A selector by labels, as Kubernetes has it.
fn requirements(selector: &Object<'_>, report: &mut Report) -> Vec<Requirement> {
    selector.only(&["matchLabels", "matchExpressions"], report);
    let mut requirements = Vec::new();
    if let Some(labels) = selector.object("matchLabels", report) {
        requirements.extend(labels.keys().map(|label| Requirement {
            key: label.to_owned(),
            operator: Operator::In,
            values: vec![labels.text(label, report).unwrap_or_default().to_owned()],
        }));
    }
    for expression in selector.objects("matchExpressions", LIMIT, report) {
        expression.only(&["key", "operator", "values"], report);
        expression.require(&["key", "operator"], report);
        let key = expression.text("key", report).unwrap_or_default().to_owned();
        let operator = expression.text("operator", report).and_then(|operator| {
            let known = Operator::named(operator);
            if known.is_none() {
                report.errors.invalid(operator, expression.at("operator"), "unsupported operator");
            }
            known
        });
        let values: Vec<_> =
            expression.texts("values", LIMIT, report).into_iter().map(str::to_owned).collect();
        let Some(operator) = operator else { continue };
        let wants_values = matches!(operator, Operator::In | Operator::NotIn);
        if wants_values == values.is_empty() {
            let why = if wants_values { "must be given with In and NotIn" } else { "must not be given here" };
            report.errors.invalid("", expression.at("values"), why);
        }
        requirements.push(Requirement { key, operator, values });
    }
    requirements
}

impl Operator {
    fn named(name: &str) -> Option<Self> {
        match name {
            "In" => Some(Self::In),
            "NotIn" => Some(Self::NotIn),
            "Exists" => Some(Self::Exists),
            "DoesNotExist" => Some(Self::DoesNotExist),
            _ => None,
        }
    }
}

impl Requirement {
    fn holds(&self, object: &Admitted) -> bool {
        let value = object.label(&self.key);
        let listed = value.is_some_and(|value| self.values.iter().any(|listed| listed == value));
        match self.operator {
            Operator::In => listed,
            Operator::NotIn => !listed,
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests;
