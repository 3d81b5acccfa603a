//! Keeping webhook configurations true: whom API servers are to trust, and what they never ask about.
//!
//! Only configurations with our label are touched: others may have the same name, policy-controller's for one.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::discovery::ApiResource;
use serde_json::{Value, json};

use super::Cluster;
use super::certificates::{Kept, SECRET, secrets};
use super::kind::Kind;
use super::watch::said;
use super::webhooks::{INJECT, exempt, of_policies};

/// How often all of it is looked at. A certificate is made in one round, trusted in the next and shown in the one after.
const ROUND: Duration = Duration::from_secs(10);

/// How long a round may take.
const ANSWER: Duration = Duration::from_secs(20);

/// Keeps the certificate and the configurations, for ever.
pub(super) async fn keep(cluster: &Cluster, client: &Client) {
    let mut complaint = None;
    loop {
        let done = tokio::time::timeout(ANSWER, round(cluster, client)).await;
        let done = done.unwrap_or_else(|_| Err("no answer came in time".to_owned()));
        if let Err(why) = &done
            && complaint.as_ref() != Some(why)
        {
            tracing::error!(why, "the webhooks' certificate cannot be kept");
        }
        complaint = done.err();
        tokio::time::sleep(ROUND).await;
    }
}

/// One step, at most, of whatever is to be done.
async fn round(cluster: &Cluster, client: &Client) -> Result<(), String> {
    let configurations = configurations(cluster, client).await?;
    if configurations.is_empty() {
        return Ok(());
    }
    let names = names(&configurations);
    let now = i64::try_from(crate::clock::seconds_since_1970()).unwrap_or(i64::MAX);
    let api = secrets(client, &cluster.settings.namespace);
    let Some(mut secret) = api.get_opt(SECRET).await.map_err(said)? else {
        let mut secret = DynamicObject::new(SECRET, &Kind::Secret.resource());
        Kept::first(&names, now).map_err(|error| error.to_string())?.write(&mut secret);
        // It is shown by the next round.
        return api.create(&PostParams::default(), &secret).await.map(drop).map_err(said);
    };
    let kept = Kept::read(&secret).ok_or_else(|| format!("the Secret {SECRET} is none of ours"))?;
    let fits = inject(&configurations, &kept.authorities, &cluster.settings.namespace).await?;
    let next = if kept.is_due(&names, now) {
        Some(kept.prepared(&names, now).map_err(|error| error.to_string())?)
    } else {
        // Whoever was to trust it has done so for a round.
        kept.promoted().filter(|_| fits)
    };
    let Some(next) = next else { return Ok(()) };
    next.write(&mut secret);
    tracing::info!(secret = SECRET, "the webhooks' certificate moves on");
    api.replace(SECRET, &PostParams::default(), &secret).await.map(drop).map_err(said)
}

type Configurations = Vec<(Api<DynamicObject>, DynamicObject)>;

/// The configurations of our name and with our label.
async fn configurations(cluster: &Cluster, client: &Client) -> Result<Configurations, String> {
    let [defaulting, validating] = of_policies(&cluster.webhook);
    let mut found = Vec::new();
    for (kind, names) in [
        ("MutatingWebhookConfiguration", [&cluster.webhook, &defaulting]),
        ("ValidatingWebhookConfiguration", [&cluster.webhook, &validating]),
    ] {
        let resource = ApiResource {
            group: "admissionregistration.k8s.io".into(),
            version: "v1".into(),
            api_version: "admissionregistration.k8s.io/v1".into(),
            kind: kind.into(),
            plural: format!("{}s", kind.to_lowercase()),
        };
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        for name in names {
            let configuration = api.get_opt(name).await.map_err(said)?;
            let ours = |object: &DynamicObject| {
                object
                    .metadata
                    .labels
                    .as_ref()
                    .is_some_and(|labels| labels.get(INJECT).is_some_and(|it| it == "true"))
            };
            found.extend(configuration.filter(ours).map(|configuration| (api.clone(), configuration)));
        }
    }
    Ok(found)
}

