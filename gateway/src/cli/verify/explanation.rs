//! How a verdict comes about, as a tree that a person reads.

use jiff::Timestamp;
use policies::{
    AuthorityAccount, Conclusion, EvidenceAccount, Explanation, Fulfilment, NoMatch, PolicyAccount, Signer,
    Weighed, printable,
};

/// The tree, a line each.
pub(super) fn lines(explanation: &Explanation) -> Vec<String> {
    let mut lines = vec![String::new(), format!("how {} is judged", explanation.subject)];
    if let Some(revoked) = &explanation.revoked {
        lines.push(format!("  {}: nothing else counts", revoked.message()));
    }
    if explanation.policies.is_empty() {
        lines.push("  no policy that is judged by here speaks of it".to_owned());
    }
    explanation.policies.iter().for_each(|account| policy(account, &mut lines));
    for name in &explanation.left_to_admission {
        lines.push(format!("  policy {name}: left to admission, which knows the object"));
    }
    if !explanation.covered {
        lines.push(format!(
            "  no policy of the whole cluster speaks of it: such images are {}",
            match explanation.no_match {
                NoMatch::Deny => "denied",
                NoMatch::Warn => "allowed with a warning",
                NoMatch::Allow => "allowed",
            }
        ));
    }
    lines.push(match explanation.conclusion() {
        Conclusion::Allow(ground) => format!("  so it is allowed: {}", ground.as_str()),
        Conclusion::Deny => "  so it is denied".to_owned(),
        Conclusion::Undecided => "  so it cannot be told".to_owned(),
    });
    lines
}

fn policy(account: &PolicyAccount, lines: &mut Vec<String>) {
    let mode = if account.only_warns { " (only warns)" } else { "" };
    lines.push(format!("  policy {}{mode}: {}", account.policy, outcome(&account.outcome)));
    if let Some(message) = message(&account.outcome).filter(|_| account.authorities.is_empty()) {
        lines.push(format!("    {message}"));
    }
    account.authorities.iter().for_each(|account| authority(account, lines));
    if let Some(language) = account.program {
        let said = match &account.outcome {
            Fulfilment::Satisfied => "is content".to_owned(),
            Fulfilment::Failed { message, .. } if account.authorities.iter().any(is_satisfied) => {
                format!("objects: {}", printable(message))
            }
            Fulfilment::Failed { .. } | Fulfilment::Exempted { .. } => "is not asked".to_owned(),
            Fulfilment::Unknown => "is not known".to_owned(),
        };
        lines.push(format!("    program ({language}) over all of it: {said}"));
    }
    if account.program_is_left_to_admission {
        lines.push("    its program is left to admission, which knows the object".to_owned());
    }
}

fn authority(account: &AuthorityAccount, lines: &mut Vec<String>) {
    lines.push(format!("    authority {}: {}", account.authority, outcome(&account.outcome)));
    lines.extend(account.accepts.iter().map(|accepted| format!("      accepts {}", printable(accepted))));
    if let Some(message) = message(&account.outcome).filter(|_| account.evidence.is_empty()) {
        lines.push(format!("      {}", printable(message)));
    }
    account.evidence.iter().for_each(|piece| evidence(piece, lines));
}

fn evidence(piece: &EvidenceAccount, lines: &mut Vec<String>) {
    let what = match &piece.predicate_type {
        Some(predicate) => format!("attestation {}", printable(predicate)),
        None if piece.signer.is_some() => "signature".to_owned(),
        None => "material".to_owned(),
    };
    let by = piece.signer.as_ref().map_or_else(String::new, |signer| format!(" by {}", by_whom(signer)));
    lines.push(format!("      {what} {}{by}: {}", piece.material, weighed(&piece.weighed)));
    lines.extend(
        piece.objections.iter().map(|objection| format!("        objection: {}", printable(objection))),
    );
    if let Some(time) = piece.integrated_time {
        lines.push(format!("        recorded {}", moment(time)));
    }
    lines.extend(piece.timestamps.iter().map(|time| format!("        stamped {}", moment(*time))));
    for entry in &piece.entries {
        lines.push(format!("        log {}, entry {}", printable(&entry.log), entry.index));
    }
    let checks: Vec<_> =
        piece.checks.iter().map(|check| format!("{} {}", check.check, check.outcome)).collect();
    if !checks.is_empty() {
        lines.push(format!("        checks: {}", checks.join(", ")));
    }
}

fn outcome(outcome: &Fulfilment) -> String {
    match outcome {
        Fulfilment::Satisfied => "satisfied".to_owned(),
        Fulfilment::Exempted { message } => message.clone(),
        Fulfilment::Failed { reason, .. } => format!("not satisfied ({reason})"),
        Fulfilment::Unknown => "not known".to_owned(),
    }
}

fn message(outcome: &Fulfilment) -> Option<&str> {
    match outcome {
        Fulfilment::Failed { message, .. } => Some(message),
        Fulfilment::Satisfied | Fulfilment::Exempted { .. } | Fulfilment::Unknown => None,
    }
}

fn weighed(weighed: &Weighed) -> String {
    match weighed {
        Weighed::Yes => "counts".to_owned(),
        Weighed::Flawed { detail } => format!("does not verify: {}", printable(detail)),
        Weighed::OtherKind => "of a kind that is not looked for".to_owned(),
        Weighed::OtherSubject => "of other images".to_owned(),
        Weighed::WrongIdentity => "by nobody who is accepted".to_owned(),
        Weighed::Revoked(revoked) => revoked.message(),
    }
}

fn by_whom(signer: &Signer) -> String {
    match signer {
        Signer::Certificate(identity) => format!(
            "{} with issuer {}",
            printable(&identity.subjects.join(", ")),
            printable(&identity.issuer)
        ),
        Signer::Key(id) => format!("the key {id}"),
    }
}

fn moment(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |instant| instant.to_string())
}

fn is_satisfied(account: &AuthorityAccount) -> bool {
    account.outcome == Fulfilment::Satisfied
}
