//! What is kept of repositories on disk: one file each, replaced whole.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use verify::tuf::{KEPT_LIMIT, Kept, Repository};

const FILE: &str = "repository.json";

/// What was kept under a name, if it is of this repository.
pub(super) fn read(directory: &Path, name: &str, repository: &Repository) -> Option<Kept> {
    let file = std::fs::File::open(folder(directory, name).join(FILE)).ok()?;
    let mut bytes = Vec::new();
    file.take(KEPT_LIMIT + 1).read_to_end(&mut bytes).ok()?;
    if bytes.len() as u64 > KEPT_LIMIT {
        return None;
    }
    Kept::from_json(&bytes, repository)
}

/// Keeps this under a name, in place of what was.
///
/// # Errors
/// Where it cannot be written; what was there still is.
pub(super) fn write(directory: &Path, name: &str, kept: &Kept) -> std::io::Result<()> {
    let folder = folder(directory, name);
    std::fs::create_dir_all(&folder)?;
    let mut file = tempfile::NamedTempFile::new_in(&folder)?;
    file.write_all(kept.to_json().as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(folder.join(FILE)).map_err(|error| error.error)?;
    Ok(())
}

/// A folder of its own for every name. Most names are one already; of others it is the digest.
fn folder(directory: &Path, name: &str) -> PathBuf {
    let plain = name.len() <= 64
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte));
    let folder =
        if plain { name.to_owned() } else { oci::Digest::of(name.as_bytes()).to_string().replace(':', "-") };
    directory.join(folder)
}
