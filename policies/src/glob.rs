//! Which images a policy speaks of.

mod reach;
mod syntax;

use std::fmt::{self, Write as _};

use oci::{InvalidReference, Reference};
use thiserror::Error;

/// A pattern over image names, compiled.
///
/// `**` stands for any characters, `*` for any but `/`; everything else stands for itself, and the whole name
/// must match. `*` alone means `index.docker.io/library/*` and `*/*` means `index.docker.io/*/*`, as in
/// policy-controller.
///
/// ```
/// let pattern = policies::ImagePattern::new("ghcr.io/acme/**")?;
/// assert!(pattern.matches("ghcr.io/acme/team/app:v1"));
/// assert!(!pattern.matches("ghcr.io/acme-evil/app:v1"));
/// # Ok::<(), policies::InvalidGlob>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ImagePattern(Box<[Token]>);

/// Why a text is not an [`ImagePattern`]. The messages are policy-controller's.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidGlob {
    /// It is not even a pattern for file names.
    #[error("syntax error in pattern")]
    Syntax,
    /// It has characters that no image name has, or is too long.
    #[error("invalid glob {0:?}")]
    Characters(String),
}

/// Longer than any image name, in bytes.
const LIMIT: usize = 1024;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Token {
    Byte(u8),
    /// `*`
    Segment,
    /// `**`
    Any,
}

/// How far a pattern and a name have been compared.
#[derive(Clone, Copy)]
struct Position {
    token: usize,
    byte: usize,
}

impl ImagePattern {
    /// Compiles a pattern of at most 1024 letters, digits and `-_:/*.@`.
    ///
    /// # Errors
    /// [`InvalidGlob`] for anything else. Other wildcards (`?`, `[a-z]`, `{a,b}`) do not exist.
    pub fn new(glob: &str) -> Result<Self, InvalidGlob> {
        if syntax::is_malformed(glob) {
            return Err(InvalidGlob::Syntax);
        }
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_:/*.@".contains(&byte);
        if glob.is_empty() || glob.len() > LIMIT || !glob.bytes().all(known) {
            return Err(InvalidGlob::Characters(glob.to_owned()));
        }
        Ok(Self(tokens(match glob {
            "*" => "index.docker.io/library/*",
            "*/*" => "index.docker.io/*/*",
            other => other,
        })))
    }

    /// Whether a name matches. Policies are matched with canonical names: `host/repository@digest`.
    pub fn matches(&self, name: &str) -> bool {
        let name = name.as_bytes();
        let mut here = Position { token: 0, byte: 0 };
        // Where to go on from when a guess of a wildcard's extent fails: it takes one byte more. The last `*`
        // is extended before the last `**`; earlier ones need not be, as all that they could reach, later
        // ones can.
        let (mut segment, mut any) = (None::<Position>, None::<Position>);
        loop {
            match (self.0.get(here.token), name.get(here.byte)) {
                (None, None) => return true,
                (Some(Token::Any), _) => {
                    here.token += 1;
                    (any, segment) = (Some(here), None);
                    continue;
                }
                (Some(Token::Segment), _) => {
                    here.token += 1;
                    segment = Some(here);
                    continue;
                }
                (Some(Token::Byte(want)), Some(byte)) if want == byte => {
                    here = Position { token: here.token + 1, byte: here.byte + 1 };
                    continue;
                }
                (Some(Token::Byte(_)) | None, _) => {}
            }
            if let Some(guess) = &mut segment
                && name.get(guess.byte).is_some_and(|byte| *byte != b'/')
            {
                guess.byte += 1;
                here = *guess;
            } else if let Some(guess) = &mut any
                && guess.byte < name.len()
            {
                guess.byte += 1;
                (here, segment) = (*guess, None);
            } else {
                return false;
            }
        }
    }

    /// Whether an image as a person writes it matches, by its canonical name or else, letter by letter, as
    /// written.
    ///
    /// Only command lines match what is written; a gateway knows names in canonical form alone.
    ///
    /// # Errors
    /// Where the text is no image reference.
    pub fn matches_text(&self, image: &str) -> Result<bool, InvalidReference> {
        let reference: Reference = image.parse()?;
        Ok(self.matches(&reference.matched_name()) || self.matches(image))
    }

    /// What every name that matches begins with, as far as the pattern says so in letters.
    pub(crate) fn prefix(&self) -> Vec<u8> {
        let letter = |token: &Token| match token {
            Token::Byte(byte) => Some(*byte),
            Token::Segment | Token::Any => None,
        };
        self.0.iter().map_while(letter).collect()
    }

    /// Whether any image that is pinned by a digest could match.
    pub(crate) fn reaches_digests(&self) -> bool {
        reach::reaches_digests(&self.0)
    }
}

/// As it is written, but for those of Docker Hub, which are written out.
impl fmt::Display for ImagePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for token in &self.0 {
            match token {
                Token::Byte(byte) => f.write_char(char::from(*byte))?,
                Token::Segment => f.write_char('*')?,
                Token::Any => f.write_str("**")?,
            }
        }
        Ok(())
    }
}

fn tokens(glob: &str) -> Box<[Token]> {
    let mut tokens = Vec::with_capacity(glob.len());
    let mut rest = glob.as_bytes();
    while let [first, tail @ ..] = rest {
        let token;
        (token, rest) = match (first, tail) {
            (b'*', [b'*', tail @ ..]) => (Token::Any, tail),
            (b'*', _) => (Token::Segment, tail),
            (byte, _) => (Token::Byte(*byte), tail),
        };
        tokens.push(token);
    }
    tokens.into()
}

#[cfg(test)]
mod tests;
