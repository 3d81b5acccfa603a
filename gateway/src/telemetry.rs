//! Logs.

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Starts logging to standard output. Lines are written by a thread of their own, so that a slow terminal slows no
/// request; the guard writes what is left when it is dropped.
///
/// # Errors
/// Where `log.level` is no filter.
pub(crate) fn start(log: &Log) -> anyhow::Result<WorkerGuard> {
    let filter = EnvFilter::try_new(&log.level).map_err(|error| anyhow::anyhow!("log.level: {error}"))?;
    let (writer, guard) = tracing_appender::non_blocking(std::io::stdout());
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // A second start in one process keeps the first, which only tests do.
    let started = match log.format {
        LogFormat::Text => {
            subscriber.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stdout())).try_init()
        }
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    drop(started);
    Ok(guard)
}
