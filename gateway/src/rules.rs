//! What is in force: policies and trust roots, whole and of one revision.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci::{Algorithm, Digest, Hasher};
use policies::{Basis, Document, External, Externals, NoMatch, PolicySet, Problem, Request, TrustRootRef};
use thiserror::Error;
use verify::TrustRoot;
use verify::tuf::Repository;

use crate::config::{Config, TrustSource, TufSource};
use crate::remote::RemoteFiles;
use crate::trust::{self, Repositories, Root, Source};
use crate::undecided::{Undecided, with_causes};

/// Policies and the trust roots that they rest on. Never changed, only replaced.
#[derive(Debug)]
pub struct Rules {
    /// Which images may run.
    pub policies: PolicySet,
    default_root: Root,
    named_roots: HashMap<String, Root>,
    /// Those of certificate authorities that policies spell out, by their PEM.
    authority_roots: HashMap<String, Root>,
    reads_requests: bool,
    revision: Digest,
    /// Why there is nothing to judge by, if so: no image has a verdict then.
    withheld: Option<Arc<str>>,
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
    /// A tenant's own policies say what is not a tenant's to say.
    #[error("{path}: a {kind} in the policies of a tenant: only policies and revocations are its to say")]
    NotATenants {
        /// The file.
        path: String,
        /// The kind.
        kind: &'static str,
    },
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
    pub fn load(
        config: &Config,
        repositories: &Repositories,
        remote: &RemoteFiles,
    ) -> Result<Self, RulesError> {
        let files = Files::of(config, Own::Refused)?;
        let policies = files.load(config, remote)?;
        let (default_root, named_roots) = roots(config, &policies, repositories, Twice::Refused)?;
        Self::new(policies, default_root, named_roots)
    }

    /// The same with the policies of these files.
    ///
    /// # Errors
    /// As [`Rules::load`].
    pub fn load_files(
        config: &Config,
        files: &[impl AsRef<Path>],
        repositories: &Repositories,
        remote: &RemoteFiles,
    ) -> Result<Self, RulesError> {
        let policies = Files::read(files)?.load(config, remote)?;
        let (default_root, named_roots) = roots(config, &policies, repositories, Twice::Refused)?;
        Self::new(policies, default_root, named_roots)
    }

    /// The same where there are no rules yet that could stay in force: policies that are wrong deny what they cover, and
    /// what rests on a trust root that is not there cannot be told. Also everything that is wrong with policies.
    ///
    /// # Errors
    /// What is wrong with anything but policies.
    pub fn load_first(
        config: &Config,
        repositories: &Repositories,
        remote: &RemoteFiles,
    ) -> Result<(Self, Vec<Problem>), RulesError> {
        Self::closed(config, &Files::of(config, Own::Denying)?, repositories, remote, Twice::Refused)
    }

