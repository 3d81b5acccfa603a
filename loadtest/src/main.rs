//! Sets the stage for a load run and holds it: an origin with signed images, the files of a gateway in front of it, and
//! a bare hyper server that sends one of the manifests with nothing before it.

mod bare;
mod faults;
mod files;

use std::path::PathBuf;

use bytes::Bytes;
use clap::Parser;
use oci::{Digest, MediaType};
use testkit::authority::{Authority, SignatureManifest, signature_manifest};
use testkit::image::Image;
use testkit::policy::release;
use testkit::registry::Registry;
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// Sets the stage in a directory, says "ready" and holds it until it is ended or its input is. Meanwhile it reads from
/// there what the origin is to do: see [`faults::obey`].
#[derive(Debug, Parser)]
struct Arguments {
    /// Where the files go.
    directory: PathBuf,
    /// How many signed images there are.
    #[arg(long, default_value_t = 1000)]
    images: u64,
}

/// The repository of every image, in the upstream that policies know as `registry.example`.
const REPOSITORY: &str = "acme/app";

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let origin = Registry::start().await;
    let authority = Authority::new("load");
    let digests: Vec<Digest> = (0..arguments.images).map(|seed| push(&origin, &authority, seed)).collect();
    let manifest = Image::random(0).manifest;
    let bare = bare::start(MediaType::OCI_MANIFEST, manifest).await?;
    let layers = [MEBIBYTE, 64 * MEBIBYTE].map(|size| push_layer(&origin, &authority, size));
    files::write(&arguments.directory, &origin.url(), &authority.trusted_root(), bare, &digests)?;
    files::write_layers(&arguments.directory, &origin.url(), &layers)?;
    say("ready");
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        match faults::obey(&origin, &line) {
            Ok(answer) => say(&answer),
            Err(error) => anyhow::bail!(error),
        }
    }
    Ok(())
}

const MEBIBYTE: usize = 1024 * 1024;

/// A signed image with one layer of this size, and that layer.
fn push_layer(origin: &Registry, authority: &Authority, size: usize) -> (Digest, Bytes) {
    let layer: Bytes = (0..size as u64 / 8).flat_map(|word| (word + size as u64).to_le_bytes()).collect();
    let digest = Image::of(vec![layer.clone()]).push_to(origin, REPOSITORY, None);
    sign(origin, authority, &digest);
    (digest, layer)
}

/// An image that is signed as the policy expects.
fn push(origin: &Registry, authority: &Authority, seed: u64) -> Digest {
    let digest = Image::random(seed).push_to(origin, REPOSITORY, None);
    sign(origin, authority, &digest);
    digest
}

fn sign(origin: &Registry, authority: &Authority, digest: &Digest) {
    let layer = authority.sign(digest, "registry.example/acme/app", &release());
    let signatures = signature_manifest(&[layer]);
    origin.put_blob(REPOSITORY, signatures.config.clone());
    for payload in &signatures.payloads {
        origin.put_blob(REPOSITORY, payload.clone());
    }
    let tag = SignatureManifest::tag_for(digest);
    origin.put_manifest(REPOSITORY, Some(&tag), signatures.media_type.as_str(), signatures.manifest);
}

#[expect(clippy::print_stdout, reason = "what starts it waits for this line")]
fn say(text: &str) {
    println!("{text}");
}
