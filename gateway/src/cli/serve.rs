//! `countersign serve`.

use std::net::SocketAddr;
use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};

use super::{Answer, say};
use crate::app::App;
use crate::threads::{self, Threads};
use crate::{config, telemetry};

pub(super) fn serve(path: Option<&Path>) -> anyhow::Result<Answer> {
    let config = config::load(path, std::env::vars())?;
    let (doors, work) = (threads::doors()?, threads::work()?);
    let threads = Threads { doors: doors.handle().clone(), work: work.handle().clone() };
    work.block_on(async {
        let _telemetry = telemetry::start(&config.log, config.traces.as_ref())?;
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let app = App::start_with(config, &threads).await?;
        say(&welcome(&app));
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("draining");
        app.drain().await;
        Ok(Answer::Yes)
    })
}

/// What to type next.
fn welcome(app: &App) -> String {
    let (registry, admission, admin) =
        (reachable(app.registry), reachable(app.admission), reachable(app.admin));
    let verify = match &app.ca {
        Some(ca) => format!("--cacert {}", ca.display()),
        None => "--cacert YOUR-CA.pem".to_owned(),
    };
    format!(
        "Countersign is ready.\n\
         \n\
         Pull through it (any image that your policies allow):\n  \
           skopeo copy --src-tls-verify=false docker://{registry}/cgr.dev/chainguard/static:latest dir:/tmp/static\n  \
           docker pull {registry}/cgr.dev/chainguard/static:latest\n\
         \n\
         Ask the webhook about a Pod:\n  \
           curl {verify} https://{admission}/admission/validate -H 'content-type: application/json' -d '\
         {{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{{\"uid\":\"1\",\
         \"operation\":\"CREATE\",\"kind\":{{\"group\":\"\",\"version\":\"v1\",\"kind\":\"Pod\"}},\
         \"object\":{{\"spec\":{{\"containers\":[{{\"image\":\"nginx@sha256:{zeros}\"}}]}}}}}}}}'\n\
         \n\
         Watch it:\n  \
           curl http://{admin}/readyz http://{admin}/metrics\n",
        zeros = "0".repeat(64),
    )
}

/// An address that a client on this machine can use: one cannot connect to "every address".
fn reachable(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    address
}