    /// The same of the objects of a cluster, each with where it is from, and of the files of the configured directory, if
    /// one is. Nobody can take back what a cluster accepted, so here no rules stay in force because others are wrong.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub(crate) fn load_objects(
        config: &Config,
        objects: &[(String, Arc<str>)],
        repositories: &Repositories,
        remote: &RemoteFiles,
    ) -> Result<(Self, Vec<Problem>), RulesError> {
        let mut files = match &config.policies.directory {
            Some(directory) => Files::read(&listed(directory)?)?,
            None => Files(Vec::new()),
        };
        files.0.extend(objects.iter().map(|(origin, text)| (origin.clone(), text.to_string())));
        files.0.extend(Files::own(config, Own::Denying)?.0);
        Self::closed(config, &files, repositories, remote, Twice::Missing)
    }

    fn closed(
        config: &Config,
        files: &Files,
        repositories: &Repositories,
        remote: &RemoteFiles,
        twice: Twice,
    ) -> Result<(Self, Vec<Problem>), RulesError> {
        let (policies, problems) = files.load_closed(config, remote);
        let (default_root, mut named_roots) = roots(config, &policies, repositories, twice)?;
        for name in policies.trust_roots().filter(|name| !named_roots.contains_key(*name)).collect::<Vec<_>>()
        {
            named_roots.insert(name.to_owned(), Root::Missing("it is not configured".to_owned()));
        }
        Ok((Self::new(policies, default_root, named_roots)?, problems))
    }

    /// Rules under which nothing has a verdict, and why.
    pub(crate) fn withheld(why: impl Into<Arc<str>>) -> Self {
        let policies = PolicySet::empty();
        let default_root = Root::Missing("there are no policies".to_owned());
        let revision = revision(&policies, &default_root, &HashMap::new());
        Self {
            policies,
            default_root,
            named_roots: HashMap::new(),
            authority_roots: HashMap::new(),
            reads_requests: false,
            revision,
            withheld: Some(why.into()),
        }
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
        let reads_requests = policies.reads_requests();
        let authorities = policies.authorities();
        let authority_roots =
            authorities.map(|pem| (pem.to_owned(), certified_by(pem, &default_root))).collect();
        Ok(Self {
            policies,
            default_root,
            named_roots,
            authority_roots,
            reads_requests,
            revision,
            withheld: None,
        })
    }

    /// That there is something to judge by.
    ///
    /// # Errors
    /// [`Undecided::Withheld`].
    pub(crate) fn in_force(&self) -> Result<(), Undecided> {
        self.withheld.as_ref().map_or(Ok(()), |why| Err(Undecided::Withheld(why.to_string())))
    }

    /// What becomes of an image that no policy matches: as the door is configured, unless it is admission's and the
    /// policies come with policy-controller's configuration, which says otherwise.
    pub(crate) fn no_match(&self, configured: NoMatch, request: &Request) -> NoMatch {
        match request {
            Request::Pull => configured,
            Request::Admission(_) => self.policies.no_match().unwrap_or(configured),
        }
    }

    /// The digest of everything in here. Whatever was judged under another revision is judged anew, from facts.
    pub fn revision(&self) -> Digest {
        self.revision
    }

    /// Whether verdicts depend on more of a request than the image.
    pub(crate) fn reads_requests(&self) -> bool {
        self.reads_requests
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
                TrustRootRef::Authority(_) => "ca-cert",
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

    /// The named trust roots that are not there, and why.
    pub(crate) fn missing(&self) -> impl Iterator<Item = (&str, &str)> {
        self.named_roots.iter().filter_map(|(name, root)| match root {
            Root::Missing(why) => Some((name.as_str(), why.as_str())),
            Root::Usable(_) => None,
        })
    }

    /// The trust root that a policy means.
    pub fn trust_root(&self, root: &TrustRootRef) -> Option<&Root> {
        match root {
            TrustRootRef::Default => Some(&self.default_root),
            TrustRootRef::Named(name) => self.named_roots.get(&**name),
            TrustRootRef::Authority(pem) => self.authority_roots.get(&**pem),
        }
    }
}

/// The root of whose certificate authorities only these, in PEM, are trusted.
fn certified_by(pem: &str, default: &Root) -> Root {
    match default {
        Root::Missing(why) => Root::Missing(why.clone()),
        Root::Usable(base) => match TrustRoot::with_certificate_authority(pem, base) {
            Ok(root) => Root::Usable(Arc::new(root)),
            Err(error) => Root::Missing(with_causes(&error)),
        },
    }
}

/// The trust root of policies that name none, and all others by their names.
fn roots(
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

/// What becomes of a file of a tenant's that says more than policies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Own {
    /// All rules are refused.
    Refused,
    /// It denies everything, to this tenant.
    Denying,
}

/// What becomes of a trust root that is both configured and an object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Twice {
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

/// Files of policies, and their texts.
struct Files(Vec<(String, String)>);

impl Files {
    /// Those that are configured; the ones that ship with the product where none are.
    fn of(config: &Config, own: Own) -> Result<Self, RulesError> {
        let mut files = match &config.policies.directory {
            Some(directory) => Self::read(&listed(directory)?)?,
            None => Self(EXAMPLES.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect()),
        };
        files.0.extend(Self::own(config, own)?.0);
        Ok(files)
    }

    /// Those of a tenant, which can only add to the others: a trust root, or what policies name, would be another for
    /// them too.
    fn own(config: &Config, own: Own) -> Result<Self, RulesError> {
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

    fn read(paths: &[impl AsRef<Path>]) -> Result<Self, RulesError> {
        let read = paths.iter().map(|path| {
            let path = path.as_ref();
            let text = std::fs::read_to_string(path).map_err(unreadable(path))?;
            Ok((path.display().to_string(), text))
        });
        read.collect::<Result<_, RulesError>>().map(Self)
    }

    /// The policies of these files, with what they name elsewhere as far as it is at hand.
    fn load(&self, config: &Config, remote: &RemoteFiles) -> Result<PolicySet, RulesError> {
        let named = PolicySet::load(self.documents(), &at_hand(config))?;
        let externals = remote.externals(config.domain, named.externals(), at_hand(config));
        if !names_files_elsewhere(&named) {
            return Ok(named);
        }
        Ok(PolicySet::load(self.documents(), &externals)?)
    }

    /// The same, with what is wrong denying what it speaks of.
    fn load_closed(&self, config: &Config, remote: &RemoteFiles) -> (PolicySet, Vec<Problem>) {
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
/// As [`Rules::load`].
pub fn from_files(files: &[impl AsRef<Path>]) -> Result<PolicySet, RulesError> {
    Ok(PolicySet::load(Files::read(files)?.documents(), &Externals::default().with_cue())?)
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
