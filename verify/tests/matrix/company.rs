//! Signatures under certificates of a company's own authority.

use policies::{Demand, FlawKind, Profile};
use testkit::authority::{Attack, Authority, BundleVersion, Recipe};
use verify::{Grounds, InvalidTrustRoot, TrustRoot, check};

use crate::cases::{Form, MANIFEST, cases, image, refused, release, says, signed};

const WITHOUT_SCT: Profile = Profile { certificate_timestamp: Demand::NotRequired, ..Profile::STRICT };

/// A company, and the root of those whose logs and timestamps it uses: they do not know its certificates.
fn company() -> (Authority, TrustRoot) {
    let root = |authority: &Authority| TrustRoot::from_json(&authority.trusted_root()).unwrap();
    let company = Authority::new("company");
    let of_company = root(&company);
    let base = TrustRoot::compose(&root(&Authority::new("public")), &of_company, &of_company);
    (company, base)
}

#[test]
fn certificates_of_a_company_count_under_its_own_authority_and_no_other() {
    let (company, base) = company();
    let own = TrustRoot::with_certificate_authority(&company.certificate_authority(), &base).unwrap();
    for case in cases() {
        let sound = case.recipe.clone().by(&release());
        for recipe in [sound.clone(), sound.clone().with(Attack::NoCertificateTimestamp)] {
            let material = case.form.write(&company.mint(&recipe));
            let found = |root, profile| check(&material, &Grounds::keyless(root, profile)).finding;
            refused(found(&base, WITHOUT_SCT), FlawKind::Certificate, &case);
            says(&signed(found(&own, WITHOUT_SCT), &case), &case);
            // Its certificate log, if it has one, is not among those that the base knows.
            refused(found(&own, Profile::STRICT), FlawKind::CertificateTimestamp, &case);
        }
    }
}

#[test]
fn nobody_else_issues_in_the_place_of_a_companys_authority() {
    let (company, base) = company();
    let public = Authority::new("public");
    let own = TrustRoot::with_certificate_authority(&public.certificate_authority(), &base).unwrap();
    let recipe = Recipe::message(MANIFEST).by(&release());
    let v03 = Form::Bundle(BundleVersion::V03);
    let found = |attack: Option<Attack>| {
        let material = v03.write(&company.mint(&attack.into_iter().fold(recipe.clone(), Recipe::with)));
        check(&material, &Grounds::keyless(&own, WITHOUT_SCT)).finding
    };
    for attack in [None, Some(Attack::CertificateByStranger), Some(Attack::LoggedAfterExpiry)] {
        refused(found(attack), FlawKind::Certificate, &attack);
    }
}

#[test]
fn a_chain_beside_a_signature_leads_to_a_root_alone() {
    let (company, base) = company();
    // The second is the root: what lies between comes with a signature of the tag scheme, and not with a bundle.
    let chain = company.certificate_authority();
    let root = chain.rfind("-----BEGIN").map(|at| &chain[at..]).unwrap();
    let own = TrustRoot::with_certificate_authority(root, &base).unwrap();
    let found = |recipe: Recipe, form: Form| {
        let material = form.write(&company.mint(&recipe.by(&release())));
        check(&material, &Grounds::keyless(&own, WITHOUT_SCT)).finding
    };
    let tagged = Recipe::image(&image(), "registry.example/acme/app");
    signed(found(tagged, Form::Signature), &"with its chain");
    let bundle = Form::Bundle(BundleVersion::V03);
    refused(found(Recipe::message(MANIFEST), bundle), FlawKind::Certificate, &"alone");
}

#[test]
fn a_root_with_an_authority_of_its_own_is_another_root() {
    let (company, base) = company();
    let (one, other) = (company.certificate_authority(), Authority::new("other").certificate_authority());
    let id = |pem: &str| TrustRoot::with_certificate_authority(pem, &base).unwrap().id();
    assert_eq!(id(&one), id(&one));
    assert_ne!(id(&one), id(&other));
    assert_ne!(id(&one), base.id());
    let elsewhere = TrustRoot::with_certificate_authority(&one, &TrustRoot::public_good().unwrap());
    assert_ne!(id(&one), elsewhere.unwrap().id());
    let refused = |pem: &str| TrustRoot::with_certificate_authority(pem, &base).unwrap_err();
    assert!(matches!(refused(""), InvalidTrustRoot::Nobody));
    assert!(matches!(refused(&one.replace("CERTIFICATE", "KEY")), InvalidTrustRoot::Unusable(_)));
    assert!(matches!(refused(&" ".repeat(1024 * 1024 + 1)), InvalidTrustRoot::TooLarge));
}
