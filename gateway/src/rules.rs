//! What is in force: policies and trust roots, whole and of one revision.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use oci::{Algorithm, Digest, Hasher};
use policies::{Basis, Document, PolicySet, TrustRootRef};
use thiserror::Error;
use verify::TrustRoot;
use verify::tuf::Repository;

use crate::config::{Config, TrustSource, TufSource};
use crate::trust::{self, Repositories, Root, Source};
use crate::undecided::Undecided;

/// Policies and the trust roots that they rest on. Never changed, only replaced.
#[derive(Debug)]
pub struct Rules {
    /// Which images may run.
    pub policies: PolicySet,
    default_root: Root,
    named_roots: HashMap<String, Root>,
    revision: Digest,
}

/// Why rules were refused. Those before them stay in force.
#[derive(Debug, Error)]
pub enum RulesError {
    /// A file or directory cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// Which.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A policy is wrong.
    #[error("{0}")]
    Policies(#[from] policies::LoadError),
    /// A trust root is wrong.
    #[error("{key}: {source}")]
    TrustRoot {
        /// The key that names it.
        key: String,
        /// What is wrong.
        #[source]
        source: verify::InvalidTrustRoot,
    },
    /// What a trust root's repository is trusted by is wrong.
    #[error("{key}: {source}")]
    Repository {
        /// The key that names it.
        key: String,
        /// What is wrong.
        #[source]
        source: verify::tuf::TufError,
    },
    /// A `TrustRoot` object has the name of a trust root of the configuration.
    #[error("the TrustRoot {0} has the name of one under trust.roots")]
    TwiceNamed(String),
    /// A policy names a trust root that is not configured.
    #[error("trustRootRef {0:?} is not configured: add it under trust.roots, or a TrustRoot of this name")]
    UnknownTrustRoot(String),
}

/// What the trust root of policies that name none is kept as. No other has such a name.
const DEFAULT: &str = "_default";

/// The policies that ship with the product, in force where no directory is configured.
const EXAMPLES: &[(&str, &str)] = &[(
    "chainguard-images-are-signed.yaml",
    include_str!("../../policies/examples/chainguard-images-are-signed.yaml"),
)];

impl Rules {
    /// Reads what the configuration names.
    ///
    /// # Errors
    /// The first thing that is wrong; nothing of it is in force then.
    pub fn load(config: &Config, repositories: &Repositories) -> Result<Self, RulesError> {
        let policies = match &config.policies.directory {
            Some(directory) => from_directory(directory)?,
            None => PolicySet::load(EXAMPLES.iter().map(|(origin, text)| Document { origin, text }))?,
        };
        let default_root = trust_root("trust.root", &config.trust.root, repositories)?;
        let named_roots = config
            .trust
            .roots
            .iter()
            .map(|(name, source)| {
                Ok((name.clone(), trust_root(&format!("trust.roots.{name}"), source, repositories)?))
            })
            .collect::<Result<HashMap<_, _>, RulesError>>()?;
        let named_roots = with_objects(&policies, named_roots, repositories)?;
        Self::new(policies, default_root, named_roots)
    }

    /// Rules made of parts that were read already.
    ///
    /// # Errors
    /// [`RulesError::UnknownTrustRoot`] where a policy rests on a root that is not among these.
    pub fn new(
        policies: PolicySet,
        default_root: Root,
        named_roots: HashMap<String, Root>,
    ) -> Result<Self, RulesError> {
        if let Some(missing) = policies.trust_roots().find(|name| !named_roots.contains_key(*name)) {
            return Err(RulesError::UnknownTrustRoot(missing.to_owned()));
        }
        let revision = revision(&policies, &default_root, &named_roots);
        Ok(Self { policies, default_root, named_roots, revision })
    }

    /// The digest of everything in here. Whatever was judged under another revision is judged anew, from facts.
    pub fn revision(&self) -> Digest {
        self.revision
    }

    /// The trust root that facts of a basis rest on: one, or put together of those that it names.
    ///
    /// # Errors
    /// [`Undecided::NoTrustRoot`] where one of them is not configured, or not there yet.
    pub(crate) fn trust_root_of(&self, basis: &Basis) -> Result<Arc<TrustRoot>, Undecided> {
        let root = |named: &TrustRootRef| {
            let name = match named {
                TrustRootRef::Default => "default",
                TrustRootRef::Named(name) => name,
            };
            match self.trust_root(named) {
                Some(Root::Usable(root)) => Ok(root),
                Some(Root::Missing(why)) => {
                    Err(Undecided::NoTrustRoot(format!("{name:?} is missing: {why}")))
                }
                None => Err(Undecided::NoTrustRoot(format!("{name:?} is not configured"))),
            }
        };
        let certificates = root(&basis.certificates)?;
        if basis.trust_roots().count() == 1 {
            return Ok(certificates.clone());
        }
        let composed = TrustRoot::compose(certificates, root(&basis.logs)?, root(&basis.timestamps)?);
        Ok(Arc::new(composed))
    }

