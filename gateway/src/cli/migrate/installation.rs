//! How policy-controller is installed, and the values with which our chart does the same.

use serde_json::{Value, json};

use super::objects::{Object, Objects};
use super::selector::selects;
use super::{Account, Note, differences};

/// The webhook's name where nobody gave it another.
const WEBHOOK: &str = "policy.sigstore.dev";

/// Namespaces that are never sent to our webhook, besides that of the installation.
const EXEMPT: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// What was found of it.
#[derive(Debug)]
pub(super) struct Installation {
    /// What is said of its objects.
    pub(super) accounts: Vec<Account>,
    /// The values for our chart.
    pub(super) values: Value,
    /// The namespaces that take part; nothing where none were read.
    pub(super) namespaces: Option<Vec<String>>,
}

impl Installation {
    pub(super) fn of(objects: &Objects, namespace: &str) -> Self {
        let mut values = json!({
            "config": {"policies": {"kubernetes": true}},
            "certificates": {"source": "gateway"},
            "webhook": {"name": WEBHOOK},
        });
        let mut accounts = Vec::new();
        let deployments = objects.of("apps", &["Deployment"]).filter_map(|it| deployment(it, &mut values));
        accounts.extend(deployments);
        let maps = objects.of("", &["ConfigMap"]).filter_map(|it| config_map(it, objects, &mut values));
        accounts.extend(maps);
        let kinds = &["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];
        let webhooks = objects.of("admissionregistration.k8s.io", kinds);
        accounts.extend(webhooks.filter_map(|it| webhook(it, &mut values)));
        let (namespaces, out) = namespaces(objects, namespace, &values);
        accounts.extend(out);
        if objects.of(WEBHOOK, &["ClusterImagePolicy"]).any(differences::has_cue) {
            values["config"]["policies"]["cue"] = json!({"program": "/cue"});
        }
        Self { accounts, values, namespaces }
    }
}

/// The flags of the program, where it is the one.
fn deployment(object: &Object, values: &mut Value) -> Option<Account> {
    let containers = object.value.pointer("/spec/template/spec/containers")?.as_array()?;
    let ours = |it: &&Value| it.get("name").and_then(Value::as_str) == Some("policy-controller-webhook");
    let container = containers.iter().find(ours)?;
    let arguments = container.get("args").and_then(Value::as_array).into_iter().flatten();
    let arguments = arguments.filter_map(Value::as_str).collect::<Vec<_>>();
    let mut notes = Vec::new();
    if let Some(replicas) =
        object.value.pointer("/spec/replicas").and_then(Value::as_u64).filter(|it| *it > 2)
    {
        values["replicas"] = json!(replicas);
    }
    if let Some(name) = flag(&arguments, "webhook-name") {
        values["webhook"]["name"] = json!(name);
    }
    let (mirror, root) = (flag(&arguments, "tuf-mirror"), flag(&arguments, "tuf-root"));
    if mirror.is_some() || root.is_some() {
        let mirror = mirror.unwrap_or("https://tuf-repo-cdn.sigstore.dev");
        let tuf = json!({"mirror": mirror, "root": "/etc/countersign/files/root.json"});
        values["config"]["trust"] = json!({"root": {"tuf": tuf}});
        let of = root.unwrap_or("the repository");
        notes.push(Note::Look(format!(
            "policies that name no trust root rest on {mirror}: give its root.json ({of}) with --set-file files.root\\\\.json=FILE"
        )));
    }
    if flag(&arguments, "disable-tuf").is_some_and(|it| it != "false") {
        notes.push(Note::Differs(
            "--disable-tuf: policies that name no trust root rest on the built-in one of the public Sigstore, without a network"
                .to_owned(),
        ));
    }
    Some(Account { object: object.origin().to_owned(), notes })
}

/// What a flag is set to: `-flag=value`, `-flag value` or `-flag` alone, with one dash or two.
fn flag<'a>(arguments: &[&'a str], name: &str) -> Option<&'a str> {
    arguments.iter().enumerate().find_map(|(index, argument)| {
        let rest = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'))?.strip_prefix(name)?;
        match rest.strip_prefix('=') {
            Some(value) => Some(value),
            None if rest.is_empty() => Some(
                arguments.get(index + 1).copied().filter(|next| !next.starts_with('-')).unwrap_or("true"),
            ),
            None => None,
        }
    })
}

fn config_map(object: &Object, objects: &Objects, values: &mut Value) -> Option<Account> {
    let notes = match object.name.as_str() {
        "config-policy-controller" => {
            object.entries().filter_map(|(key, value)| setting(key, value, values)).collect()
        }
        "config-image-policies" => compiled(object, objects, "ClusterImagePolicy"),
        "config-sigstore-keys" => compiled(object, objects, "TrustRoot"),
        _ => return None,
    };
    Some(Account { object: object.origin().to_owned(), notes })
}

