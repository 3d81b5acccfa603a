//! Which functions a program names. One that does not exist would be noticed by the interpreter only when it gets
//! there, and the error of a function counts as "undefined" in Rego, which `not` makes true.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

/// The functions that there are. What asks a network, an environment or randomness is not among them, nor is what
/// `regorus` has otherwise than policy-controller.
const FUNCTIONS: &str = "abs array.concat array.reverse array.slice base64.decode base64.encode base64.is_valid \
    base64url.decode base64url.encode base64url.encode_no_pad bits.and bits.lsh bits.negate bits.or bits.rsh bits.xor \
    ceil concat contains count endswith floor format_int glob.match glob.quote_meta hex.decode hex.encode indexof \
    indexof_n intersection is_array is_boolean is_null is_number is_object is_set is_string json.filter json.is_valid \
    json.marshal json.remove json.unmarshal lower max min numbers.range numbers.range_step object.filter object.get \
    object.keys object.remove object.subset object.union object.union_n print product regex.find_all_string_submatch_n \
    regex.find_n regex.is_valid regex.match regex.replace regex.split regex.template_match replace round \
    semver.compare semver.is_valid sort split sprintf startswith strings.any_prefix_match strings.any_suffix_match \
    strings.count strings.reverse substring sum time.add_date time.clock time.date time.diff time.format time.now_ns \
    time.parse_duration_ns time.parse_ns time.parse_rfc3339_ns time.weekday to_number trace trim trim_left trim_prefix \
    trim_right trim_space trim_suffix type_name union units.parse units.parse_bytes upper urlquery.decode \
    urlquery.decode_object urlquery.encode urlquery.encode_object walk";

/// What the names of rules begin with where they stand in full.
const OWN: &str = "data.sigstore.";

/// What stands for the names of all rules. None is empty.
const EVERY: &str = "";

/// The rule that is asked for.
const ANSWER: &str = "isCompliant";

/// Refuses a program without an answer, one that calls what is not there, or is nested more deeply than its JSON may be. Says whether it
/// names the clock.
///
/// # Errors
/// A sentence for the author.
pub(super) fn check(modules: &str) -> Result<bool, String> {
    let modules: Value =
        serde_json::from_str(modules).map_err(|_| "the program is nested too deeply".to_owned())?;
    let mut names = Names::default();
    names.visit(&modules);
    let own = |name: &str| names.own.contains(name.strip_prefix(OWN).unwrap_or(name));
    if !own(ANSWER) {
        return Err(format!("a rego policy must have the rule {ANSWER}"));
    }
    let known: HashSet<&str> = FUNCTIONS.split_whitespace().collect();
    if let Some(rule) = names.recursive() {
        return Err(format!("the rule {rule} refers to itself"));
    }
    match names.called.iter().find(|name| !known.contains(name.as_str()) && !own(name)) {
        Some(name) => Err(format!("there is no function {name} for policies")),
        None => Ok(names.clock),
    }
}

#[derive(Default)]
struct Names {
    own: HashSet<String>,
    called: HashSet<String>,
    /// What each rule names: other rules, and variables of its own.
    named: HashMap<String, HashSet<String>>,
    clock: bool,
}

impl Names {
    /// A rule that refers to itself, by whatever detour. Rego has no such rules, and the interpreter would not end. A
    /// variable that is called as a rule is taken for it.
    fn recursive(&self) -> Option<&str> {
        self.named.keys().map(String::as_str).find(|rule| {
            let (mut seen, mut pending) = (HashSet::new(), vec![*rule]);
            while let Some(name) = pending.pop() {
                let named = self.named.get(name).into_iter().flatten().map(String::as_str);
                for next in named.filter(|next| *next == EVERY || self.named.contains_key(*next)) {
                    if next == *rule || next == EVERY {
                        return true;
                    }
                    if seen.insert(next) {
                        pending.push(next);
                    }
                }
            }
            false
        })
    }

