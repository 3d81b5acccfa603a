//! The configuration files of an image, which programs of policies may ask to be shown.

use std::sync::Arc;

use oci::{Descriptor, Digest, ImageManifest, Manifest};
use serde_json::{Map, Value};

use crate::content::Content;
use crate::place::Place;
use crate::undecided::Undecided;

/// The most bytes of one configuration file.
const CONFIG_LIMIT: u64 = 4 * 1024 * 1024;

/// How many platforms an index may have.
const PLATFORMS: usize = 64;

/// The configuration file of every platform of an image, by the platform's name, as `linux/arm64/v8`.
///
/// # Errors
/// Any that cannot be had: a program is shown all of them or is not asked.
pub(crate) async fn image_configs(
    content: &Arc<Content>,
    place: &Place,
    digest: Digest,
) -> Result<Value, Undecided> {
    let known = content.manifest(place, digest).await?;
    let mut configs = Map::new();
    match &known.manifest {
        Manifest::Image(image) => add(content, place, image, &mut configs).await?,
        Manifest::Index(index) => {
            if index.manifests.len() > PLATFORMS {
                return Err(Undecided::Beyond(format!("the index has more than {PLATFORMS} manifests")));
            }
            for child in &index.manifests {
                let known = content.manifest(place, child.digest).await?;
                let Manifest::Image(image) = &known.manifest else {
                    return Err(unknown_type(child));
                };
                add(content, place, image, &mut configs).await?;
            }
        }
    }
    Ok(Value::Object(configs))
}

fn unknown_type(child: &Descriptor) -> Undecided {
    Undecided::Program(format!("unknown mime type for {}: {}", child.digest, child.media_type.as_str()))
}

async fn add(
    content: &Content,
    place: &Place,
    image: &ImageManifest,
    configs: &mut Map<String, Value>,
) -> Result<(), Undecided> {
    let unreadable =
        |why: String| Undecided::Program(format!("the image's configuration cannot be read: {why}"));
    let config = &image.config;
    if config.size > CONFIG_LIMIT {
        return Err(unreadable(format!("it has more than {CONFIG_LIMIT} bytes")));
    }
    let kept = content.blobs().read(&config.digest, CONFIG_LIMIT).await.ok().flatten();
    let file = match kept {
        Some(file) => file,
        None => {
            let fetched =
                place.upstream.small_blob(&place.name.repository, &config.digest, config.size).await;
            let file = fetched.map_err(Undecided::Fetch)?;
            content.blobs().keep(&file).await;
            file
        }
    };
    let config: Value =
        serde_json::from_slice(file.bytes()).map_err(|error| unreadable(error.to_string()))?;
    configs.insert(platform(&config), config);
    Ok(())
}

/// The platform that a configuration file says that it is for.
fn platform(config: &Value) -> String {
    let part = |name: &str| config.get(name).and_then(Value::as_str).filter(|part| !part.is_empty());
    let parts = [part("os"), part("architecture"), part("variant")];
    let name = parts.into_iter().flatten().collect::<Vec<_>>().join("/");
    match part("os.version") {
        Some(version) => format!("{name}:{version}"),
        None => name,
    }
}