fn setting(key: &str, value: &str, values: &mut Value) -> Option<Note> {
    let on = ["1", "t", "T", "true", "TRUE", "True"].contains(&value);
    match key {
        "no-match-policy" => {
            // What it does not know is `deny` for policy-controller too.
            if ["warn", "allow"].contains(&value) {
                values["config"]["policies"]["noMatch"] = json!(value);
            }
            None
        }
        "fail-on-empty-authorities" if on => None,
        "fail-on-empty-authorities" => Some(Note::Differs(format!(
            "{key} is {value}: a policy without authorities is refused here; write `static: {{action: pass}}` to let everything in"
        ))),
        "enable-oci11" if on => Some(Note::Differs(format!(
            "{key} is {value}: the referrers API is always asked, and what it lists is verified like everything else"
        ))),
        "enable-oci11" => None,
        other => Some(Note::Look(format!("{other} is not known here"))),
    }
}

/// What policy-controller has compiled, against the objects that it is from.
fn compiled(object: &Object, objects: &Objects, kind: &'static str) -> Vec<Note> {
    let kinds: &'static [&'static str] =
        if kind == "TrustRoot" { &["TrustRoot"] } else { &["ClusterImagePolicy"] };
    let without = object.entries().filter(|(name, _)| objects.named(WEBHOOK, kind, name).is_none()).map(|(name, _)| {
        Note::Differs(format!("{name} is in force, and no {kind} of that name was read: export it too, or nothing speaks of it"))
    });
    let missing = objects.of(WEBHOOK, kinds).filter(|it| !object.entries().any(|(name, _)| name == it.name));
    let missing = missing.map(|it| {
        Note::Differs(format!(
            "{} is not in it: policy-controller could not compile it and ignores it, and here it binds",
            it.name
        ))
    });
    without.chain(missing).collect()
}

/// The configuration whose webhook is asked about Pods.
fn webhook(object: &Object, values: &mut Value) -> Option<Account> {
    let webhooks = object.value.get("webhooks").and_then(Value::as_array)?;
    let named = values["webhook"]["name"].as_str().unwrap_or(WEBHOOK).to_owned();
    let ours = |it: &&Value| it.get("name").and_then(Value::as_str) == Some(&named);
    let webhook = webhooks.iter().find(ours)?;
    let mut notes = Vec::new();
    if let Some(selector) = webhook.get("namespaceSelector") {
        values["webhook"]["namespaceSelector"] = selector.clone();
    }
    if webhook.get("failurePolicy").and_then(Value::as_str) == Some("Ignore") {
        values["webhook"]["failurePolicy"] = json!("Ignore");
        notes.push(Note::Look(
            "failurePolicy is Ignore: whatever stops the webhook lets everything in".to_owned(),
        ));
    }
    if let Some(seconds) = webhook.get("timeoutSeconds").and_then(Value::as_u64) {
        values["webhook"]["timeoutSeconds"] = json!(seconds);
    }
    if let Some(conditions) = webhook.get("matchConditions") {
        values["webhook"]["matchConditions"] = conditions.clone();
    }
    let objects = webhook.get("objectSelector").and_then(Value::as_object);
    if objects.is_some_and(|selector| !selector.is_empty()) {
        notes.push(Note::Differs(
            "objectSelector is left out, and so every Pod of these namespaces is judged: say it in CEL, in webhook.matchConditions"
                .to_owned(),
        ));
    }
    Some(Account { object: object.origin().to_owned(), notes })
}

/// The namespaces that take part, and those that no longer will.
fn namespaces(objects: &Objects, installation: &str, values: &Value) -> (Option<Vec<String>>, Vec<Account>) {
    let all = objects.of("", &["Namespace"]).collect::<Vec<_>>();
    if all.is_empty() {
        return (None, Vec::new());
    }
    let included = json!({"matchLabels": {"policy.sigstore.dev/include": "true"}});
    let selector = values["webhook"].get("namespaceSelector").unwrap_or(&included);
    let part = all.iter().filter(|it| selects(selector, it.value.pointer("/metadata/labels")));
    let (out, part): (Vec<&Object>, Vec<&Object>) =
        part.copied().partition(|it| EXEMPT.contains(&it.name.as_str()) || it.name == installation);
    let out = out.into_iter().map(|it| Account {
        object: it.origin().to_owned(),
        notes: vec![Note::Differs(
            "takes part now, and is never sent to the webhook here, so that the cluster can start: webhook.exemptNamespaces".to_owned(),
        )],
    });
    let out = out.collect();
    (Some(part.into_iter().map(|it| it.name.clone()).collect()), out)
}
