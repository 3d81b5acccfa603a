//! Certificate authorities that are not of Sigstore: a company's own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::json;
use sigstore_verify::trust_root::CertificateAuthority;
use x509_cert::Certificate;
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::time::Time;

use crate::certificate;

/// The most certificates that are read.
const LIMIT: usize = 8;

/// The authorities whose certificates these are, in PEM: roots, and any between them and signers. Each is
/// trusted for as long as its own certificate says.
///
/// # Errors
/// What one of them is that is no certificate of an authority. None is passed over.
pub(crate) fn read(pem: &str) -> Result<Vec<CertificateAuthority>, String> {
    let blocks = certificate::blocks(pem).map_err(|flaw| flaw.detail)?;
    if blocks.len() > LIMIT {
        return Err(format!("there are more than {LIMIT} certificates"));
    }
    blocks.iter().map(|block| authority(block.as_bytes())).collect()
}

fn authority(der: &[u8]) -> Result<CertificateAuthority, String> {
    let parsed = certificate::parse(der).map_err(|flaw| flaw.detail)?;
    if !is_authority(&parsed) {
        return Err(format!("{} is no certificate authority", parsed.tbs_certificate.subject));
    }
    let validity = &parsed.tbs_certificate.validity;
    let start = moment(validity.not_before).ok_or("a certificate begins at no time")?;
    let mut period = json!({"start": start.to_string()});
    // "No end" is written as the last second of the year 9999, which is later than can be told here.
    if let Some(end) = moment(validity.not_after) {
        period["end"] = end.to_string().into();
    }
    let chain = json!({"certificates": [{"rawBytes": STANDARD.encode(der)}]});
    serde_json::from_value(json!({"uri": "", "certChain": chain, "validFor": period}))
        .map_err(|error| error.to_string())
}

/// Whether it may issue certificates (RFC 5280, 4.2.1.9). What is trusted here is not asked that again.
fn is_authority(certificate: &Certificate) -> bool {
    let constraints = certificate.tbs_certificate.get::<BasicConstraints>();
    constraints.is_ok_and(|constraints| constraints.is_some_and(|(_, constraints)| constraints.ca))
}

fn moment(time: Time) -> Option<Timestamp> {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).ok()?;
    Timestamp::from_second(seconds).ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};

    use super::*;

    fn pem(is_ca: IsCa, end: i32) -> String {
        let mut params = CertificateParams::default();
        params.is_ca = is_ca;
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(end, 12, 31);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    fn authority_until(end: i32) -> String {
        pem(IsCa::Ca(BasicConstraints::Unconstrained), end)
    }

    #[test]
    fn an_authority_is_trusted_for_as_long_as_its_certificate_says() {
        let period = |pem: &str| read(pem).unwrap().remove(0).valid_for.unwrap();
        let bounded = period(&authority_until(2030));
        assert_eq!(bounded.start.to_string(), "2026-01-01T00:00:00Z");
        assert_eq!(bounded.end.unwrap().to_string(), "2030-12-31T00:00:00Z");
        assert_eq!(period(&authority_until(9999)).end, None);
        assert_eq!(read(&[authority_until(2030), authority_until(2031)].concat()).unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_certificate_of_an_authority_is_refused_with_the_rest() {
        let good = authority_until(2030);
        for other in [pem(IsCa::NoCa, 2030), pem(IsCa::ExplicitNoCa, 2030), good.replace("CERT", "X")] {
            assert!(read(&format!("{good}{other}")).is_err(), "{other}");
        }
        assert!(read(&good.repeat(LIMIT)).is_ok());
        assert!(read(&good.repeat(LIMIT + 1)).is_err());
        assert_eq!(read("").map(|none| none.len()), Ok(0));
    }
}
