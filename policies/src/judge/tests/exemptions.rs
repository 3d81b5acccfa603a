use super::*;
use crate::test_support::{NOW, sitting};

fn exempt(expires: &str) -> String {
    KEYLESS.replace(
        "authorities:",
        &format!("exemptions: [{{digest: '{}', reason: legacy, expires: '{expires}'}}], authorities:", app()),
    )
}

#[test]
fn an_exempted_image_needs_no_signature_until_the_day_has_passed() {
    // The test's clock stands at 2027-01-15T08:00:00Z.
    for (expires, exempted) in [
        ("2027-01-15", true),
        ("2027-01-15T08:00:01Z", true),
        ("2027-01-15T08:00:00Z", false),
        ("2027-01-14", false),
    ] {
        let judgement = sitting(&[policy("acme", &exempt(expires))], &[], &Request::Pull).unwrap();
        if exempted {
            let allowed = allowed(judgement.verdict);
            assert_eq!(allowed.ground(), &Ground::Exempted);
            let [exempted] = allowed.exempted() else { panic!("one exemption") };
            assert_eq!((&*exempted.policy, &*exempted.exemption.reason), ("acme", "legacy"));
            assert!(judgement.valid_until.is_some_and(|until| until > NOW), "{expires}");
        } else {
            let denial = denied(judgement.verdict);
            assert_eq!(denial.as_str(), "unsigned");
            assert!(
                denial.for_person().contains("the exemption of this image ended at 2027-01-15"),
                "{}",
                denial.for_person()
            );
        }
    }
}

#[test]
fn an_exemption_is_of_one_image_and_from_one_policy() {
    let other = exempt("2099-01-01").replace(&app().to_string(), &Digest::of(b"other").to_string());
    denied(sitting(&[policy("acme", &other)], &[], &Request::Pull).unwrap().verdict);
    let both = [policy("acme", &exempt("2099-01-01")), policy("other", KEYLESS)];
    let denial = denied(sitting(&both, &[], &Request::Pull).unwrap().verdict);
    let Cause::Failed(failures) = denial.cause() else { panic!("policies matched") };
    assert_eq!(failures.iter().map(|failure| &*failure.policy).collect::<Vec<_>>(), ["other"]);
}

#[test]
fn the_longest_exemption_holds_and_a_signature_holds_without_end() {
    let twice = exempt("2027-02-01").replace(
        "exemptions: [",
        &format!("exemptions: [{{digest: '{}', reason: short, expires: '2020-01-01'}}, ", app()),
    );
    let judgement = sitting(&[policy("acme", &twice)], &[], &Request::Pull).unwrap();
    assert_eq!(allowed(judgement.verdict).exempted()[0].exemption.reason.as_ref(), "legacy");
    let signed = sitting(&[policy("acme", &exempt("2020-01-01"))], &[good()], &Request::Pull).unwrap();
    assert_eq!(signed.valid_until, None);
    assert_eq!(allowed(signed.verdict).ground(), &Ground::Satisfied);
}
