//! The trust roots that policies rest on: configured, or written beside them.

use std::collections::HashMap;
use std::sync::Arc;

use policies::PolicySet;
use verify::TrustRoot;
use verify::tuf::Repository;

use super::{DEFAULT, RulesError, unreadable};
use crate::config::{Config, TrustSource, TufSource};
use crate::trust::{self, Repositories, Root, Source};
use crate::undecided::with_causes;

/// What becomes of a trust root that is both configured and an object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Twice {
    /// All rules are refused.
    Refused,
    /// Neither is used.
    Missing,
}

/// Adds the trust roots that are written beside the policies. One that cannot be used is missing, and takes no other
/// with it. From here on no other repositories are followed than these roots come from.
///
/// # Errors
/// [`RulesError::TwiceNamed`].
fn with_objects(
    policies: &PolicySet,
    mut roots: HashMap<String, Root>,
    config: &Config,
    repositories: &Repositories,
    twice: Twice,
) -> Result<HashMap<String, Root>, RulesError> {
    for object in policies.trust_root_objects() {
        let root = match (roots.contains_key(&*object.name), twice) {
            (false, _) => trust::root_of(object, repositories).unwrap_or_else(Root::Missing),
            (true, Twice::Refused) => return Err(RulesError::TwiceNamed(object.name.to_string())),
            (true, Twice::Missing) => {
                Root::Missing(RulesError::TwiceNamed(object.name.to_string()).to_string())
            }
        };
        roots.insert(object.name.to_string(), root);
    }
    // What a tenant names besides is another matter than what all name.
    if config.domain == cache::Domain::default() {
        repositories.keep_only(&roots.keys().cloned().chain([DEFAULT.to_owned()]).collect());
    }
    Ok(roots)
}

/// The trust root of policies that name none, and all others by their names.
pub(super) fn roots(
    config: &Config,
    policies: &PolicySet,
    repositories: &Repositories,
    twice: Twice,
) -> Result<(Root, HashMap<String, Root>), RulesError> {
    let default_root = trust_root("trust.root", &config.trust.root, repositories)?;
    let named = config.trust.roots.iter().map(|(name, source)| {
        Ok((name.clone(), trust_root(&format!("trust.roots.{name}"), source, repositories)?))
    });
    let mut named = named.collect::<Result<HashMap<_, _>, RulesError>>()?;
    for (name, source) in &config.trust.own {
        // Two tenants may call two roots the same.
        let slot = Repositories::slot_of(config.domain, name);
        named.insert(
            name.clone(),
            trust_root_in(&slot, &format!("trust.roots.{name}"), source, repositories)?,
        );
    }
    Ok((default_root, with_objects(policies, named, config, repositories, twice)?))
}

/// The root of whose certificate authorities only these, in PEM, are trusted.
pub(super) fn certified_by(pem: &str, default: &Root) -> Root {
    match default {
        Root::Missing(why) => Root::Missing(why.clone()),
        Root::Usable(base) => match TrustRoot::with_certificate_authority(pem, base) {
            Ok(root) => Root::Usable(Arc::new(root)),
            Err(error) => Root::Missing(with_causes(&error)),
        },
    }
}

fn trust_root(key: &str, source: &TrustSource, repositories: &Repositories) -> Result<Root, RulesError> {
    let slot = key.strip_prefix("trust.roots.").unwrap_or(DEFAULT);
    trust_root_in(slot, key, source, repositories)
}

/// The same, kept up to date as the trust root of this name where it comes from a repository.
fn trust_root_in(
    slot: &str,
    key: &str,
    source: &TrustSource,
    repositories: &Repositories,
) -> Result<Root, RulesError> {
    let parsed = match source {
        TrustSource::PublicGood => TrustRoot::public_good(),
        TrustSource::Staging => TrustRoot::staging(),
        TrustSource::File(path) => {
            let text = std::fs::read_to_string(path).map_err(unreadable(path))?;
            TrustRoot::from_json(&text)
        }
        TrustSource::Tuf(tuf) => {
            return Ok(repositories.follow(slot, &repository(key, tuf)?));
        }
    };
    let root = parsed.map_err(|source| RulesError::TrustRoot { key: key.to_owned(), source })?;
    Ok(Root::Usable(Arc::new(root)))
}

fn repository(key: &str, tuf: &TufSource) -> Result<Source, RulesError> {
    let anchor = std::fs::read(&tuf.root).map_err(unreadable(&tuf.root))?;
    let repository = Repository::new(&anchor, &tuf.target)
        .map_err(|source| RulesError::Repository { key: format!("{key}.tuf"), source })?;
    let targets = tuf.targets.trim_matches('/').to_owned();
    Ok(Source { repository, mirror: tuf.mirror.clone(), targets })
}
