//! Whose an address is, and whether what is asked of it leads anywhere.

use std::cell::OnceCell;

use oci::Host;
use upstream::{Origin, Scheme};

use super::{Finder, Kind};
use crate::mirror::{Registry, authority, is_authentic, spelled};

/// The gateway's addresses. Where nobody says, the first is taken that is no registry that images come from, and no other.
#[derive(Debug, Default)]
pub(crate) struct Ours {
    given: Vec<String>,
    taken: OnceCell<String>,
}

/// Whose an address is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Whose {
    Ours,
    /// The registry's own, or another's that images come from.
    Registry,
    /// Somebody else's.
    Other,
}

/// How a path below an address is understood.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Path {
    /// `/v2` is added to it.
    Completed,
    /// It is used as it is.
    Kept,
}

impl Ours {
    /// These addresses.
    pub(crate) fn new(registries: &[Origin]) -> Self {
        Self { given: registries.iter().map(authority).collect(), taken: OnceCell::new() }
    }

    /// The address that was taken for the gateway's because nobody had said which one is.
    pub(crate) fn guessed(&self) -> Option<&str> {
        self.taken.get().map(String::as_str)
    }

    /// Whose a host and port are, in what is said about a registry.
    fn whose(&self, address: &str, registry: Option<&Host>, known: &[Registry]) -> Whose {
        let lower = address.to_ascii_lowercase();
        let address = lower.strip_suffix(":443").unwrap_or(&lower);
        if self.given.iter().any(|given| given == address) {
            return Whose::Ours;
        }
        let is_registry = address.parse::<Host>().is_ok_and(|host| {
            host.is_docker_hub()
                || registry == Some(&host)
                || known.iter().any(|known| known.names.contains(&host))
        });
        if is_registry {
            Whose::Registry
        } else if self.given.is_empty() && self.taken.get_or_init(|| address.to_owned()) == address {
            Whose::Ours
        } else {
            Whose::Other
        }
    }
}

impl Finder<'_> {
    pub(super) fn whose(&self, address: &str, registry: Option<&Host>) -> Whose {
        self.expected.ours.whose(address, registry, &self.expected.upstreams)
    }

    /// Looks at the URL that pulls of a registry are sent to; `None` is every registry that is not named.
    /// The last that is asked is `server` where there is one.
    pub(super) fn endpoint(
        &mut self,
        line: Option<usize>,
        url: &str,
        registry: Option<&Host>,
        path: Path,
        last: bool,
    ) {
        let Some((origin, below)) = parse(url) else {
            let what = format!(
                "{url:?} is no URL of a host: the file counts for nothing, and the registry itself is asked"
            );
            self.found(line, Kind::InvalidValue, what, "the gateway's URL");
            return;
        };
        match self.whose(&authority(&origin), registry) {
            Whose::Ours => {
                if !is_authentic(&origin) {
                    let what = format!(
                        "{origin} is plain HTTP: whoever is on the way can answer in the gateway's place"
                    );
                    self.found(
                        line,
                        Kind::PlainHttp,
                        what,
                        "https://, with the certificate of the gateway's authority as `ca`",
                    );
                }
                if let Some(why) = self.wrong_path(&below, registry, path) {
                    self.found(
                        line,
                        Kind::WrongPath,
                        format!("{url}: {why}"),
                        format!("{origin}, without a path"),
                    );
                }
            }
            Whose::Registry if last => {
                let what = format!("{url} is a registry itself: it is asked whenever the gateway says no");
                self.found(line, Kind::OriginAsServer, what, "the gateway's URL");
            }
            Whose::Registry | Whose::Other => {
                let what = format!("{url} is not the gateway: whatever it serves, nobody has verified");
                self.found(line, Kind::NotOurs, what, "the gateway's URL, and no other");
            }
        }
    }

    /// Why requests below a path come to nothing, or to another registry than they are for.
    fn wrong_path(&self, path: &str, registry: Option<&Host>, how: Path) -> Option<String> {
        if path == "/v2" || (path.is_empty() && how == Path::Completed) {
            return None;
        }
        if how == Path::Completed {
            return Some(format!("requests go to {path}/v2/, where the gateway has no registry"));
        }
        let Some(prefix) = path.strip_prefix("/v2/") else {
            return Some(format!(
                "requests go to {path}/ as it is, and the gateway's registry begins with /v2/"
            ));
        };
        match (prefix.parse::<Host>(), registry) {
            (Ok(host), Some(registry)) if self.expected.is_same(&host, registry) => None,
            (_, Some(registry)) => {
                Some(format!("requests for {} go to {prefix}, which is another name", spelled(registry)))
            }
            (_, None) => Some(format!("requests for every registry go to {prefix}")),
        }
    }
}

/// The origin of a URL, which may lack its scheme, and the path below it.
fn parse(url: &str) -> Option<(Origin, String)> {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (scheme, rest),
        // containerd takes this for a URL that has a scheme, and finds no host in it.
        None if url.starts_with("http") => return None,
        None => (Scheme::Https.as_str(), url),
    };
    let (address, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    let origin = format!("{scheme}://{address}").parse().ok()?;
    let path = path.trim_end_matches('/').to_owned();
    (!path.contains(['?', '#'])).then_some((origin, path))
}
