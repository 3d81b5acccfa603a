//! Whether an object is a policy that could be in force.

use policies::{Document, Externals, PolicySet};

use super::makes_no_policy;
use crate::admission::review::{AdmissionRequest, Answer, Ground};

/// The kinds of objects that are policies, or are about signatures.
const KINDS: [(&str, &str); 4] = [
    ("policy.sigstore.dev", "ClusterImagePolicy"),
    ("policy.sigstore.dev", "TrustRoot"),
    ("policy.countersign.dev", "ImagePolicy"),
    ("policy.countersign.dev", "Revocation"),
];

/// Checks one object by itself, in policy-controller's words.
pub(in crate::admission) fn validate<'a>(request: &'a AdmissionRequest<'_>) -> Answer<'a> {
    if makes_no_policy(request) {
        return Answer::allow(&request.uid, Ground::NoPolicy, Vec::new());
    }
    let deny = |why: &str| Answer::deny(&request.uid, format!("validation failed: {why}"), Vec::new());
    let (group, kind) = (&*request.kind.group, &*request.kind.kind);
    if !KINDS.contains(&(group, kind)) {
        return deny(&format!("{kind}.{group} is no kind that this webhook checks"));
    }
    let Some(object) = request.object else { return deny("the request has no object") };
    match read(object.get()) {
        Ok((set, warnings)) => Answer::allow(&request.uid, Ground::Policy(set), warnings),
        Err(why) => deny(&why),
    }
}

/// The object as a set of its own, and what its author may not have meant.
fn read(object: &str) -> Result<(PolicySet, Vec<String>), String> {
    let document = Document { origin: "object", text: object };
    let set = PolicySet::load([document], &Externals::default().with_cue()).map_err(|error| {
        let messages = error.problems().iter().map(|problem| problem.message.as_str());
        messages.collect::<Vec<_>>().join("\n")
    })?;
    if set.names().chain(set.revocations()).count() + set.trust_root_objects().len() != 1 {
        return Err("the object is no policy".to_owned());
    }
    // What it names is elsewhere in the cluster, and may come later: whoever has both looks whether it is there.
    let elsewhere: Vec<_> = set.externals().map(|external| format!("{external} is not known here")).collect();
    let known = |message: &&str| !elsewhere.iter().any(|missing| message.contains(missing));
    let warnings = set.warnings().iter().map(|warning| warning.message.as_str()).filter(known);
    let warnings = warnings.flat_map(str::lines).map(str::to_owned).collect();
    Ok((set, warnings))
}
