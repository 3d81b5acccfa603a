//! Who a certificate was issued to.

use policies::{CertificateIdentity, Claims, Flaw, FlawKind};
use sigstore_verify::crypto::parse_certificate_info;
use sigstore_verify::crypto::x509::FulcioCiClaims;
use sigstore_verify::types::DerCertificate;
use x509_cert::der::asn1::{ObjectIdentifier, Utf8StringRef};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::{GeneralName, OtherName};

use crate::certificate;
use crate::flaw::flaw;

/// The kind of `otherName` that Fulcio writes for a user name that is no e-mail address, from its
/// [list of object identifiers](https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md).
const FULCIO_USER_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");

/// The signer that a certificate names. It is the caller who knows that the certificate is to be trusted.
///
/// The issuer is that of extension `1.3.6.1.4.1.57264.1.8`, or of its predecessor `.1.1` where that is
/// absent: most certificates before 2023 have the old one alone.
///
/// # Errors
/// [`FlawKind::Certificate`] where it names no issuer or no subject, since nothing could be asked of such a
/// signer.
pub(crate) fn read(certificate: &DerCertificate) -> Result<CertificateIdentity, Flaw> {
    let parsed = parse_certificate_info(certificate)
        .map_err(|error| flaw(FlawKind::Malformed, format_args!("certificate is malformed: {error}")))?;
    let issuer = parsed.issuer.filter(|issuer| !issuer.is_empty());
    let issuer = issuer.ok_or_else(|| flaw(FlawKind::Certificate, "certificate names no issuer"))?;
    let subjects = subjects(certificate)?;
    if subjects.is_empty() {
        return Err(flaw(FlawKind::Certificate, "certificate names no subject"));
    }
    Ok(CertificateIdentity { issuer, subjects, claims: claims(parsed.ci_claims) })
}

/// Every subject alternative name that a signer can be known by.
fn subjects(certificate: &DerCertificate) -> Result<Vec<String>, Flaw> {
    let certificate = certificate::parse(certificate.as_bytes())?;
    let names = certificate.tbs_certificate.get::<SubjectAltName>().map_err(|error| {
        let detail = format_args!("the subject alternative names of the certificate are malformed: {error}");
        flaw(FlawKind::Malformed, detail)
    })?;
    let names = names.map(|(_, names)| names.0).unwrap_or_default();
    Ok(names.iter().filter_map(subject).filter(|name| !name.is_empty()).collect())
}

fn subject(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::Rfc822Name(text)
        | GeneralName::DnsName(text)
        | GeneralName::UniformResourceIdentifier(text) => Some(text.to_string()),
        GeneralName::OtherName(OtherName { type_id, value }) if *type_id == FULCIO_USER_NAME => {
            Utf8StringRef::try_from(value).ok().map(|text| text.to_string())
        }
        // Fulcio issues to none of these, and no policy can ask for one.
        GeneralName::OtherName(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EdiPartyName(_)
        | GeneralName::IpAddress(_)
        | GeneralName::RegisteredId(_) => None,
    }
}

