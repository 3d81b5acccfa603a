//! Upstreams against registries on loopback that behave, misbehave and lie.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod auth;
mod blob;
mod callers;
mod cloud;
mod endpoints;
mod failure;
mod lists;
mod login;
mod manifest;
mod pace;
mod proxy;
mod redirect;
mod referrers;
mod tls;

use std::time::Duration;

use oci::{Repository, Tag, TagOrDigest};
use testkit::registry::{Auth, Options, Registry};
use upstream::{Credentials, Endpoint, Settings, Timeouts, Upstream};

/// Settings for a registry at this URL, with time limits that no test waits for.
fn settings(url: &str) -> Settings {
    let endpoint: Endpoint = url.parse().unwrap();
    let mut settings = Settings::new("registry.example".parse().unwrap(), endpoint);
    settings.timeouts.backoff = Duration::from_millis(4);
    settings
}

/// The same for tests of the time limits.
fn impatient(settings: Settings) -> Settings {
    Settings {
        timeouts: Timeouts {
            queue: Duration::from_millis(100),
            connect: Duration::from_millis(100),
            headers: Duration::from_millis(100),
            body: Duration::from_millis(200),
            ..settings.timeouts
        },
        ..settings
    }
}

fn upstream(registry: &Registry) -> Upstream {
    Upstream::new(settings(&registry.url())).unwrap()
}

fn with_password(registry: &Registry) -> Settings {
    Settings { credentials: Some(Credentials::new("user", "secret").into()), ..settings(&registry.url()) }
}

async fn guarded(auth: Auth) -> Registry {
    Registry::start_with(Options { auth: Some(auth), ..Options::default() }).await
}

fn repository() -> Repository {
    "acme/app".parse().unwrap()
}

fn tag() -> Tag {
    "v1".parse().unwrap()
}

fn by_tag() -> TagOrDigest {
    TagOrDigest::Tag(tag())
}

/// Everything that an error says, to a person or a log.
fn all_words(error: &dyn std::error::Error) -> String {
    let mut words = format!("{error:?}");
    let mut cause = Some(error);
    while let Some(error) = cause {
        words.push_str(&format!("; {error}"));
        cause = error.source();
    }
    words
}
