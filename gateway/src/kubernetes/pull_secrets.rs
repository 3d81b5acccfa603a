//! Pull secrets, read when somebody's image needs one and not before. Nothing of them is kept.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::Api;
use kube::api::DynamicObject;
use kube::discovery::ApiResource;
use serde_json::Value;
use tokio::sync::Semaphore;
use upstream::PullSecret;

use super::Cluster;
use super::kind::Kind;
use super::watch::said;

/// What reads them.
pub(crate) struct PullSecrets {
    cluster: Arc<Cluster>,
    room: Semaphore,
}

/// Why something cannot be used, after its name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Unusable {
    /// There is none of this name.
    Absent,
    /// It is there, and no pull secret.
    Other(String),
    /// The API server does not say: why.
    Unread(String),
}

/// How many are read at once: an API server that answers slowly is not asked more for it.
const ROOM: usize = 32;

/// The types of Secrets that kubelets pull with, and the key of what is in each.
const DOCKER_CONFIG: (&str, &str) = ("kubernetes.io/dockerconfigjson", ".dockerconfigjson");
const DOCKER_CFG: (&str, &str) = ("kubernetes.io/dockercfg", ".dockercfg");

impl PullSecrets {
    /// Reads from this cluster.
    pub(crate) fn of(cluster: Arc<Cluster>) -> Arc<Self> {
        Arc::new(Self { cluster, room: Semaphore::new(ROOM) })
    }

    /// The Secret of this name.
    ///
    /// # Errors
    /// [`Unusable`].
    pub(crate) async fn named(&self, namespace: &str, name: &str) -> Result<PullSecret, Unusable> {
        pull_secret(&self.get(&Kind::Secret.resource(), namespace, name).await?)
    }

    /// The names of the pull secrets of a service account.
    ///
    /// # Errors
    /// [`Unusable`].
    pub(crate) async fn of_account(&self, namespace: &str, name: &str) -> Result<Vec<String>, Unusable> {
        let account = self.get(&service_accounts(), namespace, name).await?;
        let named = account.data.get("imagePullSecrets").and_then(Value::as_array);
        let name = |entry: &Value| entry.get("name")?.as_str().map(str::to_owned);
        Ok(named.into_iter().flatten().filter_map(name).collect())
    }

    async fn get(&self, kind: &ApiResource, namespace: &str, name: &str) -> Result<DynamicObject, Unusable> {
        if !is_name(name) {
            return Err(Unusable::Other("is no name that anything has".into()));
        }
        let client = self.cluster.client.get();
        let client = client.ok_or_else(|| Unusable::Unread("there is no way to the API server".into()))?;
        let _room = self.room.acquire().await.map_err(|_| Unusable::Unread("shutting down".into()))?;
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, kind);
        match api.get_opt(name).await {
            Ok(Some(object)) => Ok(object),
            Ok(None) => Err(Unusable::Absent),
            Err(error) => Err(Unusable::Unread(said(error))),
        }
    }
}

/// Whether a text is the name of an object: a DNS subdomain (RFC 1123). It becomes part of a path, and whoever wrote it into a
/// Pod may have had another in mind: the API server lets anything stand there.
fn is_name(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 253 && bytes.iter().copied().all(allowed) && ends(bytes.first()) && ends(bytes.last())
}

fn service_accounts() -> ApiResource {
    ApiResource {
        group: String::new(),
        version: "v1".into(),
        api_version: "v1".into(),
        kind: "ServiceAccount".into(),
        plural: "serviceaccounts".into(),
    }
}

fn pull_secret(secret: &DynamicObject) -> Result<PullSecret, Unusable> {
    let is = secret.data.get("type").and_then(Value::as_str).unwrap_or_default();
    let (read, key): (fn(&[u8]) -> _, _) = if is == DOCKER_CONFIG.0 {
        (PullSecret::from_docker_config, DOCKER_CONFIG.1)
    } else if is == DOCKER_CFG.0 {
        (PullSecret::from_docker_cfg, DOCKER_CFG.1)
    } else {
        return Err(Unusable::Other(format!("is of type {is:?}, which nothing is pulled with")));
    };
    let text = secret.data.pointer(&format!("/data/{key}")).and_then(Value::as_str).unwrap_or_default();
    let text = STANDARD.decode(text).map_err(|_| Unusable::Other(format!("has no {key}")))?;
    read(&text).map_err(|error| Unusable::Other(error.to_string()))
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("does not exist"),
            Self::Other(why) => f.write_str(why),
            Self::Unread(why) => write!(f, "could not be read: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(is: &str, key: &str, text: &str) -> DynamicObject {
        let data = serde_json::json!({"type": is, "data": {key: STANDARD.encode(text)}});
        DynamicObject { types: None, metadata: kube::core::ObjectMeta::default(), data }
    }

    #[test]
    fn what_could_lead_elsewhere_is_no_name() {
        for name in ["regcred", "a", "registry.example-1"] {
            assert!(is_name(name), "{name}");
        }
        let long = "a".repeat(254);
        for text in ["", ".", "..", "../x", "a/b", "a?b", "a#b", "a%2fb", "A", "a b", "-a", "a.", &long] {
            assert!(!is_name(text), "{text}");
        }
    }

    #[test]
    fn only_what_kubelets_pull_with_is_read() {
        let entries = r#"{"registry.example": {"username": "u", "password": "p"}}"#;
        let config = format!(r#"{{"auths": {entries}}}"#);
        assert!(pull_secret(&secret(DOCKER_CONFIG.0, DOCKER_CONFIG.1, &config)).is_ok());
        assert!(pull_secret(&secret(DOCKER_CFG.0, DOCKER_CFG.1, entries)).is_ok());
        for (is, key, text) in [
            ("Opaque", DOCKER_CONFIG.1, &*config),
            (DOCKER_CONFIG.0, DOCKER_CFG.1, entries),
            (DOCKER_CONFIG.0, DOCKER_CONFIG.1, "hunter2"),
        ] {
            let refused = pull_secret(&secret(is, key, text)).unwrap_err();
            assert!(!refused.to_string().contains("hunter2"), "{refused}");
        }
    }
}
