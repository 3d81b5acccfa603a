//! Whether a pattern can match anything that is pinned by a digest.

use std::collections::BTreeSet;

use super::Token;

/// A walk through `host/repository@sha256:<64 digits>`, a little wider than what names really are.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Part {
    Host,
    Repository,
    /// How many bytes of `sha256:` and the digits have been passed.
    Digest(u8),
}

const ALGORITHM: &[u8] = b"sha256:";
const END: Part = Part::Digest(7 + 64);

/// Whether some name `host/repository@sha256:…` matches. Every pair of a token and a part of a name is
/// visited once.
pub(super) fn reaches_digests(tokens: &[Token]) -> bool {
    let mut seen = BTreeSet::new();
    let mut next = vec![(0, Part::Host)];
    while let Some((token, part)) = next.pop() {
        if !seen.insert((token, part)) {
            continue;
        }
        match tokens.get(token) {
            None if part == END => return true,
            None => {}
            Some(Token::Byte(byte)) => next.extend(step(part, *byte).map(|part| (token + 1, part))),
            Some(Token::Segment | Token::Any) => {
                next.push((token + 1, part));
                let slashes = tokens[token] == Token::Any;
                let bytes = (0..128).filter(|byte| slashes || *byte != b'/');
                next.extend(bytes.filter_map(|byte| step(part, byte)).map(|part| (token, part)));
            }
        }
    }
    false
}

/// Where a byte leads within a name, if it may stand there.
fn step(part: Part, byte: u8) -> Option<Part> {
    let letter = matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
    match part {
        Part::Host if byte == b'/' => Some(Part::Repository),
        Part::Host => (letter || matches!(byte, b':' | b'[' | b']')).then_some(Part::Host),
        Part::Repository if byte == b'@' => Some(Part::Digest(0)),
        Part::Repository => (letter || matches!(byte, b'_' | b'/')).then_some(Part::Repository),
        Part::Digest(passed) => {
            let fits = match ALGORITHM.get(usize::from(passed)) {
                Some(want) => byte == *want,
                None => part != END && matches!(byte, b'a'..=b'f' | b'0'..=b'9'),
            };
            fits.then_some(Part::Digest(passed + 1))
        }
    }
}
