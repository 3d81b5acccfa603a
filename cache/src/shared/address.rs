//! Where the server is: one URL for all three ways in which Redis is run.

use redis::{ConnectionInfo, IntoConnectionInfo};
use thiserror::Error;

/// How many nodes a URL may name.
const NODES: usize = 32;

/// What to connect to.
#[derive(Clone, Debug)]
pub(super) enum Address {
    /// One server.
    Single(ConnectionInfo),
    /// Whichever server these sentinels call the master of this name.
    Sentinel { sentinels: Vec<ConnectionInfo>, master: String },
    /// The cluster that these nodes are of.
    Cluster(Vec<ConnectionInfo>),
}

/// Why a URL says nowhere to connect to. The URL itself may hold a password and is in no message.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum InvalidUrl {
    /// The scheme is none that is known.
    #[error("scheme is none of redis, redis+sentinel and redis+cluster, nor these with rediss for TLS")]
    Scheme,
    /// There is a query or a fragment. The library would read from there that certificates are not to be checked.
    #[error("a query or a fragment is not allowed")]
    Options,
    /// It names no node, or too many, or several where there can be one.
    #[error("names no node, too many, or more than one without sentinel or cluster")]
    Nodes,
    /// The path is not what the scheme wants: `/database`, `/master` or `/master/database` with sentinels, none with
    /// a cluster.
    #[error("path is not what the scheme wants")]
    Path,
    /// A node is no host and port.
    #[error("a node is not a host and a port")]
    Node,
}

impl Address {
    /// Reads `redis://[user:password@]host[:port][/database]`; with `rediss` for TLS; with `+sentinel` several hosts,
    /// divided by commas, and `/master` before the database; with `+cluster` several hosts and no path.
    pub(super) fn parse(url: &str) -> Result<Self, InvalidUrl> {
        if url.contains(['#', '?']) {
            return Err(InvalidUrl::Options);
        }
        let (scheme, rest) = url.split_once("://").ok_or(InvalidUrl::Scheme)?;
        let (plain, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        if !matches!(plain, "redis" | "rediss") {
            return Err(InvalidUrl::Scheme);
        }
        let (login, rest) = rest.rsplit_once('@').map_or(("", rest), |(login, rest)| (login, rest));
        let (nodes, path) = rest.split_once('/').unwrap_or((rest, ""));
        let nodes: Vec<&str> = nodes.split(',').collect();
        if nodes.len() > NODES || nodes.iter().any(|node| node.is_empty()) {
            return Err(InvalidUrl::Nodes);
        }
        let connections = |database: &str| {
            let node = |node: &&str| connection(plain, login, node, database);
            nodes.iter().map(node).collect::<Result<Vec<_>, _>>()
        };
        match kind {
            "" => {
                let [node] =
                    <[ConnectionInfo; 1]>::try_from(connections(path)?).map_err(|_| InvalidUrl::Nodes)?;
                Ok(Self::Single(node))
            }
            "sentinel" => {
                let (master, database) = path.split_once('/').unwrap_or((path, ""));
                if master.is_empty() {
                    return Err(InvalidUrl::Path);
                }
                Ok(Self::Sentinel { sentinels: connections(database)?, master: master.to_owned() })
            }
            "cluster" if path.is_empty() => Ok(Self::Cluster(connections("")?)),
            "cluster" => Err(InvalidUrl::Path),
            _ => Err(InvalidUrl::Scheme),
        }
    }
}

fn connection(scheme: &str, login: &str, node: &str, database: &str) -> Result<ConnectionInfo, InvalidUrl> {
    if !database.is_empty() && database.parse::<u16>().is_err() {
        return Err(InvalidUrl::Path);
    }
    let at = if login.is_empty() { "" } else { "@" };
    format!("{scheme}://{login}{at}{node}/{database}").into_connection_info().map_err(|_| InvalidUrl::Node)
}

#[cfg(test)]
mod tests {
    use redis::ConnectionAddr;

    use super::*;

    fn described(url: &str) -> Result<(&'static str, Vec<String>), InvalidUrl> {
        let describe = |node: &ConnectionInfo| {
            let settings = node.redis_settings();
            let tls = matches!(node.addr(), ConnectionAddr::TcpTls { insecure: false, .. });
            let login = (settings.username().unwrap_or(""), settings.password().unwrap_or(""));
            format!("{} {} {}:{} tls={tls}", node.addr(), settings.db(), login.0, login.1)
        };
        Ok(match Address::parse(url)? {
            Address::Single(node) => ("single", vec![describe(&node)]),
            Address::Sentinel { sentinels, master } => {
                let mut all = vec![master];
                all.extend(sentinels.iter().map(describe));
                ("sentinel", all)
            }
            Address::Cluster(nodes) => ("cluster", nodes.iter().map(describe).collect()),
        })
    }

    #[track_caller]
    fn reads(url: &str, kind: &str, nodes: &[&str]) {
        let nodes = nodes.iter().map(|node| (*node).to_owned()).collect();
        assert_eq!(
            described(url).map(|(kind, nodes)| (kind.to_owned(), nodes)),
            Ok((kind.to_owned(), nodes))
        );
    }

    #[test]
    fn one_url_says_which_of_the_three_it_is() {
        reads("redis://cache", "single", &["cache:6379 0 : tls=false"]);
        reads("rediss://u:p%40x@cache:7000/3", "single", &["cache:7000 3 u:p@x tls=true"]);
        let sentinels = ["main", "a:1 2 u:p tls=false", "b:2 2 u:p tls=false"];
        reads("redis+sentinel://u:p@a:1,b:2/main/2", "sentinel", &sentinels);
        reads("rediss+cluster://a:1,b:2", "cluster", &["a:1 0 : tls=true", "b:2 0 : tls=true"]);
    }

    #[test]
    fn what_could_be_meant_otherwise_is_refused() {
        for (url, why) in [
            ("cache:6379", InvalidUrl::Scheme),
            ("unix:///run/redis", InvalidUrl::Scheme),
            ("redis+mirror://a", InvalidUrl::Scheme),
            ("rediss://cache/#insecure", InvalidUrl::Options),
            ("redis://cache?protocol=resp3", InvalidUrl::Options),
            ("redis://", InvalidUrl::Nodes),
            ("redis://a,b", InvalidUrl::Nodes),
            ("redis+cluster://a,,b", InvalidUrl::Nodes),
            ("redis+cluster://a,b/1", InvalidUrl::Path),
            ("redis+sentinel://a,b", InvalidUrl::Path),
            ("redis://a/main", InvalidUrl::Path),
            ("redis://a:port", InvalidUrl::Node),
        ] {
            assert_eq!(described(url), Err(why), "{url}");
        }
    }
}
