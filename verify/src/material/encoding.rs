//! How material is written down: every part after its length, in one order, so that there is one encoding
//! each.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};

use super::{InvalidMaterial, Kind};

/// What every encoding begins with. The number changes with the layout; then old material is found anew.
const VERSION: &[u8] = b"countersign-material/1\n";

const SIMPLE_SIGNING: u8 = 1;
const ENVELOPE: u8 = 2;
const BUNDLE: u8 = 3;

pub(super) fn write(kind: &Kind) -> Bytes {
    let mut out = BytesMut::new();
    out.put_slice(VERSION);
    match kind {
        Kind::SimpleSigning { payload, annotations } => {
            put_layer(&mut out, SIMPLE_SIGNING, payload, annotations)
        }
        Kind::Envelope { envelope, annotations } => put_layer(&mut out, ENVELOPE, envelope, annotations),
        Kind::Bundle { json } => {
            out.put_u8(BUNDLE);
            put(&mut out, json);
        }
    }
    out.freeze()
}

fn put_layer(out: &mut BytesMut, kind: u8, content: &[u8], annotations: &BTreeMap<String, String>) {
    out.put_u8(kind);
    put(out, content);
    for (name, value) in annotations {
        put(out, name.as_bytes());
        put(out, value.as_bytes());
    }
}

fn put(out: &mut BytesMut, part: &[u8]) {
    out.put_u64(part.len() as u64);
    out.put_slice(part);
}

pub(super) fn read(bytes: &[u8]) -> Result<Kind, InvalidMaterial> {
    let bytes = bytes.strip_prefix(VERSION).ok_or(InvalidMaterial::Malformed)?;
    match bytes.split_first() {
        Some((&SIMPLE_SIGNING, rest)) => {
            let (payload, annotations) = read_layer(rest)?;
            Ok(Kind::SimpleSigning { payload, annotations })
        }
        Some((&ENVELOPE, rest)) => {
            let (envelope, annotations) = read_layer(rest)?;
            Ok(Kind::Envelope { envelope, annotations })
        }
        Some((&BUNDLE, mut rest)) => {
            let json = Bytes::copy_from_slice(take(&mut rest)?);
            if rest.is_empty() { Ok(Kind::Bundle { json }) } else { Err(InvalidMaterial::Malformed) }
        }
        Some(_) | None => Err(InvalidMaterial::Malformed),
    }
}

fn read_layer(mut rest: &[u8]) -> Result<(Bytes, BTreeMap<String, String>), InvalidMaterial> {
    let content = Bytes::copy_from_slice(take(&mut rest)?);
    let mut annotations = BTreeMap::new();
    while !rest.is_empty() {
        let (name, value) = (text(&mut rest)?, text(&mut rest)?);
        // Another order, or a name twice, would be a second encoding of the same material.
        if annotations.last_key_value().is_some_and(|(last, _)| *last >= name) {
            return Err(InvalidMaterial::Malformed);
        }
        annotations.insert(name, value);
    }
    Ok((content, annotations))
}

fn text(rest: &mut &[u8]) -> Result<String, InvalidMaterial> {
    let part = take(rest)?;
    String::from_utf8(part.to_vec()).map_err(|_| InvalidMaterial::Malformed)
}

fn take<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], InvalidMaterial> {
    let (length, after) = rest.split_first_chunk::<8>().ok_or(InvalidMaterial::Malformed)?;
    let length = usize::try_from(u64::from_be_bytes(*length)).map_err(|_| InvalidMaterial::Malformed)?;
    let (part, after) = after.split_at_checked(length).ok_or(InvalidMaterial::Malformed)?;
    *rest = after;
    Ok(part)
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;
    use crate::Material;

    fn material() -> impl Strategy<Value = Material> {
        (0..3_u8, vec(any::<u8>(), 0..64), btree_map(".{0,8}", ".{0,8}", 0..5)).prop_map(
            |(kind, content, annotations)| match kind {
                0 => Material::simple_signing(content.into(), annotations).unwrap(),
                1 => Material::envelope(content.into(), annotations).unwrap(),
                _ => Material::bundle(content.into()).unwrap(),
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(material in material()) {
            let encoded = material.encode();
            prop_assert_eq!(Material::decode(&encoded), Ok(material.clone()));
            prop_assert_eq!(oci::Digest::of(&encoded), material.digest());
        }

        #[test]
        fn nothing_decodes_that_would_be_written_otherwise(
            material in material(), at in any::<prop::sample::Index>(), byte: u8,
        ) {
            let mut bytes = material.encode().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(decoded) = Material::decode(&bytes) {
                prop_assert_eq!(decoded.encode(), bytes);
            }
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        let encoded = |parts: &[&str]| {
            let mut out = BytesMut::from(VERSION);
            out.put_u8(SIMPLE_SIGNING);
            parts.iter().for_each(|part| put(&mut out, part.as_bytes()));
            out.freeze()
        };
        assert!(Material::decode(&encoded(&["payload", "a", "1", "b", "2"])).is_ok());
        for parts in
            [&[][..], &["payload", "a"], &["payload", "b", "2", "a", "1"], &["payload", "a", "1", "a", "2"]]
        {
            assert_eq!(Material::decode(&encoded(parts)), Err(InvalidMaterial::Malformed), "{parts:?}");
        }
        let bundle_and_more = b"countersign-material/1\n\x03\0\0\0\0\0\0\0\x01{}";
        for bytes in
            [&b""[..], b"countersign-material/1\n", b"countersign-material/1\n\x04", bundle_and_more, b"{}"]
        {
            assert_eq!(Material::decode(bytes), Err(InvalidMaterial::Malformed), "{bytes:?}");
        }
        let whole = encoded(&["payload", "a", "1"]);
        for end in 0..whole.len() {
            let cut = Material::decode(&whole[..end]);
            // Cut between annotations, the rest is material of its own.
            assert!(cut.is_err() || cut.is_ok_and(|cut| cut.encode() == whole[..end]), "{end}");
        }
        let mut endless = encoded(&[]).to_vec();
        endless.extend([0xff; 8]);
        assert_eq!(Material::decode(&endless), Err(InvalidMaterial::Malformed));
    }
}
