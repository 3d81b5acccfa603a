//! What is kept of one decision.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::Method;
use policies::Subject;

use crate::decision::Decision;
use crate::undecided::Undecided;
use crate::verdicts::{Hearing, Ruling};

/// One decision, and how it came about.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) id: Decision,
    /// Whose it is, where tenants are told apart.
    pub(crate) tenant: Option<&'static str>,
    pub(crate) at: SystemTime,
    pub(crate) took: Duration,
    pub(crate) asked: Asked,
    pub(crate) outcome: Outcome,
    /// Whether it was only observed: whoever asked was told yes.
    pub(crate) observed: bool,
    /// What a person was told, if it was no.
    pub(crate) message: Option<Box<str>>,
    pub(crate) images: Vec<Image>,
}

/// What was asked.
#[derive(Debug)]
pub(crate) enum Asked {
    Review(Review),
    Pull(Pull),
}

/// The admission of an object.
#[derive(Debug)]
pub(crate) struct Review {
    pub(crate) act: &'static str,
    pub(crate) uid: Box<str>,
    pub(crate) operation: &'static str,
    pub(crate) part: Box<str>,
    pub(crate) group: Box<str>,
    pub(crate) version: Box<str>,
    pub(crate) kind: Box<str>,
    pub(crate) namespace: Box<str>,
    /// Empty where it has none yet.
    pub(crate) name: Box<str>,
    pub(crate) generate_name: Box<str>,
}

/// A pull.
#[derive(Debug)]
pub(crate) struct Pull {
    pub(crate) method: Method,
    pub(crate) path: Arc<str>,
    /// What stood in the query: the registry that a runtime names beside the path.
    pub(crate) query: Box<str>,
    pub(crate) status: u16,
}

/// What a decision came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Allowed,
    Denied,
    /// It could not be told, which is no.
    Undecided,
}

/// One image that was judged.
#[derive(Debug)]
pub(crate) struct Image {
    /// Where it stands in the object; empty for a pull.
    pub(crate) path: String,
    /// As it was asked for.
    pub(crate) asked: Arc<str>,
    pub(crate) took: Duration,
    pub(crate) came: Came,
}

/// What came of an image.
#[derive(Debug)]
pub(crate) enum Came {
    Ruled(Ruling),
    /// It is nothing that could be judged; the message says why.
    Refused,
    Undecided {
        subject: Option<Subject>,
        why: Undecided,
    },
}

/// The most characters that are kept of a text which somebody else chose.
const LONGEST: usize = 512;

/// A text that somebody else chose, or its beginning.
pub(crate) fn kept<'a, T: From<&'a str>>(text: &'a str) -> T {
    if text.len() <= LONGEST {
        return text.into();
    }
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => text[..end].into(),
        None => text.into(),
    }
}

impl Outcome {
    /// A stable name, for machines.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Undecided => "undecided",
        }
    }
}

impl Came {
    /// A stable name of why, for machines.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Ruled(ruling) => ruling.reason(),
            Self::Refused => "refused",
            Self::Undecided { why, .. } => why.as_str(),
        }
    }

    fn hearing(&self) -> Option<&Arc<Hearing>> {
        match self {
            Self::Ruled(ruling) => Some(&ruling.hearing),
            Self::Refused | Self::Undecided { .. } => None,
        }
    }
}

impl Record {
    /// A stable name of why: that of the first image for which the answer is what it is.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        reason(self.outcome, &self.images)
    }

    /// What it holds together with others.
    pub(super) fn hearings(&self) -> impl Iterator<Item = &Arc<Hearing>> {
        self.images.iter().filter_map(|image| image.came.hearing())
    }

    /// How many bytes it takes besides, more or less.
    pub(super) fn weight(&self) -> usize {
        let asked = match &self.asked {
            Asked::Review(review) => {
                review.uid.len()
                    + review.part.len()
                    + review.group.len()
                    + review.version.len()
                    + review.kind.len()
                    + review.namespace.len()
                    + review.name.len()
                    + review.generate_name.len()
            }
            Asked::Pull(pull) => pull.path.len() + pull.query.len(),
        };
        let images =
            self.images.iter().map(|image| size_of::<Image>() + image.path.len() + image.asked.len());
        size_of::<Self>()
            + asked
            + self.message.as_ref().map_or(0, |message| message.len())
            + images.sum::<usize>()
    }
}

/// Why an answer is what it is, by the first image that made it so.
pub(crate) fn reason(outcome: Outcome, images: &[Image]) -> Option<&'static str> {
    let decisive = |image: &&Image| match (outcome, &image.came) {
        (Outcome::Allowed, _) => true,
        (Outcome::Denied, Came::Ruled(ruling)) => !ruling.allows(),
        (Outcome::Denied, came) => matches!(came, Came::Refused),
        (Outcome::Undecided, came) => matches!(came, Came::Undecided { .. }),
    };
    images.iter().find(decisive).map(|image| image.came.reason())
}
