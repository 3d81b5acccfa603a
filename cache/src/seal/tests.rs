use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_700_000_000_000;
const LATER: u64 = NOW + 60_000;
const LABEL: Label<'static> = Label { domain: "acme", table: "facts", build: "1", key: b"key" };

fn seals(first: u8) -> Seals {
    Seals::new(&[secret(first)]).unwrap()
}

fn secret(first: u8) -> [u8; 32] {
    std::array::from_fn(|at| first.wrapping_add(at as u8))
}

fn sealed(value: &[u8]) -> Vec<u8> {
    seals(1).seal(LABEL, value, LATER, NOW).unwrap()
}

#[test]
fn what_is_sealed_is_opened_with_its_times() {
    let opened = Opened { value: b"value".to_vec(), made: NOW, expires: LATER };
    assert_eq!(seals(1).open(LABEL, &sealed(b"value"), NOW + 5), Ok(opened));
    assert_ne!(sealed(b"value"), sealed(b"value"), "a nonce is never used twice");
}

#[test]
fn a_flip_of_any_bit_breaks_the_seal() {
    let seals = seals(1);
    let sealed = sealed(b"allow");
    for at in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[at / 8] ^= 1 << (at % 8);
        let refused = match at / 8 {
            0 => Broken::Malformed,
            1..=KEY_ID => Broken::UnknownKey,
            _ => Broken::Forged,
        };
        assert_eq!(seals.open(LABEL, &flipped, NOW), Err(refused), "bit {at}");
    }
}

#[test]
fn what_is_cut_off_or_longer_is_not_opened() {
    let seals = seals(1);
    let sealed = sealed(b"allow");
    for length in 0..sealed.len() {
        let broken = seals.open(LABEL, &sealed[..length], NOW).unwrap_err();
        assert_eq!(broken == Broken::Malformed, length < HEAD, "cut at {length}");
    }
    assert_eq!(seals.open(LABEL, &[&sealed[..], &[0]].concat(), NOW), Err(Broken::Forged));
}

#[test]
fn a_value_is_opened_under_its_own_label_alone() {
    let seals = seals(1);
    let sealed = sealed(b"allow");
    let others = [
        Label { domain: "globex", ..LABEL },
        Label { table: "lists", ..LABEL },
        Label { build: "2", ..LABEL },
        Label { key: b"kez", ..LABEL },
        Label { build: "", key: b"1key", ..LABEL },
        Label { domain: "acmefacts", table: "", ..LABEL },
    ];
    for other in others {
        assert_eq!(seals.open(other, &sealed, NOW), Err(Broken::Forged), "{other:?}");
        assert_ne!(other.place(), LABEL.place());
    }
}

#[test]
fn a_value_that_is_put_back_after_its_expiry_is_not_believed() {
    let seals = seals(1);
    assert!(seals.open(LABEL, &sealed(b"allow"), LATER - 1).is_ok());
    assert_eq!(seals.open(LABEL, &sealed(b"allow"), LATER), Err(Broken::Expired));
    assert_eq!(seals.open(LABEL, &sealed(b"allow"), u64::MAX), Err(Broken::Expired));
}

#[test]
fn a_secret_is_replaced_in_two_steps() {
    let both = Seals::new(&[secret(2), secret(1)]).unwrap();
    assert!(both.open(LABEL, &sealed(b"old"), NOW).is_ok(), "the old one still opens");
    let new = both.seal(LABEL, b"new", LATER, NOW).unwrap();
    assert!(seals(2).open(LABEL, &new, NOW).is_ok(), "the new one seals");
    assert_eq!(seals(1).open(LABEL, &new, NOW), Err(Broken::UnknownKey));
    assert_eq!(seals(2).open(LABEL, &sealed(b"old"), NOW), Err(Broken::UnknownKey));
    assert_eq!(Seals::unkeyed().open(LABEL, &new, NOW), Err(Broken::UnknownKey));
}

#[test]
fn secrets_that_prove_nothing_are_refused() {
    assert_eq!(Seals::new(&[]).unwrap_err(), InvalidSecrets::None);
    assert_eq!(Seals::new(&[secret(1); 9]).unwrap_err(), InvalidSecrets::TooMany);
    assert_eq!(Seals::new(&[secret(1), [0; 32]]).unwrap_err(), InvalidSecrets::Guessable);
    assert_eq!(Seals::new(&[[b'a'; 32]]).unwrap_err(), InvalidSecrets::Guessable);
    assert!(!Seals::unkeyed().are_keyed() && seals(1).are_keyed());
}

fn text() -> impl Strategy<Value = String> {
    "[ab;/:]{0,4}"
}

fn label(of: &(String, String, String, String)) -> Label<'_> {
    Label { domain: &of.0, table: &of.1, build: &of.2, key: of.3.as_bytes() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_value_opens_under_its_label_and_no_other(
        value in prop::collection::vec(any::<u8>(), 0..200),
        one in (text(), text(), text(), text()),
        other in (text(), text(), text(), text()),
    ) {
        let sealed = seals(1).seal(label(&one), &value, LATER, NOW).unwrap();
        let opened = seals(1).open(label(&other), &sealed, NOW);
        if one == other {
            prop_assert_eq!(opened.unwrap().value, value);
        } else {
            prop_assert_eq!(opened, Err(Broken::Forged));
            prop_assert_ne!(label(&one).place(), label(&other).place());
        }
    }

    #[test]
    fn nothing_that_we_did_not_seal_is_opened(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(seals(1).open(LABEL, &bytes, NOW).is_err());
    }
}