    /// The trust roots that are not there, by name. Until they come, what rests on them cannot be told.
    pub fn missing_roots(&self) -> BTreeSet<&str> {
        let named = self.named_roots.iter().map(|(name, root)| (name.as_str(), root));
        let all = named.chain([("default", &self.default_root)]);
        all.filter(|(_, root)| matches!(root, Root::Missing(_))).map(|(name, _)| name).collect()
    }

    /// The trust root that a policy means.
    pub fn trust_root(&self, root: &TrustRootRef) -> Option<&Root> {
        match root {
            TrustRootRef::Default => Some(&self.default_root),
            TrustRootRef::Named(name) => self.named_roots.get(&**name),
        }
    }
}

/// Adds the trust roots that are written beside the policies. One that cannot be used is missing, and takes no other
/// with it. From here on no other repositories are followed than these roots come from.
///
/// # Errors
/// [`RulesError::TwiceNamed`].
pub fn with_objects(
    policies: &PolicySet,
    mut roots: HashMap<String, Root>,
    repositories: &Repositories,
) -> Result<HashMap<String, Root>, RulesError> {
    for object in policies.trust_root_objects() {
        if roots.contains_key(&*object.name) {
            return Err(RulesError::TwiceNamed(object.name.to_string()));
        }
        let root = trust::root_of(object, repositories).unwrap_or_else(Root::Missing);
        roots.insert(object.name.to_string(), root);
    }
    repositories.keep_only(&roots.keys().cloned().chain([DEFAULT.to_owned()]).collect());
    Ok(roots)
}

fn revision(policies: &PolicySet, default: &Root, named: &HashMap<String, Root>) -> Digest {
    // Without one there are no verdicts to tell apart, so why it is missing does not matter.
    fn update(hasher: &mut Hasher, root: &Root) {
        match root {
            Root::Usable(root) => hasher.update(root.id().hash()),
            Root::Missing(_) => hasher.update(Digest::of(b"missing").hash()),
        }
    }
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(policies.revision().hash());
    update(&mut hasher, default);
    let mut named: Vec<_> = named.iter().collect();
    named.sort_by_key(|(name, _)| *name);
    for (name, root) in named {
        hasher.update(&(name.len() as u64).to_be_bytes());
        hasher.update(name.as_bytes());
        update(&mut hasher, root);
    }
    hasher.finish()
}

fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> RulesError + '_ {
    move |source| RulesError::Unreadable { path: path.display().to_string(), source }
}

/// Every `*.yaml` and `*.yml` of a directory, in order of name. Other files are left alone, as are hidden ones:
/// a mounted ConfigMap has some.
fn from_directory(directory: &Path) -> Result<PolicySet, RulesError> {
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
    from_files(&files)
}

/// The policies of these files, one set.
///
/// # Errors
/// As [`Rules::load`].
pub fn from_files(files: &[impl AsRef<Path>]) -> Result<PolicySet, RulesError> {
    let texts = files
        .iter()
        .map(|file| {
            let path = file.as_ref();
            let text = std::fs::read_to_string(path).map_err(unreadable(path))?;
            Ok((path.display().to_string(), text))
        })
        .collect::<Result<Vec<_>, RulesError>>()?;
    Ok(PolicySet::load(texts.iter().map(|(origin, text)| Document { origin, text }))?)
}

fn trust_root(key: &str, source: &TrustSource, repositories: &Repositories) -> Result<Root, RulesError> {
    let parsed = match source {
        TrustSource::PublicGood => TrustRoot::public_good(),
        TrustSource::Staging => TrustRoot::staging(),
        TrustSource::File(path) => {
            let text = std::fs::read_to_string(path).map_err(unreadable(path))?;
            TrustRoot::from_json(&text)
        }
        TrustSource::Tuf(tuf) => {
            let name = key.strip_prefix("trust.roots.").unwrap_or(DEFAULT);
            return Ok(repositories.follow(name, &repository(key, tuf)?));
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
