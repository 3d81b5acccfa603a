//! Files below a directory, none of them in the place of another.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::Context as _;

use crate::mirror::write::File;

/// Writes the files, or none of them where one of another content is there already.
pub(super) fn below(directory: &Path, files: &[File]) -> anyhow::Result<()> {
    let mut wanted = Vec::new();
    for file in files {
        let path = directory.join(&file.path);
        match std::fs::read(&path) {
            Ok(text) if text == file.text.as_bytes() => {}
            Ok(_) => anyhow::bail!(
                "{}: is there already and says something else; nothing was written",
                path.display()
            ),
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
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    }
    let mode = if file.secret { 0o600 } else { 0o644 };
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?.write_all(file.text.as_bytes())
}
