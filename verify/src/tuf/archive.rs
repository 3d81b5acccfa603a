//! A whole repository in one file: a tar archive, packed with gzip.

use std::collections::BTreeMap;
use std::io::Read as _;

use flate2::read::GzDecoder;

use super::error::TufError;

/// The most bytes that an archive may unpack to.
const UNPACKED_LIMIT: u64 = 16 * 1024 * 1024;

/// The most entries of an archive, and the most bytes of one.
const ENTRY_LIMIT: usize = 1024;
const FILE_LIMIT: u64 = 5_000_000;

/// Reads every file of an archive, by its path below the repository. Archives commonly have the repository in a folder
/// `repository`.
pub(super) fn unpack(archive: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, TufError> {
    if !archive.starts_with(&[0x1f, 0x8b]) {
        return Err(TufError::Archive("gzip: invalid header".to_owned()));
    }
    let refused = |error: std::io::Error| TufError::Archive(error.to_string());
    let mut archive = tar::Archive::new(GzDecoder::new(archive).take(UNPACKED_LIMIT));
    let (mut files, mut total) = (BTreeMap::new(), 0);
    for (index, entry) in archive.entries().map_err(refused)?.enumerate() {
        let entry = entry.map_err(refused)?;
        if index >= ENTRY_LIMIT {
            return Err(TufError::Archive(format!("more than {ENTRY_LIMIT} entries")));
        }
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = String::from_utf8(entry.path_bytes().into_owned())
            .map_err(|_| TufError::Archive("a path is not UTF-8".to_owned()))?;
        let size = entry.size();
        total += size;
        if size > FILE_LIMIT || total > UNPACKED_LIMIT {
            return Err(TufError::TooLarge { file: path, limit: FILE_LIMIT });
        }
        let mut bytes = Vec::new();
        entry.take(FILE_LIMIT).read_to_end(&mut bytes).map_err(refused)?;
        if bytes.len() as u64 != size {
            return Err(TufError::Archive(format!("{path} is cut off")));
        }
        let name = path.trim_start_matches("./").trim_start_matches('/');
        let name = name.strip_prefix("repository/").unwrap_or(name).to_owned();
        if files.insert(name, bytes).is_some() {
            return Err(TufError::Archive(format!("{path} is there twice")));
        }
    }
    Ok(files)
}
