//! Statements that must be there: `attestations`.

use super::WantedAttestation;
use crate::object::{Object, Report};
use crate::predicate;
use crate::program::{self, Level};

/// How many attestations an authority may want.
const LIMIT: usize = 64;

/// Reads the attestations of an authority.
pub(super) fn read(authority: &Object<'_>, report: &mut Report) -> Vec<WantedAttestation> {
    let attestations = authority.objects("attestations", LIMIT, report);
    attestations.iter().filter_map(|attestation| one(attestation, authority, report)).collect()
}

fn one(attestation: &Object<'_>, authority: &Object<'_>, report: &mut Report) -> Option<WantedAttestation> {
    attestation.only(&["name", "predicateType", "policy"], report);
    // Policy-controller leaves out which of the attestations it is.
    let known = attestation.known_as(authority.at("attestations"));
    known.require(&["name", "predicateType"], report);
    let program = known
        .object("policy", report)
        .and_then(|program| program::read(&program, Level::Attestation, report));
    let named = known.text("predicateType", report)?;
    if predicate::is_deprecated(named) {
        let path = known.at("predicateType");
        report.warnings.push(format!(
            "invalid value: {named}: {path}\ndeprecated value, please use RFC 3986 conformant values"
        ));
    }
    Some(WantedAttestation {
        name: known.text("name", report).unwrap_or_default().into(),
        named: named.into(),
        predicate_type: predicate::full(named).into(),
        program,
    })
}
