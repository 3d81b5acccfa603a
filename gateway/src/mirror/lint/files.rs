//! Which files there are, and what each of them is.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::talos::is_talos;
use crate::mirror::document;

/// The most bytes of a file, the most entries of all directories together, and the most directories in each other.
const SIZE_LIMIT: u64 = 4 * 1024 * 1024;
const ENTRY_LIMIT: usize = 65_536;
const DEPTH_LIMIT: usize = 32;

/// What a file is, by its name and place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// containerd's and Docker's, for a registry.
    HostsToml,
    /// containerd's own.
    ContainerdConfig,
    /// `registries.conf`, or a drop-in of it.
    Registries,
    /// Which images of containers/image's transports are accepted.
    Policy,
    /// Docker's `daemon.json`.
    Docker,
    /// k3s's `registries.yaml`.
    K3s,
    /// k3s's own.
    K3sConfig,
    /// Talos's machine configuration.
    Talos,
}

/// A file that was read.
#[derive(Debug)]
pub(crate) struct Source {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What it is.
    pub(crate) form: Form,
    /// What is in it.
    pub(crate) text: String,
}

/// A directory whose directories are registries.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The names of those that have a `hosts.toml`.
    pub(crate) with_hosts: BTreeSet<String>,
    /// The names of those that have none.
    pub(crate) without_hosts: BTreeSet<String>,
}

/// Everything that was read, and what was not.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// The files, in the order of their paths.
    pub(crate) sources: Vec<Source>,
    /// The directories of registries.
    pub(crate) trees: Vec<Tree>,
    /// What could not be read, and why.
    pub(crate) unread: Vec<String>,
}

impl Files {
    /// The files of one form, drop-ins after the file that they belong to.
    pub(super) fn of(&self, form: Form) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(move |source| source.form == form)
    }
}

/// Reads these files, and what is known by its name below these directories.
pub(crate) fn collect(paths: &[PathBuf]) -> Files {
    let mut walk = Walk { files: Files::default(), trees: BTreeMap::new(), entries: 0 };
    for path in paths {
        let before = walk.files.sources.len() + walk.files.unread.len();
        if path.is_dir() {
            walk.directory(path, 0)
        } else {
            walk.file(path, true)
        }
        if walk.files.sources.len() + walk.files.unread.len() == before {
            walk.unread(path, "nothing in it is a file that this command knows");
        }
    }
    let Walk { mut files, trees, .. } = walk;
    // Where drop-ins say the same as their file they are what counts, so they come after it.
    files.sources.sort_by_key(|source| sort_key(&source.path));
    files.sources.dedup_by(|one, other| one.path == other.path);
    files.trees = trees.into_values().filter(|tree| !tree.with_hosts.is_empty()).collect();
    files
}

/// A path with what makes a drop-in come after its file.
fn sort_key(path: &Path) -> (PathBuf, bool, PathBuf) {
    let parent = path.parent().unwrap_or_else(|| Path::new(""));
    let drop_in = name_of(parent).ends_with(".d") && name_of(parent) != "certs.d";
    let folder = if drop_in { parent.parent().unwrap_or(parent) } else { parent };
    (folder.to_owned(), drop_in, path.to_owned())
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(OsStr::to_str).unwrap_or_default()
}

struct Walk {
    files: Files,
    trees: BTreeMap<PathBuf, Tree>,
    entries: usize,
}

impl Walk {
    fn unread(&mut self, path: &Path, why: impl std::fmt::Display) {
        self.files.unread.push(format!("{}: {why}", path.display()));
    }

    fn directory(&mut self, directory: &Path, depth: usize) {
        if depth > DEPTH_LIMIT {
            return self.unread(directory, format!("more than {DEPTH_LIMIT} directories in each other"));
        }
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => return self.unread(directory, error),
        };
        for entry in entries {
            self.entries += 1;
            if self.entries > ENTRY_LIMIT {
                return self.unread(directory, format!("more than {ENTRY_LIMIT} files in all"));
            }
            // A link to a directory is not followed, so that the walk ends; one to a file is read as the file.
            match entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))) {
                Ok((path, kind)) if kind.is_dir() => {
                    self.registry(&path);
                    self.directory(&path, depth + 1);
                }
                Ok((path, _)) if path.is_file() => self.file(&path, false),
                Ok(_) => {}
                Err(error) => self.unread(directory, error),
            }
        }
    }

    /// A directory is a registry's where its parent holds registries.
    fn registry(&mut self, directory: &Path) {
        let Some(parent) = directory.parent() else { return };
        let has_hosts = directory.join("hosts.toml").exists();
        if !has_hosts && name_of(parent) != "certs.d" {
            return;
        }
        let tree = self.trees.entry(parent.to_owned()).or_default();
        tree.path = parent.to_owned();
        let names = if has_hosts { &mut tree.with_hosts } else { &mut tree.without_hosts };
        names.insert(name_of(directory).to_owned());
    }

    fn file(&mut self, path: &Path, asked_for: bool) {
        let yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        let form = form_of(path);
        if form.is_none() && !yaml && !asked_for {
            return;
        }
        let text = match read(path) {
            Ok(text) => text,
            // What is only perhaps ours, and is no text, is not.
            Err(_) if form.is_none() && !asked_for => return,
            Err(error) => return self.unread(path, error),
        };
        let talos = || {
            let is_ours = document::yaml(&text).is_ok_and(|documents| documents.iter().any(is_talos));
            (yaml && is_ours).then_some(Form::Talos)
        };
        match form.or_else(talos) {
            Some(form) => self.files.sources.push(Source { path: path.to_owned(), form, text }),
            None if asked_for => self.unread(path, "is no file that this command knows"),
            None => {}
        }
    }
}

fn form_of(path: &Path) -> Option<Form> {
    let parent = path.parent().map(name_of).unwrap_or_default();
    match (name_of(path), parent) {
        ("hosts.toml", _) => Some(Form::HostsToml),
        ("config.toml", _) => Some(Form::ContainerdConfig),
        ("registries.conf", _) => Some(Form::Registries),
        (name, "registries.conf.d") if name.ends_with(".conf") => Some(Form::Registries),
        ("policy.json", _) => Some(Form::Policy),
        ("daemon.json", _) => Some(Form::Docker),
        ("registries.yaml", _) => Some(Form::K3s),
        ("config.yaml", "k3s" | "rke2") => Some(Form::K3sConfig),
        (name, "config.yaml.d") if name.ends_with(".yaml") => Some(Form::K3sConfig),
        _ => None,
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(SIZE_LIMIT + 1).read_to_string(&mut text)?;
    if text.len() as u64 > SIZE_LIMIT {
        return Err(std::io::Error::other(format!("more than {SIZE_LIMIT} bytes")));
    }
    Ok(text)
}
