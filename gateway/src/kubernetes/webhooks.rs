//! What an API server is told so that it asks this gateway: of every object that starts images, and of every policy.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::config::Kind;

/// Where the label and the annotation of ours are.
pub(super) const INJECT: &str = "policy.countersign.dev/inject-ca";

/// The namespaces that are never asked about: the nodes and the gateway itself have to come up while nobody can answer.
pub(super) const SYSTEM: &str = "kube-system";

/// What the configurations say.
#[derive(Clone, Debug)]
pub struct Webhooks {
    /// What the configurations, and the webhook in messages, are called: `policy.sigstore.dev` where nothing speaks against it.
    pub name: String,
    /// Where an API server finds the gateway.
    pub at: At,
    /// The certificate authorities of the gateway's certificate, in PEM. Without, the gateway fills in its own.
    pub ca: Option<String>,
    /// The namespace of the installation, which is not asked about.
    pub namespace: String,
    /// What is asked about besides what comes with Kubernetes, in whichever version.
    pub kinds: Vec<Kind>,
}

/// Where an API server finds the gateway.
#[derive(Clone, Debug)]
pub enum At {
    /// A Service in the namespace of the installation, on port 443.
    Service(String),
    /// An `https` URL without a path.
    Url(String),
}

/// The pod-bearing kinds: group, version and the kinds in the plural.
const WORKLOADS: &[(&str, &str, &[&str])] = &[
    ("", "v1", &["pods", "pods/ephemeralcontainers", "replicationcontrollers", "podtemplates"]),
    ("apps", "v1", &["deployments", "replicasets", "statefulsets", "daemonsets"]),
    ("batch", "v1", &["jobs", "cronjobs"]),
];

/// The kinds that policies are written as.
const POLICIES: &[(&str, &str, &[&str])] = &[
    ("policy.sigstore.dev", "*", &["clusterimagepolicies", "trustroots"]),
    ("policy.countersign.dev", "*", &["imagepolicies", "revocations"]),
];

impl Webhooks {
    /// The configurations, as YAML documents for `kubectl apply`.
    ///
    /// # Errors
    /// Never, as far as the writer of YAML goes.
    pub fn yaml(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        for configuration in self.configurations() {
            text.push_str("---\n");
            let document = serde_saphyr::to_string(&configuration)?;
            text.push_str(document.trim_end());
            text.push('\n');
        }
        Ok(text)
    }

    fn configurations(&self) -> [Value; 4] {
        let [defaulting, validating] = of_policies(&self.name);
        let others: Vec<_> = self.kinds.iter().map(|kind| [kind.resource.as_str()]).collect();
        let others =
            self.kinds.iter().zip(&others).map(|(kind, resource)| (&*kind.group, "*", &resource[..]));
        let workloads: Vec<_> = WORKLOADS.iter().copied().chain(others).collect();
        let mut mutate = self.webhook(&self.name, "/admission/mutate", &workloads);
        // Whoever changes an image after us is asked about again.
        mutate["reinvocationPolicy"] = json!("IfNeeded");
        let mut validate = self.webhook(&self.name, "/admission/validate", &workloads);
        for webhook in [&mut mutate, &mut validate] {
            webhook["namespaceSelector"] = json!({"matchExpressions": [
                {"key": "policy.sigstore.dev/include", "operator": "In", "values": ["true"]},
                exempt(&self.namespace),
            ]});
        }
        let default_policy = self.webhook(&defaulting, "/admission/policies/default", POLICIES);
        let validate_policy = self.webhook(&validating, "/admission/policies/validate", POLICIES);
        [
            self.configuration("Mutating", &self.name, &mutate),
            self.configuration("Validating", &self.name, &validate),
            self.configuration("Mutating", &defaulting, &default_policy),
            self.configuration("Validating", &validating, &validate_policy),
        ]
    }

    fn configuration(&self, kind: &str, name: &str, webhook: &Value) -> Value {
        let mut metadata = json!({"name": name, "labels": {"app.kubernetes.io/name": "countersign"}});
        if self.ca.is_none() {
            metadata["labels"][INJECT] = json!("true");
        }
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": format!("{kind}WebhookConfiguration"),
            "metadata": metadata, "webhooks": [webhook],
        })
    }

    fn webhook(&self, name: &str, path: &str, kinds: &[(&str, &str, &[&str])]) -> Value {
        let rules = kinds.iter().map(|(group, version, resources)| {
            json!({
                "apiGroups": [group], "apiVersions": [version], "resources": resources,
                "operations": ["CREATE", "UPDATE"], "scope": "*",
            })
        });
        let mut client = match &self.at {
            At::Service(service) => {
                json!({"service": {"namespace": self.namespace, "name": service, "path": path, "port": 443}})
            }
            At::Url(url) => json!({"url": format!("{}{path}", url.trim_end_matches('/'))}),
        };
        if let Some(ca) = &self.ca {
            client["caBundle"] = json!(base64::engine::general_purpose::STANDARD.encode(ca));
        }
        json!({
            "name": name, "clientConfig": client, "rules": rules.collect::<Vec<_>>(),
            "admissionReviewVersions": ["v1"], "sideEffects": "None", "matchPolicy": "Equivalent",
            // What cannot be asked about does not run.
            "failurePolicy": "Fail", "timeoutSeconds": 10,
        })
    }
}

/// What the configurations are called that are about policies themselves.
pub(super) fn of_policies(name: &str) -> [String; 2] {
    ["defaulting", "validating"].map(|does| format!("{does}.clusterimagepolicy.{}", domain(name)))
}

/// The part of a name that is not the gateway's own: a webhook's name has three parts at least.
fn domain(name: &str) -> &str {
    name.strip_prefix("policy.").unwrap_or(name)
}

/// What keeps the nodes' and the gateway's own namespace out.
pub(super) fn exempt(namespace: &str) -> Value {
    json!({"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": [SYSTEM, namespace]})
}
