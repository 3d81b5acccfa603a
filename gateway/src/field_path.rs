//! Paths of fields in an object: `spec.template.spec.containers[*].image`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Where something stands in objects of a kind: names of fields with dots between them, and `[*]` after one whose value
/// is a list, for each of its entries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FieldPath(Vec<Step>);

/// One step of a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// Into a field of an object.
    Field(Box<str>),
    /// Into each entry of a list.
    Each,
}

/// Why a text is no [`FieldPath`].
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidFieldPath {
    /// One of its names has characters that no field has, or none at all.
    #[error("{0:?} is no name of a field: write spec.containers[*].image")]
    Name(String),
    /// It has more steps than anything that is written by people.
    #[error("it has more than {STEPS} steps")]
    TooLong,
    /// Nothing there starts anything, and whoever may write it is not who may write the rest.
    #[error("what stands in {0} starts nothing")]
    Inert(&'static str),
}

/// The most steps of a path.
const STEPS: usize = 32;

/// The most characters of a name.
const NAME: usize = 128;

impl FieldPath {
    /// Its steps, from the top of the object.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether this is the other, or leads to something that it is in.
    pub(crate) fn leads_to(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// The path of a field of an object's metadata, which no configuration can name.
    pub(crate) fn of_metadata(name: &str) -> Self {
        Self(vec![Step::Field("metadata".into()), Step::Field(name.into())])
    }

    /// A path below this one.
    pub(crate) fn join(&self, below: &Self) -> Self {
        Self(self.0.iter().chain(&below.0).cloned().collect())
    }
}

impl FromStr for FieldPath {
    type Err = InvalidFieldPath;

    fn from_str(text: &str) -> Result<Self, InvalidFieldPath> {
        let mut steps = Vec::new();
        for part in text.split('.') {
            let name = part.trim_end_matches("[*]");
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            if name.is_empty() || name.len() > NAME || !name.bytes().all(known) {
                return Err(InvalidFieldPath::Name(part.chars().take(NAME).collect()));
            }
            steps.push(Step::Field(name.into()));
            steps.extend(std::iter::repeat_n(Step::Each, (part.len() - name.len()) / "[*]".len()));
            if steps.len() > STEPS {
                return Err(InvalidFieldPath::TooLong);
            }
        }
        for inert in ["metadata", "status"] {
            if matches!(steps.first(), Some(Step::Field(first)) if **first == *inert) {
                return Err(InvalidFieldPath::Inert(inert));
            }
        }
        Ok(Self(steps))
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if index == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Each => f.write_str("[*]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_as_messages_write_it() {
        for text in ["spec.image", "spec.containers[*].image", "spec.lists[*][*].a-b_c"] {
            assert_eq!(text.parse::<FieldPath>().unwrap().to_string(), text);
        }
        for text in [
            "",
            ".",
            "spec.",
            "spec..image",
            "spec.[*]",
            "spec.containers[0].image",
            "spec.a[*",
            "$.spec",
            "spec.a/b",
        ] {
            assert!(matches!(text.parse::<FieldPath>(), Err(InvalidFieldPath::Name(_))), "{text:?}");
        }
        assert_eq!("status.image".parse::<FieldPath>(), Err(InvalidFieldPath::Inert("status")));
        assert_eq!(
            "a.".repeat(40).trim_end_matches('.').parse::<FieldPath>(),
            Err(InvalidFieldPath::TooLong)
        );
    }

    #[test]
    fn a_path_leads_to_what_is_below_it() {
        let path = |text: &str| text.parse::<FieldPath>().unwrap();
        assert!(path("spec.image").leads_to(&path("spec.image.reference")));
        assert!(path("spec.image").leads_to(&path("spec.image")));
        assert!(!path("spec.image").leads_to(&path("spec.images")));
        assert_eq!(path("spec.template").join(&path("spec.image")), path("spec.template.spec.image"));
    }
}
