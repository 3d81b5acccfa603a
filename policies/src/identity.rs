//! Who may sign.

use std::fmt;

use crate::facts::CertificateIdentity;
use crate::go_regex::{GoRegex, InvalidRegex};

/// An identity that a policy accepts: an issuer, and a subject that it vouches for.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) issuer: Matcher,
    pub(crate) subject: Matcher,
}

/// How one part of an identity is compared.
#[derive(Clone, Debug)]
pub(crate) enum Matcher {
    /// Letter by letter.
    Exact(String),
    /// By an expression that searches.
    Regex(GoRegex),
}

impl Identity {
    /// Whether the signer is this identity: its issuer, and any of its subjects.
    pub(crate) fn accepts(&self, signer: &CertificateIdentity) -> bool {
        self.issuer.accepts(&signer.issuer)
            && signer.subjects.iter().any(|subject| self.subject.accepts(subject))
    }
}

impl Matcher {
    /// An expression.
    pub(crate) fn regex(source: &str) -> Result<Self, InvalidRegex> {
        GoRegex::new(source).map(Self::Regex)
    }

    /// Whether this matches anywhere in a text, so that whatever surrounds it is accepted.
    pub(crate) fn is_unanchored(&self) -> bool {
        match self {
            Self::Exact(_) => false,
            Self::Regex(regex) => !regex.is_anchored(),
        }
    }

    /// Whether this is an expression that an issuer without any meaning matches.
    pub(crate) fn is_any_host(&self) -> bool {
        match self {
            Self::Exact(_) => false,
            Self::Regex(regex) => regex.is_match("https://a.invalid"),
        }
    }

    /// Whether this is an expression that lets subjects of more than one repository pass: URLs, of which it does not
    /// say host, owner and repository in letters.
    pub(crate) fn is_many_repositories(&self) -> bool {
        let Self::Regex(regex) = self else {
            return false;
        };
        match regex.prefix().split_once("://") {
            Some((_, rest)) => rest.matches('/').count() < 3,
            None => {
                regex.is_match("https://a.invalid/b/c/.github/workflows/d.yaml@refs/heads/main")
                    || regex.is_match("https://a.invalid/b/c")
            }
        }
    }

    fn accepts(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == text,
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "subject {} with issuer {}", self.subject, self.issuer)
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(exact) => f.write_str(exact),
            Self::Regex(regex) => write!(f, "matching {}", regex.source()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_which_expressions_let_several_repositories_pass() {
        for wide in [
            ".*",
            "^.*$",
            "^https://github\\.com/acme/.*$",
            "^https://github\\.com/acme/app.*$",
            "^https://github\\.com/(acme/app|acme/web)/.*$",
            "^https?://.*$",
            "^.*@refs/heads/main$",
            "^https?://[^@]*$",
        ] {
            assert!(Matcher::regex(wide).unwrap().is_many_repositories(), "{wide}");
        }
        for narrow in [
            "^https://github\\.com/acme/app/.*$",
            "^(https://github\\.com/acme/app/)\\.github/workflows/(a|b)\\.yaml@refs/tags/v.*$",
            "^[a-z]+@acme\\.example$",
            "^release-.*$",
        ] {
            assert!(!Matcher::regex(narrow).unwrap().is_many_repositories(), "{narrow}");
        }
        assert!(!Matcher::Exact("https://github.com/acme".into()).is_many_repositories());
    }

    #[test]
    fn it_is_known_which_expressions_any_issuer_matches() {
        assert!(Matcher::regex("^https://.*$").unwrap().is_any_host());
        assert!(!Matcher::regex("^https://token\\.actions\\..*$").unwrap().is_any_host());
    }
}