/// What a certificate says of a build, under the names that Sigstore's own tools print.
fn claims(claims: FulcioCiClaims) -> Claims {
    let github = claims.deprecated_github;
    let named = [
        ("githubWorkflowTrigger", github.workflow_trigger),
        ("githubWorkflowSHA", github.workflow_sha),
        ("githubWorkflowName", github.workflow_name),
        ("githubWorkflowRepository", github.workflow_repository),
        ("githubWorkflowRef", github.workflow_ref),
        ("buildSignerURI", claims.build_signer_uri),
        ("buildSignerDigest", claims.build_signer_digest),
        ("runnerEnvironment", claims.runner_environment),
        ("sourceRepositoryURI", claims.source_repository_uri),
        ("sourceRepositoryDigest", claims.source_repository_digest),
        ("sourceRepositoryRef", claims.source_repository_ref),
        ("sourceRepositoryIdentifier", claims.source_repository_identifier),
        ("sourceRepositoryOwnerURI", claims.source_repository_owner_uri),
        ("sourceRepositoryOwnerIdentifier", claims.source_repository_owner_identifier),
        ("buildConfigURI", claims.build_config_uri),
        ("buildConfigDigest", claims.build_config_digest),
        ("buildTrigger", claims.build_trigger),
        ("runInvocationURI", claims.run_invocation_uri),
        ("sourceRepositoryVisibilityAtSigning", claims.source_repository_visibility_at_signing),
        ("deploymentEnvironment", claims.deployment_environment),
        ("tokenSubject", claims.token_subject),
    ];
    named.into_iter().filter_map(|(name, claim)| Some((name, claim?))).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CustomExtension, KeyPair, OtherNameValue, SanType};

    use super::*;

    const ARC: [u64; 7] = [1, 3, 6, 1, 4, 1, 57264];

    fn oid(number: u64) -> Vec<u64> {
        [&ARC[..], &[1, number]].concat()
    }

    /// An extension as Fulcio writes those from `.1.8` on: a DER string.
    fn der_string(number: u64, text: &str) -> CustomExtension {
        let mut value = vec![0x0c, u8::try_from(text.len()).unwrap()];
        value.extend(text.as_bytes());
        CustomExtension::from_oid_content(&oid(number), value)
    }

    /// An extension as Fulcio wrote those before: bare text.
    fn bare(number: u64, text: &str) -> CustomExtension {
        CustomExtension::from_oid_content(&oid(number), text.as_bytes().to_vec())
    }

    fn signer(names: Vec<SanType>, extensions: Vec<CustomExtension>) -> Result<CertificateIdentity, Flaw> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.custom_extensions = extensions;
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        read(&DerCertificate::new(certificate.der().to_vec()))
    }

    fn uri() -> SanType {
        SanType::URI("https://ci.example/release.yaml".try_into().unwrap())
    }

    #[test]
    fn a_signer_has_every_name_of_the_certificate() {
        let user =
            |oid: Vec<u64>, name: &str| SanType::OtherName((oid, OtherNameValue::Utf8String(name.into())));
        let names = vec![
            uri(),
            SanType::Rfc822Name("dev@acme.example".try_into().unwrap()),
            SanType::DnsName("ci.acme.example".try_into().unwrap()),
            user(oid(7), "build-user!acme.example"),
            user(vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 3], "someone@else.example"),
        ];
        let signer = signer(names, vec![der_string(8, "https://issuer.example")]).unwrap();
        let expected = [
            "https://ci.example/release.yaml",
            "dev@acme.example",
            "ci.acme.example",
            "build-user!acme.example",
        ];
        assert_eq!(signer.subjects, expected);
        assert!(signer.claims.is_empty());
    }

    #[test]
    fn the_issuer_is_the_new_extension_and_else_the_old_one() {
        let issuer = |extensions| {
            signer(vec![uri()], extensions).map(|signer| signer.issuer).map_err(|flaw| flaw.kind)
        };
        let (new, old) = (der_string(8, "https://new.example"), bare(1, "https://old.example"));
        assert_eq!(issuer(vec![old.clone(), new]).as_deref(), Ok("https://new.example"));
        assert_eq!(issuer(vec![old.clone()]).as_deref(), Ok("https://old.example"));
        // A new one that cannot be read is not passed over for the old one.
        assert_eq!(issuer(vec![old, bare(8, "https://new.example")]), Err(FlawKind::Malformed));
        assert_eq!(issuer(vec![]), Err(FlawKind::Certificate));
        assert_eq!(issuer(vec![der_string(8, "")]), Err(FlawKind::Certificate));
    }

    #[test]
    fn a_certificate_without_a_name_names_no_signer() {
        let issuer = || vec![der_string(8, "https://issuer.example")];
        assert_eq!(signer(vec![], issuer()).unwrap_err().kind, FlawKind::Certificate);
        let address = SanType::IpAddress([127, 0, 0, 1].into());
        assert_eq!(signer(vec![address], issuer()).unwrap_err().kind, FlawKind::Certificate);
    }

    #[test]
    fn claims_carry_the_names_of_their_extensions() {
        let extensions = vec![
            bare(1, "https://issuer.example"),
            bare(2, "push"),
            bare(5, "acme/app"),
            der_string(12, "https://github.com/acme/app"),
            der_string(20, "push"),
        ];
        let claims = signer(vec![uri()], extensions).unwrap().claims;
        let claims: Vec<_> = claims.iter().collect();
        let expected = [
            ("buildTrigger", "push"),
            ("githubWorkflowRepository", "acme/app"),
            ("githubWorkflowTrigger", "push"),
            ("sourceRepositoryURI", "https://github.com/acme/app"),
        ];
        assert_eq!(claims, expected);
    }
}
