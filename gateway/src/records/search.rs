//! Which records somebody asks for.

use std::sync::Arc;

use oci::{Reference, TagOrDigest};

use super::{Asked, Came, Outcome, Record, Records};
use crate::decision::Decision;
use crate::place::Upstreams;

/// Which records are wanted. Whatever is not said matches all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Search {
    /// About what.
    pub(crate) about: Option<Wanted>,
    /// The namespace of the object.
    pub(crate) namespace: Option<String>,
    /// What they came to.
    pub(crate) outcome: Option<Outcome>,
    /// Those alone that were observed and would have been denied.
    pub(crate) would_deny: bool,
}

/// What a person writes to say which decision is meant: one of these, or several at once.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    text: String,
    id: Option<Decision>,
    image: Option<Reference>,
}

impl Wanted {
    /// A decision by its name, an object by its name or `namespace/name`, or an image by its name, tag or digest.
    pub(crate) fn new(text: &str, upstreams: &Upstreams) -> Self {
        // The name of an object is that of an image in Docker Hub too; no such image is remembered by mistake.
        let image = text.parse::<Reference>().ok().map(|reference| {
            let name = upstreams.canonical(reference.name());
            reference.renamed(name)
        });
        Self { text: text.to_owned(), id: text.parse().ok(), image }
    }

    fn is(&self, record: &Record) -> bool {
        if self.id.is_some_and(|id| id == record.id) {
            return true;
        }
        let object = match &record.asked {
            Asked::Review(review) => {
                let name = match self.text.split_once('/') {
                    Some((namespace, name)) if *namespace == *review.namespace => name,
                    _ => &self.text,
                };
                let made = !review.generate_name.is_empty() && name.starts_with(&*review.generate_name);
                *review.name == *name || (review.name.is_empty() && made)
            }
            Asked::Pull(_) => false,
        };
        object || record.images.iter().any(|image| self.is_image(&image.asked, &image.came))
    }

    fn is_image(&self, asked: &str, came: &Came) -> bool {
        let subject = match came {
            Came::Ruled(ruling) => Some(ruling.subject()),
            Came::Undecided { subject, .. } => subject.as_ref(),
            Came::Refused => None,
        };
        let by_digest = subject.is_some_and(|subject| subject.digest.to_string() == self.text);
        let by_name = subject.zip(self.image.as_ref()).is_some_and(|(subject, image)| {
            let named = || self.text.rsplit('/').next().is_some_and(|last| last.contains(':'));
            *image.name() == subject.name
                && match image.version() {
                    TagOrDigest::Digest(digest) => digest == subject.digest,
                    // Without a tag all of a repository is meant.
                    TagOrDigest::Tag(tag) => !named() || asked_for(asked, tag.as_str()),
                }
        });
        *asked == *self.text || by_digest || by_name
    }
}

fn asked_for(asked: &str, tag: &str) -> bool {
    asked.parse::<Reference>().is_ok_and(|asked| asked.tag().is_some_and(|its| its.as_str() == tag))
}

impl Search {
    fn takes(&self, record: &Record) -> bool {
        let namespace = match &record.asked {
            Asked::Review(review) => Some(&*review.namespace),
            Asked::Pull(_) => None,
        };
        self.namespace.as_deref().is_none_or(|wanted| namespace == Some(wanted))
            && self.outcome.is_none_or(|outcome| outcome == record.outcome)
            && (!self.would_deny || (record.observed && record.outcome != Outcome::Allowed))
            && self.about.as_ref().is_none_or(|about| about.is(record))
    }
}

impl Records {
    /// The newest that are wanted, so many of them at most, and how many more there are.
    pub(crate) fn find(&self, search: &Search, most: usize) -> (Vec<Arc<Record>>, usize) {
        let mut found: Vec<_> = self.newest().into_iter().filter(|record| search.takes(record)).collect();
        let more = found.len().saturating_sub(most);
        found.truncate(most);
        (found, more)
    }
}
