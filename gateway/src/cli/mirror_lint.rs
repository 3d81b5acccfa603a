//! `countersign mirror-lint`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use upstream::Origin;

use super::mirror_config::Registries;
use super::{Answer, Output, complain, say};
use crate::mirror::lint::{Expected, Files, Hole, Ours, collect, lint};

/// What is read, and what it is judged by.
#[derive(Args, Debug)]
pub(super) struct MirrorLint {
    /// Files, or directories to look for files in: hosts.toml, containerd's config.toml, registries.conf and its
    /// drop-ins, policy.json, daemon.json, k3s's registries.yaml and config.yaml, Talos machine configuration.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The gateway as nodes reach it; may be given again. Without it the first address is taken that is not a registry's.
    #[arg(long = "registry", value_name = "URL")]
    ours: Vec<Origin>,
    #[command(flatten)]
    registries: Registries,
    /// How to answer.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Names every hole.
pub(super) fn mirror_lint(arguments: &MirrorLint) -> anyhow::Result<Answer> {
    let expected = Expected { ours: Ours::new(&arguments.ours), upstreams: arguments.registries.named()? };
    let files = collect(&arguments.paths);
    let holes = lint(&files, &expected);
    files.unread.iter().for_each(|unread| complain(&format!("could not read {unread}")));
    if let Some(taken) = expected.ours.guessed() {
        complain(&format!("note: {taken} is taken for the gateway; --registry says which address is"));
    }
    match arguments.output {
        Output::Text => as_text(&files, &holes),
        Output::Json => as_json(&files, &holes),
    }
    Ok(if !holes.is_empty() {
        Answer::No
    } else if files.unread.is_empty() {
        Answer::Yes
    } else {
        Answer::Unclear
    })
}

fn as_text(files: &Files, holes: &[Hole]) {
    for hole in holes {
        let file = hole.file.display();
        let place = hole.line.map_or_else(|| file.to_string(), |line| format!("{file}:{line}"));
        say(&format!("{place}: {}: {}\n  instead: {}", hole.kind.name(), hole.what, hole.instead));
    }
    let (read, found) = (files.sources.len(), holes.len());
    say(&format!("{read} file{} read, {found} hole{}", plural(read), plural(found)));
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn as_json(files: &Files, holes: &[Hole]) {
    let read: Vec<_> = files.sources.iter().map(|source| &source.path).collect();
    say(&json!({"holes": holes, "files": read, "unread": files.unread}).to_string());
}
