//! The API server, and who we are to it.

use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::config::Kubernetes;
use crate::undecided::with_causes;

/// How often it is tried again: the files of a Pod's account may come after it.
const AGAIN: Duration = Duration::from_secs(1);

/// A client, once there are files to make one of. Whether the API server answers is not asked.
pub(super) async fn patiently(settings: &Kubernetes, trouble: impl Fn(String)) -> Client {
    let mut before = None;
    loop {
        match client(settings).await {
            Ok(client) => return client,
            Err(why) => {
                if before.as_ref() != Some(&why) {
                    tracing::error!(why, "there is no way to the API server");
                    trouble(why.clone());
                    before = Some(why);
                }
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

async fn client(settings: &Kubernetes) -> Result<Client, String> {
    let mut config = match &settings.kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path).map_err(|error| with_causes(&error))?;
            let chosen = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
            chosen.map_err(|error| format!("{}: {}", path.display(), with_causes(&error)))?
        }
        None => Config::incluster().map_err(|error| {
            format!("{}: set policies.kubeconfig outside of a cluster", with_causes(&error))
        })?,
    };
    config.connect_timeout = Some(Duration::from_secs(5));
    // Whoever asks has a deadline and a way of its own of asking again.
    config.default_retry = false;
    Client::try_from(config).map_err(|error| with_causes(&error))
}
