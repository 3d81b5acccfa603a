//! What a person reads in `kubectl`: policy-controller's words first, ours on lines of their own.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use policies::{AuthorityFailure, Cause, Denial, PolicyFailure, Reason};

/// The problems of one object, merged and ordered as policy-controller merges and orders them: those with the same
/// message and details become one, with their paths joined; entries are sorted by message.
#[derive(Debug, Default)]
pub(super) struct Problems(BTreeMap<(String, String), Vec<String>>);

impl Problems {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one: `<message>: <path>`, then the details on lines of their own.
    pub(super) fn add(&mut self, message: impl Into<String>, path: &str, details: impl Into<String>) {
        self.0.entry((message.into(), details.into())).or_default().push(path.to_owned());
    }

    /// Adds what a denial says of the image at a path.
    pub(super) fn deny(&mut self, path: &str, denial: &Denial) {
        match denial.cause() {
            Cause::NoMatchingPolicy => {
                self.add("no matching policies", path, image_of(denial.subject()));
            }
            Cause::Revoked(revoked) => {
                let details = format!("{} {}", image_of(denial.subject()), revoked.message());
                self.add("revoked", path, details);
            }
            Cause::Failed(failures) => {
                for failure in failures {
                    self.fail(path, denial.subject(), failure);
                }
            }
        }
    }

    /// Adds what one policy says of the image at a path.
    pub(super) fn fail(&mut self, path: &str, subject: &policies::Subject, failure: &PolicyFailure) {
        let mut details = format!("{} {}", image_of(subject), failure.message(subject));
        for identity in expected(failure) {
            details.push_str("\nexpected ");
            details.push_str(identity);
        }
        self.add(format!("failed policy: {}", failure.policy), path, details);
    }

    /// The entries, in order.
    pub(super) fn entries(self) -> impl Iterator<Item = String> {
        self.0.into_iter().map(|((message, details), mut paths)| {
            paths.sort();
            let paths = paths.join(", ");
            if details.is_empty() {
                format!("{message}: {paths}")
            } else {
                format!("{message}: {paths}\n{details}")
            }
        })
    }
}

/// Who should have signed, where somebody else did. Policy-controller does not say, so it stands on lines of its own.
fn expected(failure: &PolicyFailure) -> impl Iterator<Item = &str> {
    let strangers = |authority: &&AuthorityFailure| matches!(authority.reason, Reason::WrongIdentity { .. });
    let identities = failure.authorities().iter().filter(strangers).flat_map(|authority| &authority.expected);
    identities.map(String::as_str).take(8)
}

fn image_of(subject: &policies::Subject) -> String {
    format!("{}@{}", subject.name, subject.digest)
}

/// That a tag was taken for what it meant this long ago.
pub(super) fn stale(age: Duration) -> String {
    let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
    format!("is taken for what its tag meant {age:#} ago, because its registry cannot be asked")
}

/// The message of a denial.
pub(super) fn denial(problems: Problems) -> String {
    format!("validation failed: {}", problems.entries().collect::<Vec<_>>().join("\n"))
}

/// The most bytes of a message: more than that is cut by whoever shows it, and where the name of the decision stands.
const LIMIT: usize = 1024;

/// What stands for what was left out.
const LEFT_OUT: &str = "\n...";

/// A message that is short enough. Whole lines are left out from its end; the first is cut if it alone is too long.
pub(super) fn bounded(message: String) -> String {
    if message.len() <= LIMIT { message } else { cut(&message, LIMIT) }
}

/// The same, and on a line of its own the name of the decision.
pub(super) fn with_decision(message: &str, decision: &str) -> String {
    let line = format!("\ndecision {decision}");
    let room = LIMIT - line.len();
    if message.len() <= room { format!("{message}{line}") } else { format!("{}{line}", cut(message, room)) }
}

fn cut(message: &str, limit: usize) -> String {
    let message = message.strip_suffix(LEFT_OUT).unwrap_or(message);
    let mut end = limit - LEFT_OUT.len();
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    let end = message[..end].rfind('\n').filter(|line| *line > limit / 2).unwrap_or(end);
    format!("{}{LEFT_OUT}", &message[..end])
}

/// The warnings of an answer, a line each, as policy-controller sends them.
pub(super) fn warnings(problems: Problems) -> Vec<String> {
    problems.entries().flat_map(|entry| entry.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_too_long_loses_its_last_lines_and_never_the_decision() {
        let lines: String = (0..200).map(|line| format!("line {line}\n")).collect();
        for message in [lines, "\u{e4}".repeat(LIMIT), "a".repeat(LIMIT), "a".repeat(LIMIT - 30)] {
            let bounded = bounded(message.clone());
            assert!(bounded.len() <= LIMIT && bounded.len() >= LIMIT / 2, "{bounded}");
            assert_eq!(bounded == message, message.len() <= LIMIT);
            let named = with_decision(&bounded, "0000002a-1");
            assert!(named.len() <= LIMIT && named.ends_with("\ndecision 0000002a-1"), "{named}");
            assert!(named.matches(LEFT_OUT).count() <= 1, "{named}");
            assert!(
                message
                    .starts_with(named.split(LEFT_OUT).next().unwrap().split("\ndecision").next().unwrap())
            );
        }
    }

    #[test]
    fn equal_problems_share_a_line_and_messages_are_sorted() {
        let mut problems = Problems::default();
        problems.add(
            "no matching policies",
            "spec.containers[1].image",
            "index.docker.io/library/nginx@sha256:ab",
        );
        problems.add(
            "no matching policies",
            "spec.containers[0].image",
            "index.docker.io/library/nginx@sha256:ab",
        );
        problems.add("failed policy: a", "spec.containers[2].image", "");
        assert_eq!(
            denial(problems),
            "validation failed: failed policy: a: spec.containers[2].image\n\
             no matching policies: spec.containers[0].image, spec.containers[1].image\n\
             index.docker.io/library/nginx@sha256:ab"
        );
    }
}
