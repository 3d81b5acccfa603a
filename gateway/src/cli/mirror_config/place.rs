//! Files below a directory, none of them in the place of one that somebody else wrote.

use std::fs::{DirBuilder, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::Context as _;

use crate::mirror::write::File;

/// Writes the files, or none of them where one that is there already is neither the same nor one of ours.
///
/// A runtime may read at any time, and takes half a file, or a directory without its file, for leave to ask the registry
/// itself. Both appear whole.
pub(super) fn below(directory: &Path, files: &[File]) -> anyhow::Result<()> {
    let mut wanted = Vec::new();
    for file in files {
        let path = directory.join(&file.path);
        match std::fs::read(&path) {
            Ok(text) if text == file.text.as_bytes() => {}
            Ok(text) if file.may_replace(&text) => wanted.push((path, file)),
            Ok(_) => {
                anyhow::bail!(
                    "{}: is there already and says something else; nothing was written",
                    path.display()
                )
            }
            Err(error) if error.kind() == ErrorKind::NotFound => wanted.push((path, file)),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        }
    }
    for (path, file) in wanted {
        write(&path, file).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn write(path: &Path, file: &File) -> std::io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(ErrorKind::InvalidFilename.into());
    };
    if folder.exists() {
        return fill(folder, name.as_ref(), file);
    }
    let above = folder.parent().unwrap_or(folder);
    DirBuilder::new().recursive(true).mode(0o755).create(above)?;
    let fresh = tempfile::tempdir_in(above)?;
    std::fs::set_permissions(fresh.path(), Permissions::from_mode(0o755))?;
    fill(fresh.path(), name.as_ref(), file)?;
    std::fs::rename(fresh.path(), folder)?;
    // Where it was there is nothing left to remove.
    let _moved = fresh.keep();
    Ok(())
}

fn fill(folder: &Path, name: &Path, file: &File) -> std::io::Result<()> {
    let mode = if file.secret { 0o600 } else { 0o644 };
    let mut written = tempfile::NamedTempFile::new_in(folder)?;
    written.write_all(file.text.as_bytes())?;
    written.as_file().set_permissions(Permissions::from_mode(mode))?;
    written.as_file().sync_all()?;
    written.persist(folder.join(name))?;
    Ok(())
}
