use super::*;

const P256: &str = include_str!("testdata/p256.pem");
const ED25519: &str = include_str!("testdata/ed25519.pem");
const RSA: &str = include_str!("testdata/rsa.pem");

fn read(text: &str) -> Result<Vec<PublicKey>, InvalidKeys> {
    parse(text, HashAlgorithm::Sha256)
}

#[test]
fn keys_of_every_kind_that_is_checked_are_read() {
    for text in [P256, ED25519, RSA, include_str!("testdata/p384.pem"), include_str!("testdata/p521.pem")] {
        assert_eq!(read(text).unwrap().len(), 1, "{text}");
        assert_eq!(read(&text.replace('\n', "\r\n")).unwrap(), read(text).unwrap());
    }
    assert_eq!(read(include_str!("testdata/rsa-pkcs1.pem")).unwrap(), read(RSA).unwrap());
}

#[test]
fn every_block_of_a_text_is_a_key_and_none_is_passed_over() {
    let both = format!("ours\n{P256}theirs\n{ED25519}{P256}");
    assert_eq!(read(&both).unwrap(), [&read(P256).unwrap()[..], &read(ED25519).unwrap()[..]].concat());
    for broken in [
        P256.replacen("MFkw", "!!!!", 1),
        P256.replacen("MFkw", "MFkx", 1),
        P256.replace("-----END PUBLIC KEY-----", ""),
        P256.replace("PUBLIC KEY", "PRIVATE KEY"),
        P256.replace("PUBLIC KEY", "CERTIFICATE"),
        P256.replace("PUBLIC KEY", "RSA PUBLIC KEY"),
    ] {
        for text in [broken.clone(), format!("{ED25519}{broken}"), format!("{broken}{ED25519}")] {
            assert_eq!(read(&text), Err(InvalidKeys::NotKeys), "{text}");
        }
    }
}

#[test]
fn keys_that_no_signature_is_checked_with_are_refused() {
    for text in [
        include_str!("testdata/p224.pem"),
        include_str!("testdata/x25519.pem"),
        include_str!("testdata/rsa1024.pem"),
    ] {
        assert_eq!(read(text), Err(InvalidKeys::Unsupported), "{text}");
    }
}

#[test]
fn keys_are_counted() {
    assert_eq!(read(&P256.repeat(KEY_LIMIT)).unwrap().len(), 1);
    assert_eq!(read(&P256.repeat(KEY_LIMIT + 1)), Err(InvalidKeys::TooMany));
    for nothing in ["", "no key", "---somedata---"] {
        assert_eq!(read(nothing), Err(InvalidKeys::NotKeys));
    }
}
