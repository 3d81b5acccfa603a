//! Certificates: `keyless`.

use super::demands::{self, Demands};
use super::{Accepted, key_ref};
use crate::facts::{Basis, Demand, TrustRootRef};
use crate::identity::{Identity, Matcher};
use crate::object::{Object, Report};

/// How many identities an authority may list.
const IDENTITY_LIMIT: usize = 256;

/// How many regular expressions all policies of a set may have. Each takes at most 64 KiB, and as much for
/// its cache.
const REGEX_LIMIT: usize = 4096;

/// The basis of `keyless`, and whom it accepts.
pub(super) fn read(object: &Object<'_>, demands: &Demands, report: &mut Report) -> (Vec<Basis>, Accepted) {
    object.only(&["url", "ca-cert", "identities", "trustRootRef", "insecureIgnoreSCT"], report);
    // Without either, the public authority is meant; and the authority that is named is never asked.
    object.text("url", report);
    if object.has("url") && object.has("ca-cert") {
        report.errors.both([object.at("ca-cert"), object.at("url")]);
    }
    let authority =
        object.object("ca-cert", report).and_then(|written| key_ref::certificates(&written, report));
    let certificate_timestamp = match object.boolean("insecureIgnoreSCT", report) {
        Some(true) => Demand::NotRequired,
        Some(false) | None => Demand::Required,
    };
    let named = demands::trust_root(object, report);
    if authority.is_some() && named.is_some() {
        report.unusable(&object.at("trustRootRef"), "a trust root beside ca-cert, which is one");
    }
    let certificates = authority.map(TrustRootRef::Authority).or(named).unwrap_or(TrustRootRef::Default);
    if !object.has("identities") {
        report.errors.missing(object.at("identities"));
    }
    let identities = object.objects("identities", IDENTITY_LIMIT, report);
    let identities = identities.iter().filter_map(|identity| known_identity(identity, report)).collect();
    (vec![demands.keyless(certificates, certificate_timestamp)], Accepted::Identities(identities))
}

fn known_identity(object: &Object<'_>, report: &mut Report) -> Option<Identity> {
    object.only(&["issuer", "issuerRegExp", "subject", "subjectRegExp"], report);
    let identity = identity(object, report)?;
    if identity.issuer.is_any_host() {
        let path = object.at("issuerRegExp");
        report.warnings.push(format!("{path}: accepts whatever any issuer says; name one"));
    }
    if identity.subject.is_many_repositories() {
        let path = object.at("subjectRegExp");
        report.warnings.push(format!(
            "{path}: accepts more than one repository; start with ^https://host/owner/repository/ in letters"
        ));
    }
    Some(identity)
}

/// The identity that the four fields of one describe.
pub(crate) fn identity(object: &Object<'_>, report: &mut Report) -> Option<Identity> {
    let issuer = matcher(object, "issuer", "issuerRegExp", report);
    let subject = matcher(object, "subject", "subjectRegExp", report);
    Some(Identity { issuer: issuer?, subject: subject? })
}

fn matcher(object: &Object<'_>, exact: &str, regex: &str, report: &mut Report) -> Option<Matcher> {
    match (object.has(exact), object.has(regex)) {
        (false, false) => {
            report.errors.missing(object.at(exact));
            report.errors.missing(object.at(regex));
        }
        (true, true) => report.errors.both([object.at(exact), object.at(regex)]),
        (true, false) | (false, true) => {}
    }
    let written = object.text(exact, report).map(|text| Matcher::Exact(text.to_owned()));
    let Some(source) = object.text(regex, report) else {
        return written;
    };
    report.regexes += 1;
    if report.regexes > REGEX_LIMIT {
        report
            .errors
            .add(format!("more than {REGEX_LIMIT} regular expressions in all policies"), object.at(regex));
        return None;
    }
    match Matcher::regex(source) {
        Ok(matcher) => {
            if matcher.is_unanchored() {
                let path = object.at(regex);
                report
                    .warnings
                    .push(format!("{path}: matches anywhere in the {exact}; write ^…$ to match all of it"));
            }
            Some(matcher)
        }
        Err(error) => {
            report.errors.invalid(source, object.at(regex), format!("regex is invalid: {error}"));
            None
        }
    }
}
