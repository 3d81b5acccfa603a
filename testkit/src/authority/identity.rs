//! Who a certificate is issued to, and what it says of their build.

use oci::Digest;

pub use const_oid::ObjectIdentifier;

/// The arc under which Fulcio numbers its extensions.
const FULCIO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1");

const GITHUB: &str = "https://github.com";
const GITHUB_ISSUER: &str = "https://token.actions.githubusercontent.com";

/// The identity that a certificate is issued to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The OpenID Connect issuer that vouches for the subject.
    pub issuer: String,
    /// The subject.
    pub subject: San,
    /// What else the certificate says, as extensions by their identifiers, in this order. Below Fulcio's arc the
    /// values are encoded as its
    /// [list of identifiers](https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md) says: raw up to `.6`,
    /// as a DER string from `.8`. Elsewhere as a DER string.
    pub claims: Vec<(ObjectIdentifier, String)>,
}

/// A subject alternative name. All but `OtherName` must be ASCII.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum San {
    /// A URI, as workflows and workloads have.
    Uri(String),
    /// An e-mail address, as people and service accounts have.
    Email(String),
    /// A host name, which Fulcio issues no certificates to.
    Dns(String),
    /// A user name of an issuer without e-mail addresses: `otherName` 1.3.6.1.4.1.57264.1.7.
    OtherName(String),
}

impl Identity {
    /// A subject and nothing more.
    pub fn new(issuer: &str, subject: San) -> Self {
        Self { issuer: issuer.to_owned(), subject, claims: Vec::new() }
    }

    /// A person or a service account.
    pub fn email(issuer: &str, address: &str) -> Self {
        Self::new(issuer, San::Email(address.to_owned()))
    }

    /// A workflow on GitHub, with every claim that Fulcio copies from its token.
    ///
    /// `repository` is `owner/name` and `workflow` a file below `.github/workflows` with the ref that it ran at:
    /// `release.yaml@refs/heads/main`. Commits and numbers are made up of the repository and the ref.
    pub fn github_workflow(repository: &str, workflow: &str) -> Self {
        let (file, git_ref) = workflow.split_once('@').unwrap_or((workflow, "refs/heads/main"));
        let owner = repository.split('/').next().unwrap_or_default();
        let uri = format!("{GITHUB}/{repository}/.github/workflows/{file}@{git_ref}");
        let commit = &Digest::of(format!("{repository}@{git_ref}").as_bytes()).hex()[..40];
        let repository_uri = format!("{GITHUB}/{repository}");
        let claims = [
            (2, "push"),
            (3, commit),
            (4, file),
            (5, repository),
            (6, git_ref),
            (9, &uri),
            (10, commit),
            (11, "github-hosted"),
            (12, &repository_uri),
            (13, commit),
            (14, git_ref),
            (15, &number_of(repository)),
            (16, &format!("{GITHUB}/{owner}")),
            (17, &number_of(owner)),
            (18, &uri),
            (19, commit),
            (20, "push"),
            (21, &format!("{repository_uri}/actions/runs/1/attempts/1")),
            (22, "public"),
        ];
        claims
            .into_iter()
            .fold(Self::new(GITHUB_ISSUER, San::Uri(uri.clone())), |identity, (number, value)| {
                identity.with_claim(number, value)
            })
    }

    /// The same with one more claim, by its number below Fulcio's arc.
    #[must_use]
    pub fn with_claim(mut self, number: u32, value: &str) -> Self {
        self.claims.push((fulcio(number), value.to_owned()));
        self
    }
}

impl San {
    /// The name as text, whatever its kind.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Uri(name) | Self::Email(name) | Self::Dns(name) | Self::OtherName(name) => name,
        }
    }
}

/// An identifier below Fulcio's arc.
#[expect(clippy::expect_used, reason = "the arc is short and an identifier has room for more")]
pub(super) fn fulcio(number: u32) -> ObjectIdentifier {
    FULCIO.push_arc(number).expect("the arc has room")
}

/// The number below Fulcio's arc, if the identifier is there.
pub(super) fn fulcio_number(identifier: &ObjectIdentifier) -> Option<u32> {
    (identifier.parent() == Some(FULCIO)).then(|| identifier.arcs().last()).flatten()
}

/// What GitHub calls a database id: some decimal number that stays the same.
fn number_of(name: &str) -> String {
    let digest = Digest::of(name.as_bytes());
    digest.hash().iter().take(4).fold(0_u64, |number, byte| number << 8 | u64::from(*byte)).to_string()
}
