//! Values as they are stored: one byte that says how, a checksum, then JSON.

use std::sync::Arc;

use oci::{Algorithm, Hasher};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::KeyBytes;

/// How values are stored. A record that begins with another byte is of another version.
const SCHEMA: u8 = 1;

/// How long the checksum is.
const CHECKSUM: usize = 32;

/// The record of a value. `None` if it has none, as a map whose keys are no text.
pub(super) fn encode<V: Serialize>(table: &str, key: &KeyBytes, value: &V) -> Option<Arc<[u8]>> {
    let json = serde_json::to_vec(value)
        .inspect_err(|error| tracing::error!(table, %error, "a value cannot be stored"))
        .ok()?;
    Some([&[SCHEMA], checksum(table, key, &json).as_slice(), &json].concat().into())
}

/// How long the JSON of a value is, more or less what it takes in memory.
pub(super) fn length<V: Serialize>(value: &V) -> usize {
    struct Length(usize);
    impl std::io::Write for Length {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut length = Length(0);
    // What cannot be written weighs what was.
    drop(serde_json::to_writer(&mut length, value));
    length.0
}

/// The value of a record, if it is of this version, of this key, and as it was written: the index checks its pages when
/// it is opened and not when they are read, and a decayed page must not read as another fact.
pub(super) fn decode<V: DeserializeOwned>(table: &str, key: &KeyBytes, record: &[u8]) -> Option<V> {
    let (schema, rest) = record.split_first()?;
    if *schema != SCHEMA {
        return None;
    }
    let (found, json) = rest.split_at_checked(CHECKSUM)?;
    if found != checksum(table, key, json) {
        tracing::error!(table, "a value has changed on disk");
        return None;
    }
    serde_json::from_slice(json)
        .inspect_err(|error| tracing::debug!(table, %error, "a value of another version"))
        .ok()
}

fn checksum(table: &str, key: &KeyBytes, json: &[u8]) -> [u8; CHECKSUM] {
    let mut all = KeyBytes::default();
    all.field(table.as_bytes());
    all.field(key.as_slice());
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(all.as_slice());
    hasher.update(json);
    let mut checksum = [0; CHECKSUM];
    checksum.copy_from_slice(hasher.finish().hash());
    checksum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> KeyBytes {
        KeyBytes::of(&name.to_owned())
    }

    #[test]
    fn a_record_reads_as_what_was_written_or_not_at_all() {
        let record = encode("things", &key("a"), &12345).unwrap();
        let read = |table, name, record: &[u8]| decode::<u32>(table, &key(name), record);
        assert_eq!(read("things", "a", &record), Some(12345));
        assert_eq!(read("things", "b", &record), None, "under another key");
        assert_eq!(read("others", "a", &record), None, "in another table");
        for at in 0..record.len() {
            let mut decayed = record.to_vec();
            decayed[at] ^= 1;
            assert_eq!(read("things", "a", &decayed), None, "byte {at}");
            assert_eq!(read("things", "a", &record[..at]), None, "cut at {at}");
        }
    }
}
