//! Tenants: who is one, and that none can touch another.

pub(crate) mod certificates;
pub(crate) mod isolation;
mod many;
mod private;
mod recognition;
mod timing;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testkit::authority::Identity;
use testkit::registry::{Fault, Seen};

use crate::stage::{DoorClient, Gateway, HOST, POLICY, Reply, Stage, pod, review};

/// Two tenants, `a` and `b`, who are told by what they call the gateway. At the origin `acme/private-a` and `acme/private-b` are for
/// whoever shows the password of either, and all else is for everybody.
pub(crate) struct Two {
    pub(crate) stage: Stage,
    pub(crate) rights: Rights,
}

/// Who may read what at the origin: pairs of a user and a repository.
#[derive(Clone, Default)]
pub(crate) struct Rights(Arc<Mutex<HashSet<(String, String)>>>);

impl Rights {
    pub(crate) fn give(&self, user: &str, repository: &str) {
        self.0.lock().unwrap().insert((user.to_owned(), repository.to_owned()));
    }

    pub(crate) fn take(&self, user: &str, repository: &str) {
        self.0.lock().unwrap().remove(&(user.to_owned(), repository.to_owned()));
    }

    fn refuses(&self, seen: &Seen) -> bool {
        let Some(path) = seen.path.strip_prefix("/v2/acme/private-") else { return false };
        let repository = format!("acme/private-{}", path.split('/').next().unwrap());
        let user = user_of(seen).unwrap_or_default();
        !self.0.lock().unwrap().contains(&(user, repository))
    }
}

/// Who logs in with a request. With another password than their own it is somebody else.
pub(crate) fn user_of(seen: &Seen) -> Option<String> {
    let shown = seen.authorization()?.strip_prefix("Basic ")?;
    let shown = String::from_utf8(STANDARD.decode(shown).unwrap()).unwrap();
    let (user, password) = shown.split_once(':').unwrap();
    let is_own = password == format!("password-of-{user}");
    Some(if is_own { user.to_owned() } else { format!("not {user}") })
}

/// Whom the policies of `b` want.
pub(crate) fn nightly() -> Identity {
    Identity::github_workflow("acme/app", "nightly.yaml@refs/heads/main")
}

impl Two {
    pub(crate) async fn new() -> Self {
        Self::on(Stage::new().await)
    }

    pub(crate) fn on(stage: Stage) -> Self {
        let rights = Rights::default();
        let asked = rights.clone();
        let challenge = vec![("www-authenticate", "Basic realm=\"origin\"".to_owned())];
        stage.origin.fault(move |seen| asked.refuses(seen), Fault::StatusWith(401, challenge));
        for user in ["a", "b"] {
            rights.give(user, &format!("acme/private-{user}"));
        }
        let directory = stage.directory.path();
        for user in ["a", "b"] {
            std::fs::write(directory.join(format!("{user}.user")), user).unwrap();
            std::fs::write(directory.join(format!("{user}.password")), format!("password-of-{user}"))
                .unwrap();
        }
        // For all there is a policy that wants nothing of these repositories.
        std::fs::remove_file(directory.join("policies/acme.yaml")).unwrap();
        for user in ["a", "b"] {
            std::fs::create_dir(directory.join(user)).unwrap();
        }
        let two = Self { stage, rights };
        two.want("a", "release.yaml");
        two.want("b", "nightly.yaml");
        two
    }

    /// Has the policy of one of them want what this workflow signed.
    pub(crate) fn want(&self, tenant: &str, workflow: &str) {
        let policy =
            POLICY.replace("acme-is-signed", &format!("own-{tenant}")).replace("release.yaml", workflow);
        std::fs::write(self.stage.directory.path().join(tenant).join("own.yaml"), policy).unwrap();
    }

    /// The keys of one of them, with more of its own.
    pub(crate) fn tenant(&self, name: &str, more: &str) -> String {
        let directory = self.stage.directory.path().display();
        format!(
            "{{name: {name}, namespaces: [ns-{name}], callers: [{{hostnames: [{name}.mirror.example]}}], \
             policies: {{directory: {directory}/{name}}}, upstreams: [{{host: {HOST}, credentials: \
             {{usernameFile: {directory}/{name}.user, passwordFile: {directory}/{name}.password}}}}]{more}}}"
        )
    }

    /// The configuration of a gateway with these tenants, and more keys of `registry`.
    pub(crate) fn keys(&self, tenants: &[String], registry: &str) -> String {
        let directory = self.stage.directory.path().display();
        format!(
            "registry: {{listen: '127.0.0.1:0', accessFreshness: 0s{registry}}}\nadmission: {{listen: '127.0.0.1:0'}}\n\
             policies: {{directory: {directory}/policies}}\ntenants: [{}]\n",
            tenants.join(", ")
        )
    }

    pub(crate) async fn gateway(&self) -> Gateway {
        self.gateway_with(&[self.tenant("a", ""), self.tenant("b", "")]).await
    }

    pub(crate) async fn gateway_with(&self, tenants: &[String]) -> Gateway {
        Gateway::start(&self.stage.configuration(&self.keys(tenants, ""))).await
    }
}

/// Asks the pull door as a tenant that is told by its host name.
pub(crate) async fn pull(gateway: &DoorClient, tenant: &str, path: &str) -> Reply {
    pull_with(gateway, "GET", tenant, path, &[]).await
}

pub(crate) async fn pull_with(
    gateway: &DoorClient,
    method: &str,
    tenant: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Reply {
    let host = format!("{tenant}.mirror.example");
    let headers: Vec<_> = headers.iter().copied().chain([("host", &*host)]).collect();
    gateway.request(method.parse().unwrap(), path, &headers).await
}

/// What admission says of an image in a namespace.
pub(crate) async fn admit(gateway: &DoorClient, namespace: &str, image: &str) -> Value {
    let mut review = review(&pod(&[image]));
    review["request"]["namespace"] = json!(namespace);
    let reply = gateway.post("/admission/validate", review.to_string()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["response"].clone()
}

pub(crate) fn of(repository: &str, what: &str) -> String {
    format!("/v2/{HOST}/{repository}/{what}")
}

/// Every file below a directory.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let all = entries.flat_map(|path| match path.symlink_metadata().unwrap().file_type() {
        kind if kind.is_dir() => files(&path),
        kind if kind.is_file() => vec![path],
        _ => Vec::new(),
    });
    all.collect()
}

/// Why a configuration with these tenants is refused.
fn refused(directory: &Path, keys: &str) -> String {
    let path = directory.join("refused.yaml");
    std::fs::write(&path, keys).unwrap();
    format!("{:#}", anyhow::Error::new(gateway::config::load(Some(&path), std::iter::empty()).unwrap_err()))
}
