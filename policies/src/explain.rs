//! Denials as people read them.

use std::fmt::Display;

use crate::facts::{CertificateIdentity, Flaw, Signer};
use crate::moment;
use crate::revocation::Revoked;
use crate::verdict::{
    AuthorityFailure, Cause, Denial, Exempted, PolicyFailure, Reason, Shortfall, Sought, Subject,
};

/// How many signers, flaws or identities are listed before the rest is only counted. Whoever may push can
/// leave hundreds of signatures with an image, and an answer has room for few.
const LISTED: usize = 8;

/// What policy-controller calls the program of a whole policy.
const OF_POLICY: &str = "ClusterImagePolicy";

impl Exempted {
    /// That the policy exempts the image, why, and for how long.
    pub fn message(&self) -> String {
        let (policy, exemption) = (&self.policy, &self.exemption);
        let (reason, end) = (printable(&exemption.reason), moment::display(exemption.expires));
        format!("exempted from policy {policy} until {end}: {reason}")
    }
}

impl Revoked {
    /// By what, and why.
    pub fn message(&self) -> String {
        format!("revoked by {}: {}", self.by, printable(&self.reason))
    }
}

impl PolicyFailure {
    /// What the authorities or the program say, in policy-controller's words and order, joined by spaces.
    pub fn message(&self, subject: &Subject) -> String {
        match &self.shortfall {
            Shortfall::Authorities(authorities) => {
                authorities.iter().map(|failure| failure.message(subject)).collect::<Vec<_>>().join(" ")
            }
            Shortfall::Program { language, message } => {
                format!("failed evaluating {language} policy for {OF_POLICY}: {}", printable(message))
            }
            Shortfall::Unusable(why) => format!("the policy cannot be used: {}", printable(why)),
        }
    }

    fn for_person(&self) -> String {
        let policy = &self.policy;
        let expired = self.expired.as_ref().map(|exemption| {
            let (end, reason) = (moment::display(exemption.expires), printable(&exemption.reason));
            format!("\n  policy {policy}: the exemption of this image ended at {end}: {reason}")
        });
        let shortfall = match &self.shortfall {
            Shortfall::Authorities(authorities) => {
                authorities.iter().map(|failure| failure.for_person(policy)).collect()
            }
            Shortfall::Program { language, message } => format!(
                "\n  policy {policy}: signed as expected, but its {language} program objects: {}",
                printable(message)
            ),
            Shortfall::Unusable(why) => format!("\n  policy {policy}: cannot be used: {}", printable(why)),
        };
        shortfall + &expired.unwrap_or_default()
    }
}

impl AuthorityFailure {
    /// What it says, in policy-controller's words.
    pub(crate) fn message(&self, subject: &Subject) -> String {
        let (what, how) = match self.sought {
            Sought::Nothing | Sought::KeylessSignature => ("signature", "keyless"),
            Sought::KeySignature => ("signature", "key"),
            Sought::KeyAttestations => ("attestation", "key"),
            Sought::KeylessAttestations => ("attestation", "keyless"),
        };
        let (authority, image) = (&self.authority, image(subject));
        let why = match &self.reason {
            Reason::StaticFail { message } => return format!("disallowed by static policy: {message}"),
            Reason::Unsigned if what == "attestation" => {
                return format!("no matching attestations for authority {authority} for {image}");
            }
            Reason::WrongPredicate { wanted, found } => {
                let found = listed(found.iter().map(|found| printable(found))).join(",");
                return format!(
                    "no matching attestations with type {wanted}, checked the following predicateTypes: \"{found}\""
                );
            }
            Reason::NotCompliant { attestation, language, message } => {
                let of_type = if *language == "rego" { "type " } else { "" };
                let message = printable(message);
                return format!("failed evaluating {language} policy for {of_type}{attestation}: {message}");
            }
            Reason::Revoked { by } => no_match(what, by.iter().map(Revoked::message)),
            Reason::Unsigned => "no signatures found".to_owned(),
            Reason::WrongIdentity { signers } => no_match(what, signers.iter().map(stranger)),
            Reason::Flawed { flaws } => no_match(what, details(flaws)),
            Reason::OtherSubject => {
                no_match(what, [format!("the {what}s that were found are of other images")])
            }
        };
        format!("{what} {how} validation failed for authority {authority} for {image}: {why}")
    }

    fn for_person(&self, policy: &str) -> String {
        let expected = listed(self.expected.iter().map(|identity| format!("expected {identity}")));
        let found = listed(self.found());
        let lines = expected.iter().chain(&found).map(|line| format!("\n    {line}"));
        format!("\n  policy {policy}, {}: {}{}", self.authority, self.what(), lines.collect::<String>())
    }

    /// What the matter is, in a few words.
    fn what(&self) -> String {
        let attestations = match self.sought {
            Sought::KeyAttestations | Sought::KeylessAttestations => true,
            Sought::Nothing | Sought::KeySignature | Sought::KeylessSignature => false,
        };
        let what = match &self.reason {
            Reason::StaticFail { message } if message.is_empty() => "denies everything",
            Reason::StaticFail { message } => return format!("denies everything: {message}"),
            Reason::WrongPredicate { wanted, .. } => {
                return format!("attested, but by no attestation of type {wanted}");
            }
            Reason::NotCompliant { attestation, language, .. } => {
                return format!("attested, but the {language} program of {attestation} objects");
            }
            Reason::Revoked { .. } => "signed by who is expected, but that is revoked",
            Reason::Unsigned if attestations => "the image has no attestations",
            Reason::Unsigned => "the image is not signed",
            Reason::OtherSubject if attestations => "the attestations found are of other images",
            Reason::OtherSubject => "the signatures found are of other images",
            Reason::WrongIdentity { .. } if attestations => "attested, but by nobody who is expected",
            Reason::WrongIdentity { .. } => "signed, but by nobody who is expected",
            Reason::Flawed { .. } if attestations => "attested, but no attestation withstands verification",
            Reason::Flawed { .. } => "signed, but no signature withstands verification",
        };
        what.to_owned()
    }

    /// What is there instead of what was looked for, an item a line.
    fn found(&self) -> Vec<String> {
        match &self.reason {
            Reason::StaticFail { .. } | Reason::Unsigned | Reason::OtherSubject => Vec::new(),
            Reason::Revoked { by } => by.iter().map(Revoked::message).collect(),
            Reason::NotCompliant { message, .. } => vec![printable(message)],
            Reason::WrongPredicate { found, .. } => {
                found.iter().map(|found| format!("attested: {}", printable(found))).collect()
            }
            Reason::WrongIdentity { signers } => {
                signers.iter().map(|signer| format!("signed by {}", by_whom(signer))).collect()
            }
            Reason::Flawed { flaws } => details(flaws).map(|detail| format!("flaw: {detail}")).collect(),
        }
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
            Cause::Revoked(revoked) => format!("{image}: {}", revoked.message()),
            Cause::Failed(failures) => {
                let names = failures.iter().map(|failure| &*failure.policy).collect::<Vec<_>>().join(", ");
                let details = failures.iter().map(PolicyFailure::for_person);
                format!("{image}: failed policy: {names}{}", details.collect::<String>())
            }
        }
    }
}

fn image(subject: &Subject) -> String {
    format!("{}@{}", subject.name, subject.digest)
}

fn no_match(what: &str, errors: impl IntoIterator<Item = String>) -> String {
    format!("no matching {what}s: {}", listed(errors).join("\n "))
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

/// Text of strangers as it may be shown: it cannot draw lines of its own into an answer or a log, nor turn it around.
pub fn printable(text: &str) -> String {
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
