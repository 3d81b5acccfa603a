//! Sets the stage for a load run and holds it: an origin with signed images, the files of a gateway in front of it, and
//! a bare hyper server that sends one of the manifests with nothing before it.

mod bare;
mod faults;
mod files;

use std::path::PathBuf;

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
    files::write(&arguments.directory, &origin.url(), &authority.trusted_root(), bare, &digests)?;
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

/// An image that is signed as the policy expects.
fn push(origin: &Registry, authority: &Authority, seed: u64) -> Digest {
    let digest = Image::random(seed).push_to(origin, REPOSITORY, None);
    let layer = authority.sign(&digest, "registry.example/acme/app", &release());
    let signatures = signature_manifest(&[layer]);
    origin.put_blob(REPOSITORY, signatures.config.clone());
    for payload in &signatures.payloads {
        origin.put_blob(REPOSITORY, payload.clone());
    }
    let tag = SignatureManifest::tag_for(&digest);
    origin.put_manifest(REPOSITORY, Some(&tag), signatures.media_type.as_str(), signatures.manifest);
    digest
}

#[expect(clippy::print_stdout, reason = "what starts it waits for this line")]
fn say(text: &str) {
    println!("{text}");
}
