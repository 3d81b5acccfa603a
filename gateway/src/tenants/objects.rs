//! Which Tenant objects of a cluster are in force, beside the tenants of the configuration.
//!
//! What is wrong with one of them is said of it, and it is nobody then: what it speaks of is of no tenant. Of two of which only
//! one could be, neither is; a tenant of the configuration always is.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::known::fingerprint;
use crate::config::{self, CallerCredential, Config, NoTenant, Secrets, TENANTS, overlaps};
use crate::kubernetes::Reason;

/// Objects, and what they make tenants.
#[derive(Default)]
pub(super) struct Objects {
    /// Those in force, in order of name, each with all that it was made of.
    in_force: Vec<(Arc<config::Tenant>, Vec<Arc<str>>)>,
    /// What is wrong with the others.
    pub(super) wrong: Vec<(String, Reason, String)>,
    /// Why it cannot be told which there are, if so.
    pub(super) untold: Option<String>,
}

/// How what objects are called begins.
const TENANT: &str = "Tenant/";
const SECRET: &str = "Secret/";

impl Objects {
    /// Of these documents. What did not change since before stays the same tenant.
    pub(super) fn read(
        config: &Config,
        configured: &[Arc<config::Tenant>],
        documents: &[(String, Arc<str>)],
        before: &Self,
    ) -> Self {
        let secrets: BTreeMap<&str, &Arc<str>> = documents
            .iter()
            .filter_map(|(origin, text)| Some((origin.strip_prefix(SECRET)?, text)))
            .collect();
        let entries: Secrets =
            secrets.iter().map(|(name, text)| ((*name).to_owned(), entries(text))).collect();
        let mut wrong = Vec::new();
        let mut made: Vec<(Arc<config::Tenant>, Vec<Arc<str>>)> = Vec::new();
        for (origin, text) in documents.iter().filter(|(origin, _)| origin.starts_with(TENANT)) {
            let document: Value = serde_json::from_str(text).unwrap_or_default();
            let of = made_of(text, &document, &secrets);
            let same = before.in_force.iter().find(|(tenant, was)| tenant.origin == *origin && *was == of);
            if let Some(same) = same {
                made.push(same.clone());
                continue;
            }
            let name = origin.strip_prefix(TENANT).unwrap_or_default();
            match config.tenant_of_object(name, document["spec"].clone(), &entries) {
                Ok(tenant) => made.push((Arc::new(tenant), of)),
                Err(error) => {
                    let reason = match error {
                        NoTenant::Wrong(_) => Reason::Refused,
                        NoTenant::Unusable { .. } => Reason::Unusable,
                    };
                    wrong.push((origin.clone(), reason, error.to_string()));
                }
            }
        }
        let mut out: BTreeSet<usize> = BTreeSet::new();
        let all: Vec<&config::Tenant> =
            configured.iter().chain(made.iter().map(|(tenant, _)| tenant)).map(|tenant| &**tenant).collect();
        let mut refuse = |at: usize, reason: Reason, why: String| {
            // What the configuration says stands.
            if let Some(index) = at.checked_sub(configured.len()) {
                out.insert(index);
                wrong.push((all[at].origin.clone(), reason, why));
            }
        };
        for overlap in overlaps(&all, &config.upstreams) {
            for at in BTreeSet::from(overlap.of) {
                refuse(at, Reason::Overlaps, overlap.error.to_string());
            }
        }
        let taken = logins(configured);
        for (at, tenant) in all.iter().enumerate().skip(configured.len()) {
            let given = tenant.callers.iter().flat_map(|caller| &caller.credentials);
            if given.into_iter().any(|credential| fingerprint(credential).is_ok_and(|it| taken.contains(&it)))
            {
                let why = "spec.callers: credentials: another tenant logs in with the same";
                refuse(at, Reason::Overlaps, why.to_owned());
            }
            if at >= TENANTS {
                refuse(at, Reason::Refused, format!("there are more than {TENANTS} tenants"));
            }
        }
        let in_force = made.into_iter().enumerate().filter(|(index, _)| !out.contains(index));
        Self { in_force: in_force.map(|(_, made)| made).collect(), wrong, untold: None }
    }

    /// Nobody, since it cannot be told who: why.
    pub(super) fn untold(why: &str) -> Self {
        Self { untold: Some(why.to_owned()), ..Self::default() }
    }

    /// Why nobody is taken for the tenant that everybody else is of, if so: they may be of one that is not in force.
    pub(super) fn doubt(&self) -> Option<String> {
        self.wrong.first().map(|(origin, ..)| format!("{origin} is not in force, and it may be of that one"))
    }

    /// The tenants in force.
    pub(super) fn tenants(&self) -> impl Iterator<Item = Arc<config::Tenant>> {
        self.in_force.iter().map(|(tenant, _)| tenant.clone())
    }
}

/// All that a tenant is made of: its own text, and those of the Secrets that it names.
fn made_of(text: &Arc<str>, document: &Value, secrets: &BTreeMap<&str, &Arc<str>>) -> Vec<Arc<str>> {
    let mut named = Vec::new();
    names(document, &mut named);
    let named = named.into_iter().filter_map(|name| secrets.get(name).copied());
    std::iter::once(text).chain(named).cloned().collect()
}

/// Every `secretRef`, wherever it stands.
fn names<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                match field["name"].as_str() {
                    Some(name) if key == "secretRef" => found.push(name),
                    _ => names(field, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What is in a Secret. What is no text is of no use to anybody here, and neither is the end of its last line.
fn entries(text: &str) -> BTreeMap<String, String> {
    let document: Value = serde_json::from_str(text).unwrap_or_default();
    let Some(data) = document["data"].as_object() else { return BTreeMap::new() };
    let entry = |(name, value): (&String, &Value)| {
        let value = String::from_utf8(STANDARD.decode(value.as_str()?).ok()?).ok()?;
        Some((name.clone(), value.trim_end_matches(['\r', '\n']).to_owned()))
    };
    data.iter().filter_map(entry).collect()
}

/// What the tenants of the configuration log in with, by content: another could be told by the same. It reads files; what
/// cannot be read is said where those are put in force.
fn logins(configured: &[Arc<config::Tenant>]) -> HashSet<crate::login::Fingerprint> {
    let callers = configured.iter().flat_map(|tenant| &tenant.callers);
    let credentials = callers.flat_map(|caller| &caller.credentials);
    credentials.filter_map(|credential: &CallerCredential| fingerprint(credential).ok()).collect()
}
