//! Logs, and traces where there is somebody to send them to.

mod traces;

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt};

use crate::config::{Log, LogFormat, Traces};

pub(crate) use self::traces::request;

/// Writes and sends what is left when it is dropped.
pub(crate) struct Telemetry {
    _logs: WorkerGuard,
    traces: Option<SdkTracerProvider>,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = self.traces.take()
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "not every span was sent");
        }
    }
}

/// How many lines wait for a slow reader; what comes then is lost.
const LINES: usize = 16_384;

/// Starts logging to standard output, and tracing where that is configured. Lines are written and spans are sent by
/// threads of their own, so that a slow terminal or collector slows no request.
///
/// # Errors
/// Where `log.level` is no filter, or spans cannot be sent to where they should.
pub(crate) fn start(log: &Log, traces: Option<&Traces>) -> anyhow::Result<Telemetry> {
    let filter = EnvFilter::try_new(&log.level).map_err(|error| anyhow::anyhow!("log.level: {error}"))?;
    let appender = NonBlockingBuilder::default().buffered_lines_limit(LINES);
    let (writer, guard) = appender.finish(std::io::stdout());
    let lines = fmt::layer().with_writer(writer);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match log.format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stdout())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let provider = traces.map(traces::provider).transpose()?;
    let spans = provider.as_ref().map(|provider| {
        let layer = tracing_opentelemetry::layer().with_tracer(traces::tracer(provider));
        layer.with_filter(Targets::new().with_target("countersign", tracing::Level::DEBUG))
    });
    let registry = tracing_subscriber::registry();
    // Where lines alone are wanted their filter holds for everything, so that what is not logged is not even put together.
    let started = match spans {
        Some(spans) => registry.with(lines.with_filter(filter)).with(spans).try_init(),
        None => registry.with(lines).with(filter).try_init(),
    };
    // A second start in one process keeps the first, which only tests do.
    drop(started);
    Ok(Telemetry { _logs: guard, traces: provider })
}
