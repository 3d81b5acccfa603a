//! Denials as people read them.

use std::fmt::Display;

use crate::facts::{CertificateIdentity, Flaw, Signer};
use crate::verdict::{AuthorityFailure, Cause, Denial, PolicyFailure, Reason, Subject};

/// How many signers, flaws or identities are listed before the rest is only counted. Whoever may push can
/// leave hundreds of signatures with an image, and an answer has room for few.
const LISTED: usize = 8;

impl PolicyFailure {
    /// What the authorities say, in policy-controller's words and order, joined by spaces.
    pub fn message(&self, subject: &Subject) -> String {
        self.authorities.iter().map(|failure| failure.message(subject)).collect::<Vec<_>>().join(" ")
    }
}

impl AuthorityFailure {
    fn message(&self, subject: &Subject) -> String {
        let why = match &self.reason {
            Reason::StaticFail { message } => return format!("disallowed by static policy: {message}"),
            Reason::Unsigned => "no signatures found".to_owned(),
            Reason::WrongIdentity { signers } => no_match(signers.iter().map(stranger)),
            Reason::Flawed { flaws } => no_match(details(flaws)),
            Reason::OtherSubject => {
                no_match(["the signatures that were found are of other images".to_owned()])
            }
        };
        let authority = &self.authority;
        format!("signature keyless validation failed for authority {authority} for {}: {why}", image(subject))
    }

    fn for_person(&self, policy: &str) -> String {
        let (what, lines) = match &self.reason {
            Reason::StaticFail { message } if message.is_empty() => {
                ("denies everything".to_owned(), Vec::new())
            }
            Reason::StaticFail { message } => (format!("denies everything: {message}"), Vec::new()),
            Reason::Unsigned => ("the image is not signed".to_owned(), Vec::new()),
            Reason::OtherSubject => ("the signatures found are of other images".to_owned(), Vec::new()),
            Reason::WrongIdentity { signers } => (
                "signed, but by nobody who is expected".to_owned(),
                listed(signers.iter().map(|signer| format!("signed by {}", by_whom(signer)))),
            ),
            Reason::Flawed { flaws } => (
                "signed, but no signature withstands verification".to_owned(),
                listed(details(flaws).map(|detail| format!("flaw: {detail}"))),
            ),
        };
        let expected = listed(self.expected.iter().map(|identity| format!("expected {identity}")));
        let lines = expected.iter().chain(&lines).map(|line| format!("\n    {line}"));
        format!("\n  policy {policy}, {}: {what}{}", self.authority, lines.collect::<String>())
    }
}

impl Denial {
    /// What a person at a terminal needs to know: which policy, which authority, who was expected and who
    /// signed instead. One line, or several with the first one complete in itself.
    pub fn for_person(&self) -> String {
        let image = image(self.subject());
        match self.cause() {
            Cause::NoMatchingPolicy => {
                format!("{image}: no policy speaks of this image, and such images are denied")
            }
            Cause::Failed(failures) => {
                let names = failures.iter().map(|failure| &*failure.policy).collect::<Vec<_>>().join(", ");
                let authorities = failures.iter().flat_map(|failure| {
                    failure.authorities.iter().map(|authority| authority.for_person(&failure.policy))
                });
                format!("{image}: failed policy: {names}{}", authorities.collect::<String>())
            }
        }
    }
}

fn image(subject: &Subject) -> String {
    format!("{}@{}", subject.name, subject.digest)
}

fn no_match(errors: impl IntoIterator<Item = String>) -> String {
    format!("no matching signatures: {}", listed(errors).join("\n "))
}

/// A signer that nobody expected, in policy-controller's words where it has some.
fn stranger(signer: &Signer) -> String {
    match signer {
        Signer::Certificate(identity) => format!(
            "none of the expected identities matched what was in the certificate, got subjects [{}] with issuer {}",
            subjects(identity),
            printable(&identity.issuer)
        ),
        Signer::Key(_) => format!("signed by {}", by_whom(signer)),
    }
}

fn by_whom(signer: &Signer) -> String {
    match signer {
        Signer::Certificate(identity) => {
            format!("subject {} with issuer {}", subjects(identity), printable(&identity.issuer))
        }
        Signer::Key(id) => format!("the key {id}"),
    }
}

fn subjects(identity: &CertificateIdentity) -> String {
    listed(identity.subjects.iter().map(|subject| printable(subject))).join(", ")
}

fn details(flaws: &[Flaw]) -> impl Iterator<Item = String> + '_ {
    flaws.iter().map(|flaw| printable(&flaw.detail))
}

fn listed(items: impl IntoIterator<Item = impl Display>) -> Vec<String> {
    let mut items = items.into_iter();
    let mut list: Vec<String> = items.by_ref().take(LISTED).map(|item| item.to_string()).collect();
    match items.count() {
        0 => {}
        more => list.push(format!("and {more} more")),
    }
    list
}

/// Text of strangers, which must not be able to draw lines of its own into an answer or a log, nor turn it
/// around.
fn printable(text: &str) -> String {
    let draws = |character: char| {
        character.is_control()
            || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    text.chars()
        .map(
            |character| {
                if draws(character) { character.escape_unicode().to_string() } else { character.to_string() }
            },
        )
        .collect()
}

#[cfg(test)]
mod tests;
