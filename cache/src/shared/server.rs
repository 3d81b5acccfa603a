//! Connections to the server, however it is run.

use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind,
    FromRedisValue, RedisError, RedisResult, TlsCertificates, TlsMode,
};

use super::address::Address;
use super::settings::{ConnectError, Settings};

/// How long one connection may take to be made.
const CONNECT: Duration = Duration::from_secs(2);

/// A server, and how it is told who we are.
#[derive(Debug)]
pub(super) struct Server {
    address: Address,
    certificates: TlsCertificates,
}

/// A connection that many questions share. To clone it is cheap.
#[derive(Clone)]
pub(super) enum Connection {
    /// To one server.
    One(MultiplexedConnection),
    /// To a cluster, which it follows as its slots move.
    Cluster(ClusterConnection),
}

impl Connection {
    pub(super) async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::One(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }
}

impl Server {
    /// Reads the settings. Nothing is connected to.
    pub(super) fn new(settings: &Settings) -> Result<Self, ConnectError> {
        let login = |node: ConnectionInfo| {
            let mut redis = node.redis_settings().clone().set_skip_set_lib_name();
            if let Some(username) = &settings.username {
                redis = redis.set_username(username);
            }
            if let Some(password) = &settings.password {
                redis = redis.set_password(password);
            }
            node.set_redis_settings(redis)
        };
        let all = |nodes: Vec<ConnectionInfo>| nodes.into_iter().map(login).collect();
        let address = match Address::parse(&settings.url)? {
            Address::Single(node) => Address::Single(login(node)),
            Address::Sentinel { sentinels, master } => {
                Address::Sentinel { sentinels: all(sentinels), master }
            }
            Address::Cluster(nodes) => Address::Cluster(all(nodes)),
        };
        let client_tls = settings.client.as_ref().map(|(certificate, key)| ClientTlsConfig {
            client_cert: certificate.clone(),
            client_key: key.clone(),
        });
        let certificates = TlsCertificates { client_tls, root_cert: settings.ca.clone() };
        let server = Self { address, certificates };
        server.check()?;
        Ok(server)
    }

    /// Makes the clients once, so that certificates that cannot be read are found here.
    fn check(&self) -> Result<(), ConnectError> {
        let unusable = |error: RedisError| ConnectError::Certificates(error.into());
        match &self.address {
            Address::Single(node) => self.client(node).map(drop).map_err(unusable)?,
            Address::Sentinel { sentinels, master } => {
                self.sentinel(sentinels, master).map(drop).map_err(unusable)?;
            }
            Address::Cluster(nodes) => {
                nodes.iter().try_for_each(|node| self.client(node).map(drop)).map_err(unusable)?;
            }
        }
        Ok(())
    }

    /// A connection for questions. Answers are waited for by whoever asks.
    pub(super) async fn connect(&self) -> RedisResult<Connection> {
        match &self.address {
            Address::Single(node) => one(&self.client(node)?).await,
            Address::Sentinel { sentinels, master } => {
                one(&self.sentinel(sentinels, master)?.async_get_client().await?).await
            }
            Address::Cluster(nodes) => self.cluster(nodes).await,
        }
    }

    /// A connection for messages. In a cluster every node passes on what any is told.
    pub(super) async fn listen(&self) -> RedisResult<PubSub> {
        match &self.address {
            Address::Single(node) => self.client(node)?.get_async_pubsub().await,
            Address::Sentinel { sentinels, master } => {
                self.sentinel(sentinels, master)?.async_get_client().await?.get_async_pubsub().await
            }
            Address::Cluster(nodes) => {
                let mut last = RedisError::from((ErrorKind::Client, "no node"));
                for node in nodes {
                    let client = self.client(node)?;
                    match tokio::time::timeout(CONNECT / 4, client.get_async_pubsub()).await {
                        Ok(Ok(messages)) => return Ok(messages),
                        Ok(Err(error)) => last = error,
                        Err(_) => last = RedisError::from((ErrorKind::Io, "a node did not answer")),
                    }
                }
                Err(last)
            }
        }
    }

    /// Whether a server that takes no writes may be the wrong one: a master that was one.
    pub(super) fn may_move(&self) -> bool {
        matches!(self.address, Address::Sentinel { .. })
    }

    fn client(&self, node: &ConnectionInfo) -> RedisResult<Client> {
        if is_tls(node) {
            Client::build_with_tls(node.clone(), self.certificates.clone())
        } else {
            Client::open(node.clone())
        }
    }

    /// The sentinels are called as the servers behind them are: with the same login and certificates.
    fn sentinel(&self, sentinels: &[ConnectionInfo], master: &str) -> RedisResult<SentinelClient> {
        let addresses = sentinels.iter().map(|node| node.addr().clone());
        let mut builder = SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?;
        if let Some(node) = sentinels.first() {
            let login = node.redis_settings();
            builder = builder.set_client_to_redis_db(login.db());
            if let Some(username) = login.username() {
                builder =
                    builder.set_client_to_redis_username(username).set_client_to_sentinel_username(username);
            }
            if let Some(password) = login.password() {
                builder =
                    builder.set_client_to_redis_password(password).set_client_to_sentinel_password(password);
            }
            if is_tls(node) {
                builder = builder
                    .set_client_to_redis_tls_mode(TlsMode::Secure)
                    .set_client_to_redis_certificates(self.certificates.clone())
                    .set_client_to_sentinel_tls_mode(TlsMode::Secure)
                    .set_client_to_sentinel_certificates(self.certificates.clone());
            }
        }
        builder.build()
    }

    async fn cluster(&self, nodes: &[ConnectionInfo]) -> RedisResult<Connection> {
        let mut builder = ClusterClientBuilder::new(nodes.to_vec())
            .connection_timeout(CONNECT)
            .response_timeout(CONNECT)
            .retries(2);
        if let Some(node) = nodes.first() {
            let login = node.redis_settings();
            if let Some(username) = login.username() {
                builder = builder.username(username);
            }
            if let Some(password) = login.password() {
                builder = builder.password(password);
            }
            if is_tls(node) {
                builder = builder.tls(TlsMode::Secure).certs(self.certificates.clone());
            }
        }
        builder.build()?.get_async_connection().await.map(Connection::Cluster)
    }
}

async fn one(client: &Client) -> RedisResult<Connection> {
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(None);
    client.get_multiplexed_async_connection_with_config(&config).await.map(Connection::One)
}

fn is_tls(node: &ConnectionInfo) -> bool {
    matches!(node.addr(), ConnectionAddr::TcpTls { .. })
}
