//! A TUF repository of our own: what its fields say is signed and laid out as files, right or wrong.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::authority::ManagedKey;

/// A repository under construction. Fields are set, and [`publish`](Self::publish) signs what they say; whoever wants
/// an attack sets them wrong.
#[derive(Clone, Debug)]
pub struct TufRepository {
    /// Who may sign, by role: seeds of keys. A seed that begins with `ed25519:` is of an Ed25519 key, one that begins
    /// with `hex:` of a P-256 key that is written as its point in hexadecimal.
    pub keys: BTreeMap<String, Vec<String>>,
    /// Who does sign, by role, where that is somebody else.
    pub signing: BTreeMap<String, Vec<String>>,
    /// How many have to sign, by role; one where nothing is said.
    pub threshold: BTreeMap<String, usize>,
    /// The version of each role's metadata.
    pub version: BTreeMap<String, u64>,
    /// When each role's metadata expires.
    pub expires: BTreeMap<String, String>,
    /// Whether names of files begin with versions and hashes.
    pub consistent: bool,
    /// The targets of the first role.
    pub targets: BTreeMap<String, Vec<u8>>,
    /// Delegations of the targets role.
    pub delegated: Vec<Delegated>,
    /// Everything that was ever published, by path: metadata, and targets below `targets/`.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// A role that the targets role delegates to.
#[derive(Clone, Debug)]
pub struct Delegated {
    /// Its name. Its keys are in [`TufRepository::keys`].
    pub name: String,
    /// Which targets it may vouch for.
    pub pattern: String,
    /// Whether nobody is asked after it.
    pub terminating: bool,
    /// What it vouches for.
    pub targets: BTreeMap<String, Vec<u8>>,
}

const ROLES: [&str; 4] = ["root", "timestamp", "snapshot", "targets"];

impl TufRepository {
    /// A repository with a `trusted_root.json`, in its first version and of one key a role, that expires in 2100.
    pub fn new(seed: &str, trusted_root: &str) -> Self {
        let each = |value: &dyn Fn(&str) -> String| {
            ROLES.iter().map(|role| ((*role).to_owned(), value(role))).collect::<BTreeMap<_, _>>()
        };
        let mut repository = Self {
            keys: each(&|role| format!("{seed}/{role}")).into_iter().map(|(k, v)| (k, vec![v])).collect(),
            signing: BTreeMap::new(),
            threshold: BTreeMap::new(),
            version: ROLES.iter().map(|role| ((*role).to_owned(), 1)).collect(),
            expires: each(&|_| "2100-01-01T00:00:00Z".to_owned()),
            consistent: true,
            targets: BTreeMap::from([("trusted_root.json".to_owned(), trusted_root.as_bytes().to_vec())]),
            delegated: Vec::new(),
            files: BTreeMap::new(),
        };
        repository.publish();
        repository
    }

    /// A root that was published.
    ///
    /// # Panics
    /// If there was none of this version.
    pub fn root(&self, version: u64) -> &[u8] {
        &self.files[&format!("{version}.root.json")]
    }

    /// Gives a role's metadata the next version.
    pub fn bump(&mut self, role: &str) {
        *self.version.entry(role.to_owned()).or_default() += 1;
    }

    /// Publishes another target in the next version of everything but the root.
    pub fn update(&mut self, trusted_root: &str) {
        self.targets.insert("trusted_root.json".to_owned(), trusted_root.as_bytes().to_vec());
        ["timestamp", "snapshot", "targets"].iter().for_each(|role| self.bump(role));
        self.publish();
    }

    /// Gives a role other keys, in a new root that the old keys of the root and its new ones sign.
    pub fn rotate(&mut self, role: &str, keys: &[&str]) {
        let before = self.keys["root"].clone();
        self.keys.insert(role.to_owned(), keys.iter().map(|key| (*key).to_owned()).collect());
        self.bump("root");
        let both = [before, self.keys["root"].clone()].concat();
        let signing = self.signing.insert("root".to_owned(), both);
        self.publish();
        self.signing.remove("root");
        self.signing.extend(signing.map(|signing| ("root".to_owned(), signing)));
    }

    /// Signs and lays out the root alone.
    pub fn publish_root(&mut self) {
        let root = self.signed_root();
        self.put("root", &root);
    }

    /// Signs and lays out what the fields say, over what was there.
    pub fn publish(&mut self) {
        self.publish_root();
        let mut meta = Map::new();
        for Delegated { name, targets, .. } in self.delegated.clone() {
            let signed = self.head("targets", &name, json!({"targets": self.describe(&targets)}));
            meta.insert(format!("{name}.json"), self.put(&name, &signed));
            self.lay_out(&targets);
        }
        let targets = self.targets.clone();
        self.lay_out(&targets);
        let mut body = json!({"targets": self.describe(&targets)});
        if !self.delegated.is_empty() {
            body["delegations"] = self.delegations();
        }
        let signed = self.head("targets", "targets", body);
        meta.insert("targets.json".to_owned(), self.put("targets", &signed));
        let signed = self.head("snapshot", "snapshot", json!({"meta": meta}));
        let pin = self.put("snapshot", &signed);
        let signed = self.head("timestamp", "timestamp", json!({"meta": {"snapshot.json": pin}}));
        self.put("timestamp", &signed);
    }