    /// What a rule names, beside itself in its head.
    fn rule(&mut self, spec: &Value) {
        let Some((_, head)) = spec["head"].as_object().and_then(|head| head.iter().next()) else { return };
        let Some(name) = path(&head["refr"]) else { return };
        let name = name.strip_prefix(OWN).unwrap_or(&name);
        let name = name.split('.').next().unwrap_or_default().to_owned();
        let named = self.named.entry(name).or_default();
        mentions(&spec["bodies"], named);
        for part in ["args", "assign", "key", "value"] {
            mentions(&head[part], named);
        }
    }

    fn visit(&mut self, node: &Value) {
        match node {
            Value::Array(items) => items.iter().for_each(|item| self.visit(item)),
            Value::Object(fields) => {
                for (key, value) in fields {
                    match key.as_str() {
                        "Call" => self.called.extend(path(&value["fcn"])),
                        "Func" | "Default" | "Set" | "Compr" => self.own.extend(path(&value["refr"])),
                        "Spec" => self.rule(value),
                        _ => {}
                    }
                    self.visit(value);
                }
            }
            // Wherever it stands: `with` gives it to functions of other names.
            Value::String(text) => self.clock |= text == "now_ns" || text.ends_with(".now_ns"),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Adds every name in a part of a rule. All of the package, or what of it is computed, is every name.
fn mentions(node: &Value, named: &mut HashSet<String>) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| mentions(item, named)),
        Value::Object(fields) => {
            for (kind, value) in fields {
                let own = path(node).filter(|_| matches!(kind.as_str(), "RefDot" | "RefBrack"));
                if let Some(name) = own.as_deref().and_then(|path| path.strip_prefix(OWN)) {
                    named.extend(name.split('.').next().map(str::to_owned));
                } else if kind == "Var" {
                    let name = value["value"].as_str().unwrap_or_default();
                    named.insert(if name == "data" { EVERY.to_owned() } else { name.to_owned() });
                } else {
                    mentions(value, named);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The name in a reference, with dots. A reference that is computed has none, and cannot be called either.
fn path(expression: &Value) -> Option<String> {
    let (kind, fields) = expression.as_object()?.iter().next()?;
    match kind.as_str() {
        "Var" => fields["value"].as_str().map(str::to_owned),
        "RefDot" => Some(format!("{}.{}", path(&fields["refr"])?, fields["field"][1].as_str()?)),
        "RefBrack" => {
            Some(format!("{}.{}", path(&fields["refr"])?, fields["index"]["String"]["value"].as_str()?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Language, Program};

    #[track_caller]
    fn check(rules: &str, recursive: bool) {
        let text = format!("package sigstore\nisCompliant {{ a }}\n{rules}");
        let refused = Program::compile(Language::Rego, &text).err();
        let says = refused.as_deref().is_some_and(|why| why.ends_with(" refers to itself"));
        assert_eq!(says, recursive, "{rules}: {refused:?}");
        assert_eq!(refused.is_some(), recursive, "{rules}: {refused:?}");
    }

    #[test]
    fn a_rule_that_refers_to_itself_is_refused() {
        check("a { f(1) }\nf(x) { f(x) }", true);
        check("a { b }\nb { a }", true);
        check("a { data.sigstore.a }", true);
        check("a { x := \"a\"; data.sigstore[x] }", true);
        check("a { data[\"sigstore\"].b }\nb = c { c := a }", true);
        check("a = b\nb = a", true);
        check("a { count([x | x := a]) > 0 }", true);
    }

    #[test]
    fn rules_that_refer_to_others_are_not() {
        check("a { b; c }\nb { c }\nc { input.a }", false);
        check("a { data.sigstore.b }\nb { input.b }", false);
        check("a { f(input) }\nf(x) { x.a.b == \"a\" }", false);
        check("default a = false\na { input.a }", false);
    }
}
