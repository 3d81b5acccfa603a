//! What is in force: policies and trust roots, whole and of one revision.

mod files;
mod roots;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use oci::{Algorithm, Digest, Hasher};
use policies::{Basis, NoMatch, PolicySet, Problem, Request, TrustRootRef};
use thiserror::Error;
use verify::TrustRoot;

pub use self::files::from_files;
pub(crate) use self::files::listed;
use self::files::{Files, Own};
use self::roots::{Twice, certified_by, roots};
use crate::config::Config;
use crate::remote::RemoteFiles;
use crate::trust::{Repositories, Root};
use crate::undecided::Undecided;

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
