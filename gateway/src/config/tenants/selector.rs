//! Which namespaces are a tenant's by their labels: a label selector, as Kubernetes has them.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::{Expression, Selector, SelectorExt as _};

use crate::config::file::{ConfigError, wrong};
use crate::config::wire;

/// A label selector that does not select everything.
///
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NamespaceSelector(Selector);

/// How many labels and expressions one may name, and how many values one of these.
const PARTS: usize = 64;

impl NamespaceSelector {
    /// Whether something with these labels is selected.
    pub(crate) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.matches(labels)
    }
}

impl wire::LabelSelector {
    pub(super) fn into_selector(self, key: &str) -> Result<NamespaceSelector, ConfigError> {
        let parts = self.match_labels.len() + self.match_expressions.len();
        if parts == 0 {
            let why = "would select every namespace: whoever has all others is the tenant `default`";
            return Err(wrong(key, why));
        }
        if parts > PARTS {
            return Err(wrong(key, format!("more than {PARTS} labels and expressions")));
        }
        let mut all = Vec::with_capacity(parts);
        for (label, value) in self.match_labels {
            let at = format!("{key}.matchLabels");
            all.push(Expression::Equal(name(&at, label)?, self::value(&at, value)?));
        }
        for (index, expression) in self.match_expressions.into_iter().enumerate() {
            all.push(expression.into_expression(&format!("{key}.matchExpressions[{index}]"))?);
        }
        Ok(NamespaceSelector(all.into_iter().collect()))
    }
}

impl wire::LabelExpression {
    fn into_expression(self, at: &str) -> Result<Expression, ConfigError> {
        let key = name(&format!("{at}.key"), self.key)?;
        let has_values = !self.values.is_empty();
        if self.values.len() > PARTS {
            return Err(wrong(format!("{at}.values"), format!("more than {PARTS} values")));
        }
        let values = self.values.into_iter().map(|value| self::value(&format!("{at}.values"), value));
        let values = values.collect::<Result<BTreeSet<_>, _>>()?;
        match (&*self.operator, has_values) {
            ("In", true) => Ok(Expression::In(key, values)),
            ("NotIn", true) => Ok(Expression::NotIn(key, values)),
            ("Exists", false) => Ok(Expression::Exists(key)),
            ("DoesNotExist", false) => Ok(Expression::DoesNotExist(key)),
            ("In" | "NotIn", false) => Err(wrong(format!("{at}.values"), "must not be empty")),
            ("Exists" | "DoesNotExist", true) => {
                Err(wrong(format!("{at}.values"), format!("{} has none", self.operator)))
            }
            (other, _) => Err(wrong(
                format!("{at}.operator"),
                format!("{other:?}: must be In, NotIn, Exists or DoesNotExist"),
            )),
        }
    }
}

/// The name of a label: one that no API server would store could never be matched.
fn name(key: &str, label: String) -> Result<String, ConfigError> {
    let of_domain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    let is_domain = |text: &str| (1..=253).contains(&text.len()) && text.bytes().all(of_domain);
    let is_one = match label.split_once('/') {
        Some((domain, name)) => is_domain(domain) && is_word(name),
        None => is_word(&label),
    };
    if is_one { Ok(label) } else { Err(wrong(key, format!("{label:?} is no name of a label"))) }
}

fn value(key: &str, value: String) -> Result<String, ConfigError> {
    if value.is_empty() || is_word(&value) {
        Ok(value)
    } else {
        Err(wrong(key, format!("{value:?} is no value of a label")))
    }
}

fn is_word(text: &str) -> bool {
    let at_end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 63
        && at_end(text.bytes().next())
        && at_end(text.bytes().last())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<NamespaceSelector, String> {
        let selector: wire::LabelSelector =
            serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?;
        selector.into_selector("k").map_err(|error| error.to_string())
    }

    #[test]
    fn a_selector_selects_as_kubernetes_says() {
        for (selector, labels, is) in [
            ("{matchLabels: {team: payments}}", vec![("team", "payments"), ("x", "y")], true),
            ("{matchLabels: {team: payments}}", vec![("team", "Payments")], false),
            ("{matchLabels: {team: payments}}", vec![], false),
            ("{matchLabels: {a: b, c: d}}", vec![("a", "b")], false),
            ("{matchExpressions: [{key: a.example/b, operator: Exists}]}", vec![("a.example/b", "")], true),
            ("{matchExpressions: [{key: a, operator: DoesNotExist}]}", vec![("b", "")], true),
            ("{matchExpressions: [{key: a, operator: In, values: [b, c]}]}", vec![("a", "c")], true),
            ("{matchExpressions: [{key: a, operator: In, values: [b, c]}]}", vec![], false),
            ("{matchExpressions: [{key: a, operator: NotIn, values: [b]}]}", vec![], true),
            ("{matchExpressions: [{key: a, operator: NotIn, values: [b]}]}", vec![("a", "b")], false),
            (
                "{matchLabels: {t: p}, matchExpressions: [{key: a, operator: Exists}]}",
                vec![("t", "p"), ("a", "b")],
                true,
            ),
        ] {
            let labels: BTreeMap<String, String> =
                labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            assert_eq!(read(selector).unwrap().matches(&labels), is, "{selector} {labels:?}");
        }
    }

    #[test]
    fn a_selector_that_could_not_be_meant_is_refused() {
        for (selector, why) in [
            ("{}", "would select every namespace"),
            ("{matchLabels: {'a b': c}}", "k.matchLabels: \"a b\" is no name of a label"),
            ("{matchLabels: {a: 'b c'}}", "k.matchLabels: \"b c\" is no value of a label"),
            ("{matchLabels: {/a: b}}", "\"/a\" is no name"),
            ("{matchExpressions: [{key: a, operator: in, values: [b]}]}", "k.matchExpressions[0].operator"),
            (
                "{matchExpressions: [{key: a, operator: In}]}",
                "k.matchExpressions[0].values: must not be empty",
            ),
            ("{matchExpressions: [{key: a, operator: Exists, values: [b]}]}", "Exists has none"),
            ("{matchLabel: {a: b}}", "unknown field"),
        ] {
            let error = read(selector).unwrap_err();
            assert!(error.contains(why), "{selector}: {error}");
        }
    }
}
