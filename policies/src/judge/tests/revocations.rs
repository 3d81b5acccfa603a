use super::*;

fn revocation(spec: &str) -> String {
    format!(
        "apiVersion: policy.countersign.dev/v1alpha1\nkind: Revocation\nmetadata: {{name: leak}}\nspec: {spec}\n"
    )
}

#[test]
fn a_revoked_image_is_denied_whatever_lets_it_in() {
    let revoked = revocation(&format!("{{reason: malware, digests: [{{digest: '{}'}}]}}", app()));
    let exempt =
        format!("exemptions: [{{digest: '{}', reason: legacy, expires: '2099-01-01'}}], authorities:", app());
    for policies in [
        vec![],
        vec![policy("open", &fixed("pass", "enforce"))],
        vec![policy("acme", KEYLESS)],
        vec![policy("warns", &fixed("fail", "warn"))],
        vec![policy("acme", &KEYLESS.replace("authorities:", &exempt))],
    ] {
        allowed(verdict(&policies, &[good()], NoMatch::Allow));
        let denial = denied(verdict(&[policies, vec![revoked.clone()]].concat(), &[good()], NoMatch::Allow));
        assert_eq!(denial.as_str(), "revoked");
        assert!(denial.for_person().ends_with("revoked by leak: malware"));
    }
}

#[test]
fn a_revoked_signature_counts_for_nothing_and_another_still_does() {
    let revoked =
        revocation("{reason: stolen, identities: [{issuer: 'https://ci.example', subject: release.yaml}]}");
    let set = [policy("acme", KEYLESS), revoked];
    let denial = denied(verdict(&set, &[good(), flawed("expired")], NoMatch::Allow));
    assert_eq!(denial.as_str(), "revoked");
    let hotfix = signed(&[app()], ISSUER, "hotfix-1");
    let allowed = allowed(verdict(&set, &[good(), hotfix], NoMatch::Deny));
    assert_eq!(allowed.signers().len(), 1);
}

#[test]
fn what_revokes_several_signatures_is_named_once() {
    let revoked =
        revocation("{reason: stolen, identities: [{issuer: 'https://ci.example', subjectRegExp: '^.*$'}]}");
    let findings = [good(), signed(&[app()], ISSUER, "hotfix-1")];
    let denial = denied(verdict(&[policy("acme", KEYLESS), revoked], &findings, NoMatch::Allow));
    let Cause::Failed(failures) = denial.cause() else { panic!("a policy matched") };
    let Reason::Revoked { by } = &failures[0].authorities()[0].reason else { panic!("revoked") };
    assert_eq!(by.iter().map(|revoked| &*revoked.by).collect::<Vec<_>>(), ["leak"]);
}
