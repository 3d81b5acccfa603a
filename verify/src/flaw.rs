//! Why some material vouches for nothing: one wording, and one place that reads the library's errors.

use std::fmt::Display;

use policies::{Flaw, FlawKind};
use sigstore_verify::{CertificateError, Error, TimestampError, bundle};

/// The most characters that a detail has. Some of it is chosen by whoever made the material.
const DETAIL_LIMIT: usize = 300;

/// A flaw with a detail that can be printed anywhere: bounded, and with control characters escaped.
pub(crate) fn flaw(kind: FlawKind, detail: impl Display) -> Flaw {
    Flaw { kind, detail: printable(&detail.to_string()) }
}

fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(DETAIL_LIMIT));
    let mut room = DETAIL_LIMIT - 1;
    for character in text.chars() {
        // Quotation marks need no escape, for nothing quotes a detail.
        let quotation = matches!(character, '"' | '\'').then_some(character);
        let escaped = quotation.is_none().then(|| character.escape_debug());
        let escaped: String = quotation.into_iter().chain(escaped.into_iter().flatten()).collect();
        // Every character of an escape is ASCII, so only what is printed as it is can be longer in bytes.
        let width = escaped.chars().count();
        if width > room {
            out.push('…');
            break;
        }
        room -= width;
        out.push_str(&escaped);
    }
    out
}

/// What an error of the library says of the material.
pub(crate) fn of_library(error: &Error) -> Flaw {
    flaw(kind(error), error)
}

fn kind(error: &Error) -> FlawKind {
    match error {
        Error::SignatureInvalid(_) => FlawKind::Signature,
        Error::Certificate(CertificateError::Sct(_)) => FlawKind::CertificateTimestamp,
        Error::Certificate(CertificateError::Malformed(_)) => FlawKind::Malformed,
        // The identity is judged elsewhere, so the library is never told to expect one.
        Error::Certificate(_) | Error::IdentityMismatch { .. } | Error::IssuerMismatch { .. } => {
            FlawKind::Certificate
        }
        // The digest that a bundle of ours names is computed here, so only a log entry can be of something
        // else.
        Error::TransparencyLog(_) | Error::ArtifactMismatch(_) => FlawKind::LogEntry,
        // The log is what vouches for the time; without its word there is no signed timestamp to blame.
        Error::Timestamp(TimestampError::NoVerifiedTimestamp(_)) => FlawKind::LogEntry,
        Error::Timestamp(_) => FlawKind::Timestamp,
        Error::UnsupportedBundle(_) | Error::UnsupportedArtifact(_) | Error::Crypto(_) => {
            FlawKind::Unsupported
        }
        Error::Bundle(
            bundle::Error::MissingInclusionPromise(_)
            | bundle::Error::MissingInclusionProof(_)
            | bundle::Error::MissingSigningTimeEvidence
            | bundle::Error::MissingCheckpoint
            | bundle::Error::LogIndexOutOfRange { .. }
            | bundle::Error::CheckpointRootMismatch,
        ) => FlawKind::LogEntry,
        Error::InvalidBundle(_) | Error::Types(_) | Error::Bundle(_) => FlawKind::Malformed,
        // Of a trust root that was parsed whole, and of bytes that are at hand, none of these is said.
        Error::InvalidTrustRoot(_)
        | Error::TrustRoot(_)
        | Error::TrustedCertificate(_)
        | Error::ArtifactRead(_) => FlawKind::Unsupported,
        // What a later version of the library says is not understood here.
        _ => FlawKind::Unsupported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_can_be_printed_anywhere() {
        assert_eq!(printable("expected \"a\" — got 'ä'"), "expected \"a\" — got 'ä'");
        assert_eq!(printable("a\n\u{1b}[2J\u{202e}\0"), "a\\n\\u{1b}[2J\\u{202e}\\0");
    }

    #[test]
    fn a_detail_is_bounded() {
        for text in ["x", "ä", "\n", "\u{1b}"] {
            let long = printable(&text.repeat(100_000));
            assert!(long.chars().count() <= DETAIL_LIMIT, "{text:?}");
            assert!(long.ends_with('…'), "{text:?}");
        }
        let short = "x".repeat(DETAIL_LIMIT - 1);
        assert_eq!(printable(&short), short);
    }
}