    /// What a root of these fields says.
    fn signed_root(&self) -> Value {
        let roles = ROLES.iter().map(|role| ((*role).to_owned(), self.role(role))).collect::<Map<_, _>>();
        let keys =
            ROLES.iter().flat_map(|role| &self.keys[*role]).map(|seed| entry(seed)).collect::<Map<_, _>>();
        self.head(
            "root",
            "root",
            json!({"consistent_snapshot": self.consistent, "keys": keys, "roles": roles}),
        )
    }

    fn role(&self, role: &str) -> Value {
        let ids: Vec<String> = self.keys[role].iter().map(|seed| entry(seed).0).collect();
        json!({"keyids": ids, "threshold": self.threshold.get(role).unwrap_or(&1)})
    }

    fn delegations(&self) -> Value {
        let keys = self.delegated.iter().flat_map(|role| &self.keys[&role.name]);
        let keys = keys.map(|seed| entry(seed)).collect::<Map<_, _>>();
        let roles: Vec<Value> = self
            .delegated
            .iter()
            .map(|delegated| {
                let mut role = self.role(&delegated.name);
                role["name"] = json!(delegated.name);
                role["paths"] = json!([delegated.pattern]);
                role["terminating"] = json!(delegated.terminating);
                role
            })
            .collect();
        json!({"keys": keys, "roles": roles})
    }

    fn head(&self, kind: &str, role: &str, mut body: Value) -> Value {
        body["_type"] = json!(kind);
        body["spec_version"] = json!("1.0.31");
        body["version"] = json!(self.version.get(role).unwrap_or(&1));
        body["expires"] = json!(self.expires.get(role).unwrap_or_else(|| &self.expires["targets"]));
        body
    }

    fn describe(&self, targets: &BTreeMap<String, Vec<u8>>) -> Value {
        let entry = |bytes: &Vec<u8>| json!({"length": bytes.len(), "hashes": {"sha256": hash(bytes)}});
        targets.iter().map(|(name, bytes)| (name.clone(), entry(bytes))).collect::<Map<_, _>>().into()
    }

    fn lay_out(&mut self, targets: &BTreeMap<String, Vec<u8>>) {
        for (name, bytes) in targets {
            let name = if self.consistent { format!("{}.{name}", hash(bytes)) } else { name.clone() };
            self.files.insert(format!("targets/{name}"), bytes.clone());
        }
    }

    /// Signs a role's metadata, and describes the file for the role above.
    fn put(&mut self, role: &str, signed: &Value) -> Value {
        let signers = self.signing.get(role).unwrap_or_else(|| &self.keys[role]);
        let file = sign(signed, signers);
        let version = &signed["version"];
        let file_name = role.replace('/', "%2F");
        let versioned = role == "root" || (self.consistent && role != "timestamp");
        let name =
            if versioned { format!("{version}.{file_name}.json") } else { format!("{file_name}.json") };
        let pin = json!({"version": version, "length": file.len(), "hashes": {"sha256": hash(&file)}});
        self.files.insert(name, file);
        pin
    }
}

/// A file of metadata, signed with the keys of these seeds.
pub fn sign(signed: &Value, seeds: &[String]) -> Vec<u8> {
    let message = canonical(signed);
    let signatures: Vec<Value> = seeds
        .iter()
        .map(|seed| json!({"keyid": entry(seed).0, "sig": hex::encode(key(seed).sign(message.as_bytes()))}))
        .collect();
    json!({"signatures": signatures, "signed": signed}).to_string().into_bytes()
}

fn key(seed: &str) -> ManagedKey {
    match seed.strip_prefix("ed25519:") {
        Some(seed) => ManagedKey::seeded_ed25519(seed),
        // A key that is written in another way is the same key.
        None => ManagedKey::seeded(seed.strip_prefix("hex:").unwrap_or(seed)),
    }
}

/// A key as metadata has it, with its name.
fn entry(seed: &str) -> (String, Value) {
    let key = key(seed);
    let bits = |length: usize| hex::encode(&key.public_der()[key.public_der().len() - length..]);
    let (kind, scheme, public) = match seed.split_once(':') {
        Some(("ed25519", _)) => ("ed25519", "ed25519", bits(32)),
        Some(("hex", _)) => ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", bits(65)),
        _ => ("ecdsa", "ecdsa-sha2-nistp256", key.public_pem()),
    };
    let entry = json!({"keytype": kind, "scheme": scheme, "keyval": {"public": public}});
    (hash(canonical(&entry).as_bytes()), entry)
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The form that is signed: sorted keys, no spaces, and nothing escaped but quotes and backslashes.
fn canonical(value: &Value) -> String {
    let text = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(string) => text(string),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        Value::Object(fields) => {
            let sorted: BTreeMap<_, _> = fields.iter().collect();
            let fields: Vec<_> =
                sorted.iter().map(|(key, value)| format!("{}:{}", text(key), canonical(value))).collect();
            format!("{{{}}}", fields.join(","))
        }
    }
}
