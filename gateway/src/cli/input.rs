//! Files that a command is given: YAML or JSON, within limits.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::{MergeKeyPolicy, Options};

/// The most bytes of a file.
const SIZE_LIMIT: u64 = 16 * 1024 * 1024;

/// The bytes of a file.
pub(super) fn bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(SIZE_LIMIT + 1).read_to_end(&mut bytes));
    read.with_context(|| path.display().to_string())?;
    anyhow::ensure!(bytes.len() as u64 <= SIZE_LIMIT, "{}: more than {SIZE_LIMIT} bytes", path.display());
    Ok(bytes)
}

/// The text of a file.
pub(super) fn text(path: &Path) -> anyhow::Result<String> {
    String::from_utf8(bytes(path)?).with_context(|| format!("{}: no text", path.display()))
}

/// The documents of a YAML stream, of which JSON is one; empty ones are skipped.
pub(super) fn documents(text: &str) -> anyhow::Result<Vec<Value>> {
    let read = serde_saphyr::from_multiple_with_options::<Value>(text, options());
    let read = read.map_err(|error| anyhow::anyhow!("{}", error.to_string().replace('\n', " ")))?;
    Ok(read.into_iter().filter(|document| !document.is_null()).collect())
}

/// The one document of a file.
pub(super) fn document(path: &Path) -> anyhow::Result<Value> {
    let read = documents(&text(path)?).with_context(|| path.display().to_string())?;
    let mut read = read.into_iter();
    match (read.next(), read.next()) {
        (Some(document), None) => Ok(document),
        _ => anyhow::bail!("{}: wants one document", path.display()),
    }
}

/// What a document says, with the path of whatever is wrong or unknown in it.
pub(super) fn typed<T: DeserializeOwned>(document: Value) -> anyhow::Result<T> {
    serde_path_to_error::deserialize(document).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if path == "." { anyhow::anyhow!("{inner}") } else { anyhow::anyhow!("{path}: {inner}") }
    })
}

/// As policies are read: nothing that would show a reader another document than is in force.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 1_024,
            max_depth: 64,
            max_nodes: 400_000,
            max_aliases: 256,
            max_anchors: 256,
        },
        merge_keys: MergeKeyPolicy::Error,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}