fn webhooks(configuration: &DynamicObject) -> impl Iterator<Item = &Value> {
    configuration.data["webhooks"].as_array().into_iter().flatten()
}

/// The names under which the gateway is asked.
fn names(configurations: &Configurations) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    for webhook in configurations.iter().flat_map(|(_, configuration)| webhooks(configuration)) {
        let client = &webhook["clientConfig"];
        if let (Some(name), Some(namespace)) =
            (client["service"]["name"].as_str(), client["service"]["namespace"].as_str())
        {
            names.insert(format!("{name}.{namespace}.svc"));
        }
        let url = client["url"].as_str().and_then(|url| url.parse::<http::Uri>().ok());
        names.extend(url.and_then(|url| url.host().map(str::to_owned)));
    }
    names
}

/// Changes what is not as it should be. Whether nothing had to be changed.
async fn inject(configurations: &Configurations, authorities: &str, namespace: &str) -> Result<bool, String> {
    let bundle = json!(base64::engine::general_purpose::STANDARD.encode(authorities));
    let mut fits = true;
    for (api, configuration) in configurations {
        let mut wanted: Vec<Value> = webhooks(configuration).cloned().collect();
        for webhook in &mut wanted {
            webhook["clientConfig"]["caBundle"] = bundle.clone();
            spare(webhook, namespace);
        }
        if webhooks(configuration).eq(&wanted) {
            continue;
        }
        fits = false;
        let name = configuration.metadata.name.as_deref().unwrap_or_default();
        let version = &configuration.metadata.resource_version;
        let patch = Patch::Merge(json!({"metadata": {"resourceVersion": version}, "webhooks": wanted}));
        api.patch(name, &PatchParams::default(), &patch).await.map_err(said)?;
        tracing::info!(configuration = name, "a webhook configuration was put right");
    }
    Ok(fits)
}

/// Keeps the nodes' and the gateway's own namespace out of a webhook that is asked about objects.
fn spare(webhook: &mut Value, namespace: &str) {
    let client = &webhook["clientConfig"];
    let path = client["service"]["path"].as_str().or_else(|| client["url"].as_str()).unwrap_or_default();
    if !path.ends_with("/admission/mutate") && !path.ends_with("/admission/validate") {
        return;
    }
    let wanted = exempt(namespace);
    let expressions = &mut webhook["namespaceSelector"]["matchExpressions"];
    let covers = |expression: &Value| {
        expression["key"] == wanted["key"]
            && expression["operator"] == "NotIn"
            && wanted["values"]
                .as_array()
                .into_iter()
                .flatten()
                .all(|value| expression["values"].as_array().is_some_and(|values| values.contains(value)))
    };
    if let Value::Array(expressions) = expressions {
        if !expressions.iter().any(covers) {
            expressions.push(wanted);
        }
    } else {
        *expressions = json!([wanted]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_and_the_gateway_are_not_asked_about_whatever_somebody_wrote() {
        let url = json!({"url": "https://a/admission/validate"});
        let mut webhook = json!({"clientConfig": url, "namespaceSelector": {"matchExpressions": [
            {"key": "policy.sigstore.dev/include", "operator": "In", "values": ["true"]},
        ]}});
        spare(&mut webhook, "own");
        let expressions = webhook["namespaceSelector"]["matchExpressions"].as_array().unwrap().clone();
        assert_eq!(expressions.len(), 2);
        assert_eq!(expressions[1]["values"], json!(["kube-system", "own"]));
        spare(&mut webhook, "own");
        assert_eq!(webhook["namespaceSelector"]["matchExpressions"].as_array().unwrap().len(), 2);
        let mut webhook = json!({"clientConfig": url});
        spare(&mut webhook, "own");
        assert_eq!(webhook["namespaceSelector"]["matchExpressions"][0], exempt("own"));
        let mut policies = json!({"clientConfig": {"url": "https://a/admission/policies/validate"}});
        spare(&mut policies, "own");
        assert!(policies["namespaceSelector"].is_null());
    }
}
