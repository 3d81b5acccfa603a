//! The files that policies are in.

use std::path::{Path, PathBuf};

use policies::{Document, External, Externals, PolicySet, Problem};

use super::{EXAMPLES, RulesError, unreadable};
use crate::config::Config;
use crate::remote::RemoteFiles;

/// What becomes of a file of a tenant's that says more than policies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Own {
    /// All rules are refused.
    Refused,
    /// It denies everything, to this tenant.
    Denying,
}

/// Files of policies, and their texts.
pub(super) struct Files(pub(super) Vec<(String, String)>);

impl Files {
    /// Those that are configured; the ones that ship with the product where none are.
    pub(super) fn of(config: &Config, own: Own) -> Result<Self, RulesError> {
        let mut files = match &config.policies.directory {
            Some(directory) => Self::read(&listed(directory)?)?,
            None => Self(EXAMPLES.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect()),
        };
        files.0.extend(Self::own(config, own)?.0);
        Ok(files)
    }

    /// Those of a tenant, which can only add to the others: a trust root, or what policies name, would be another for
    /// them too.
    pub(super) fn own(config: &Config, own: Own) -> Result<Self, RulesError> {
        let Some(directory) = &config.policies.own else { return Ok(Self(Vec::new())) };
        let mut files = Self::read(&listed(directory)?)?;
        for (path, text) in &mut files.0 {
            let kinds = Document { origin: path, text }.kinds();
            let is_its_own =
                |kind: &&str| matches!(*kind, "ClusterImagePolicy" | "ImagePolicy" | "Revocation");
            let Some(kind) = kinds.into_iter().find(|kind| !is_its_own(kind)) else { continue };
            match own {
                Own::Refused => return Err(RulesError::NotATenants { path: path.clone(), kind }),
                // No document, and so one that denies everything.
                Own::Denying => format!("a {kind} is not a tenant's to say").clone_into(text),
            }
        }
        Ok(files)
    }

    pub(super) fn read(paths: &[impl AsRef<Path>]) -> Result<Self, RulesError> {
        let read = paths.iter().map(|path| {
            let path = path.as_ref();
            let text = std::fs::read_to_string(path).map_err(unreadable(path))?;
            Ok((path.display().to_string(), text))
        });
        read.collect::<Result<_, RulesError>>().map(Self)
    }

    /// The policies of these files, with what they name elsewhere as far as it is at hand.
    pub(super) fn load(&self, config: &Config, remote: &RemoteFiles) -> Result<PolicySet, RulesError> {
        let named = PolicySet::load(self.documents(), &at_hand(config))?;
        let externals = remote.externals(config.domain, named.externals(), at_hand(config));
        if !names_files_elsewhere(&named) {
            return Ok(named);
        }
        Ok(PolicySet::load(self.documents(), &externals)?)
    }

    /// The same, with what is wrong denying what it speaks of.
    pub(super) fn load_closed(&self, config: &Config, remote: &RemoteFiles) -> (PolicySet, Vec<Problem>) {
        let (named, problems) = PolicySet::load_closed(self.documents(), &at_hand(config));
        let externals = remote.externals(config.domain, named.externals(), at_hand(config));
        if !names_files_elsewhere(&named) {
            return (named, problems);
        }
        PolicySet::load_closed(self.documents(), &externals)
    }

    fn documents(&self) -> impl Iterator<Item = Document<'_>> {
        self.0.iter().map(|(origin, text)| Document { origin, text })
    }
}

fn names_files_elsewhere(policies: &PolicySet) -> bool {
    policies.externals().any(|external| matches!(external, External::Remote { .. }))
}

/// What policies may count on whatever they name.
fn at_hand(config: &Config) -> Externals {
    let externals = Externals::default();
    if config.policies.cue.is_some() { externals.with_cue() } else { externals }
}

/// Every `*.yaml` and `*.yml` of a directory, in order of name. Other files are left alone, as are hidden ones:
/// a mounted ConfigMap has some.
pub(crate) fn listed(directory: &Path) -> Result<Vec<PathBuf>, RulesError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable(directory))? {
        let path = entry.map_err(unreadable(directory))?.path();
        let named_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if named_yaml && !hidden {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The policies of these files, one set. Whether there is a cue program is not theirs to say, and taken for granted.
///
/// # Errors
/// As [`Rules::load`](super::Rules::load).
pub fn from_files(files: &[impl AsRef<Path>]) -> Result<PolicySet, RulesError> {
    Ok(PolicySet::load(Files::read(files)?.documents(), &Externals::default().with_cue())?)
}
