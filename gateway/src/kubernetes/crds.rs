//! The kinds of objects that policies are written as, as an API server is told of them.
//!
//! The parser has the last word on every object: a schema checks what is cheap to check, and lets fields that nobody knows
//! through to the parser, which refuses them. An API server would drop them, and leave a policy in force that is weaker than
//! the one that was written.

mod schema;
mod specs;
mod tenant;

use serde_json::{Value, json};

use self::schema::Schema;

/// What a definition is made from.
struct Definition {
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
    scope: &'static str,
    /// All of which say the same. The last one is stored.
    versions: &'static [&'static str],
    description: &'static str,
    spec: Schema,
    columns: Vec<Value>,
}

fn definitions() -> [Definition; 5] {
    [
        Definition {
            group: "policy.sigstore.dev",
            kind: "ClusterImagePolicy",
            plural: "clusterimagepolicies",
            short: &["cip"],
            scope: "Cluster",
            versions: &["v1beta1", "v1alpha1"],
            description: "Which signatures images need, in the whole cluster.",
            spec: specs::policy(),
            columns: policy_columns(),
        },
        Definition {
            group: "policy.sigstore.dev",
            kind: "TrustRoot",
            plural: "trustroots",
            short: &[],
            scope: "Cluster",
            versions: &["v1alpha1"],
            description: "Whom policies trust that name it by trustRootRef.",
            spec: specs::trust_root(),
            columns: columns(&[]),
        },
        Definition {
            group: "policy.countersign.dev",
            kind: "ImagePolicy",
            plural: "imagepolicies",
            short: &["ip"],
            scope: "Namespaced",
            versions: &["v1alpha1"],
            description: "What the images of one namespace need besides what the cluster asks for. It holds all that it needs \
                          itself, and names nothing elsewhere.",
            spec: specs::policy(),
            columns: policy_columns(),
        },
        Definition {
            group: "policy.countersign.dev",
            kind: "Revocation",
            plural: "revocations",
            short: &[],
            scope: "Cluster",
            versions: &["v1alpha1"],
            description: "Signatures that count for nothing any more, and images that may not run whoever signed them.",
            spec: specs::revocation(),
            columns: columns(&[("Why", "string", ".spec.reason")]),
        },
        Definition {
            group: "policy.countersign.dev",
            kind: "Tenant",
            plural: "tenants",
            short: &[],
            scope: "Cluster",
            versions: &["v1alpha1"],
            description: "One of many whom a gateway serves, and whom none of the others can touch: the same as tenants[] of its \
                          configuration. It counts where policies.tenantObjects is true.",
            spec: tenant::spec(),
            columns: columns(&[("Contact", "string", ".spec.contact")]),
        },
    ]
}

fn policy_columns() -> Vec<Value> {
    columns(&[("Mode", "string", ".spec.mode"), ("Images", "integer", ".status.images")])
}

/// The columns of `kubectl get`: whether it is in force, these, its age and what is wrong with it.
fn columns(own: &[(&str, &str, &str)]) -> Vec<Value> {
    const READY: &str = r#".status.conditions[?(@.type=="Ready")].status"#;
    const REASON: &str = r#".status.conditions[?(@.type=="Ready")].reason"#;
    const MESSAGE: &str = r#".status.conditions[?(@.type=="Ready")].message"#;
    let column =
        |(name, kind, path): &(&str, &str, &str)| json!({"name": name, "type": kind, "jsonPath": path});
    let first = [("Ready", "string", READY)];
    let last = [
        ("Reason", "string", REASON),
        ("Age", "date", ".metadata.creationTimestamp"),
        ("Message", "string", MESSAGE),
    ];
    first.iter().chain(own).chain(&last).map(column).collect()
}

impl Definition {
    fn render(&self) -> Value {
        let root = Schema::object(self.description)
            .field("spec", self.spec.clone())
            .field("status", specs::status())
            .required(&["spec"])
            .root();
        let last = self.versions.len() - 1;
        let versions = self.versions.iter().enumerate().map(|(index, version)| {
            json!({
                "name": version, "served": true, "storage": index == last,
                "schema": {"openAPIV3Schema": root}, "subresources": {"status": {}},
                "additionalPrinterColumns": self.columns,
            })
        });
        let mut spec = json!({
            "group": self.group,
            "names": {
                "kind": self.kind, "listKind": format!("{}List", self.kind), "plural": self.plural,
                "singular": self.kind.to_lowercase(), "shortNames": self.short, "categories": ["all", "sigstore"],
            },
            "scope": self.scope,
            "versions": versions.collect::<Vec<_>>(),
        });
        if self.versions.len() > 1 {
            // All versions say the same, so nobody has to be asked: an API server changes the version itself, and a policy
            // can be read while no webhook answers.
            spec["conversion"] = json!({"strategy": "None"});
        }
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{}.{}", self.plural, self.group), "labels": {"app.kubernetes.io/name": "countersign"}},
            "spec": spec,
        })
    }
}

/// Every definition, as YAML documents for `kubectl apply`.
///
/// # Errors
/// Never, as far as the writer of YAML goes.
pub fn yaml() -> anyhow::Result<String> {
    let mut text = String::new();
    for definition in definitions() {
        text.push_str("---\n");
        let mut document = serde_saphyr::to_string(&definition.render())?;
        if !document.ends_with('\n') {
            document.push('\n');
        }
        text.push_str(&document);
    }
    Ok(text)
}
