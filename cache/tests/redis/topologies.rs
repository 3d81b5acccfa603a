//! The ways in which Redis is run: with TLS and access lists, behind sentinels, as a cluster.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use cache::{BreakerState, Index, Seals, Settings};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::replica::{Replica, acme, secret, settings};
use crate::server::{Server, free_port, until};

/// An authority, and what it vouches for: the server's certificate and a client's, each with its key, as PEM.
struct Certificates {
    ca: String,
    server: (String, String),
    client: (String, String),
}

fn certificates() -> Certificates {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let issue = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        // Another name than the authority's, or a certificate of its own is what it seems to be.
        params.distinguished_name.push(DnType::CommonName, name);
        (params.signed_by(&key, &authority).unwrap().pem(), key.serialize_pem())
    };
    Certificates { ca: authority.pem(), server: issue("localhost"), client: issue("countersign") }
}

fn write(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn with_tls_a_client_certificate_and_an_access_list_no_more_is_asked_for_than_is_allowed() {
    let (certificates, directory) = (certificates(), tempfile::tempdir().unwrap());
    let file = |name: &str, text: &str| write(directory.path(), name, text);
    let tls_port = free_port();
    let server = Server::with(&[
        "--tls-port",
        &tls_port.to_string(),
        "--tls-ca-cert-file",
        &file("ca", &certificates.ca),
        "--tls-cert-file",
        &file("certificate", &certificates.server.0),
        "--tls-key-file",
        &file("key", &certificates.server.1),
        "--tls-auth-clients",
        "yes",
    ]);
    let rights = ["~fleet:*", "&fleet:*", "-@all", "+getrange", "+get", "+set", "+del", "+eval", "+pexpire"];
    let more = ["+publish", "+subscribe", "+ping", "+auth"];
    let mut user = vec!["ACL", "SETUSER", "gateway", "on", ">right"];
    user.extend(rights);
    user.extend(more);
    server.ask::<String>(&user);

    let client = certificates.client;
    let with = || Settings {
        username: Some("gateway".into()),
        password: Some("right".into()),
        ca: Some(certificates.ca.clone().into_bytes()),
        client: Some((client.0.clone().into_bytes(), client.1.clone().into_bytes())),
        prefix: "fleet".into(),
        ..settings(&format!("rediss://localhost:{tls_port}"))
    };
    let (one, other) = (Replica::with(with()).await, Replica::with(with()).await);
    one.listens().await;
    other.listens().await;
    one.keep(&acme("image"), "value").await;
    assert!(other.find(&acme("image")).await.is_some());
    one.purge_tenant("acme").await;
    other.until(|stats| stats.purges == 1).await;
    one.memo.forget(&acme("image")).await;
    let stats = one.shared.stats();
    assert_eq!((stats.failed, stats.late), (0, 0), "nothing was refused");
    assert_eq!(server.ask::<Vec<String>>(&["ACL", "LOG"]).len(), 0);

    // Without a certificate, under another authority, and by another name there is no connection.
    let elsewhere = certificates_of_another();
    for wrong in [
        Settings { client: None, ..with() },
        Settings { ca: Some(elsewhere.into_bytes()), ..with() },
        Settings { url: format!("rediss://127.0.0.1:{tls_port}"), ..with() },
    ] {
        let replica = Replica::unconnected(wrong, &Index::in_memory());
        let answers = tokio::time::timeout(Duration::from_millis(500), replica.shared.answers()).await;
        assert!(answers.is_err());
    }
}

fn certificates_of_another() -> String {
    certificates().ca
}

#[tokio::test]
async fn certificates_that_cannot_be_read_are_found_at_once() {
    let unreadable = Settings {
        ca: Some(b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----".to_vec()),
        ..Settings::new("rediss://localhost", Seals::new(&[secret(1)]).unwrap())
    };
    let refused = cache::Shared::connect(unreadable, None);
    assert!(matches!(refused, Err(cache::ConnectError::Certificates(_))), "{refused:?}");
}

#[tokio::test]
async fn behind_sentinels_the_new_master_is_found_and_what_was_lost_is_only_missed() {
    let mut master = Server::start();
    let master_port = master.port.to_string();
    let follower =
        Server::with(&["--replicaof", "127.0.0.1", &master_port, "--repl-diskless-sync-delay", "0"]);
    let directory = tempfile::tempdir().unwrap();
    let configuration = format!(
        "sentinel monitor main 127.0.0.1 {master_port} 1\nsentinel down-after-milliseconds main 500\n\
         sentinel failover-timeout main 5000\n"
    );
    let configuration = write(directory.path(), "sentinel.conf", &configuration);
    let port = free_port();
    let mut sentinel = Command::new("redis-server")
        .args([&configuration, "--sentinel", "--port", &port.to_string(), "--bind", "127.0.0.1"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("the follower follows", || {
        follower.ask::<String>(&["INFO", "replication"]).contains("master_link_status:up")
    });
    let sentinel_knows = || {
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
        let connection = client.get_connection_with_timeout(Duration::from_millis(200));
        connection.is_ok_and(|mut connection| {
            let info: String = redis::cmd("INFO").arg("sentinel").query(&mut connection).unwrap_or_default();
            info.contains("slaves=1")
        })
    };
    until("the sentinel knows both", sentinel_knows);

    let url = format!("redis+sentinel://127.0.0.1:{port}/main");
    let replica = Replica::with(settings(&url)).await;
    replica.listens().await;
    replica.keep(&acme("before"), "value").await;
    master.kill();
    assert!(replica.find(&acme("before")).await.is_some(), "what is known stays known");
    replica.until(|stats| stats.openings >= 1).await;
    replica.until(|stats| stats.breaker == BreakerState::Closed && stats.listening).await;
    replica.keep(&acme("after"), "value").await;
    let other = Replica::with(settings(&url)).await;
    assert!(other.find(&acme("after")).await.is_some());
    assert!(follower.ask::<String>(&["INFO", "replication"]).contains("role:master"));
    sentinel.kill().unwrap();
    sentinel.wait().unwrap();
}

#[tokio::test]
async fn in_a_cluster_a_follower_takes_over_and_everything_is_found_where_it_is() {
    let arguments =
        ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0"];
    let mut nodes: Vec<Server> = (0..6).map(|_| Server::with(&arguments)).collect();
    let addresses: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    let created = Command::new("redis-cli")
        .args(["--cluster", "create"])
        .args(&addresses)
        .args(["--cluster-replicas", "1", "--cluster-yes"])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(created.success());
    until("the cluster is well", || {
        nodes.iter().all(|node| node.ask::<String>(&["CLUSTER", "INFO"]).contains("cluster_state:ok"))
    });
    until("followers follow", || {
        let follow = |node: &Server| node.ask::<String>(&["INFO", "replication"]);
        nodes.iter().filter(|node| follow(node).contains("master_link_status:up")).count() == 3
    });

    let url = format!("redis+cluster://{}", addresses.join(","));
    let (one, other) = (Replica::with(settings(&url)).await, Replica::with(settings(&url)).await);
    one.listens().await;
    other.listens().await;
    for number in 0..50 {
        one.keep(&acme(&number.to_string()), "value").await;
    }
    for number in 0..50 {
        assert!(other.find(&acme(&number.to_string())).await.is_some(), "{number}");
    }
    one.purge_tenant("acme").await;
    other.until(|stats| stats.purges == 1).await;

    nodes[0].kill();
    until("a follower took over", || {
        let info: String = nodes[1].ask(&["CLUSTER", "NODES"]);
        info.lines().filter(|line| line.contains("master") && !line.contains("fail")).count() == 3
            && nodes[1].ask::<String>(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
    });
    let fresh = |round: u32, number: u32| acme(&format!("{round}/{number}"));
    for round in 0.. {
        assert!(round < 100, "it does not find its way");
        one.answers().await;
        for number in 0..50 {
            one.keep(&fresh(round, number), "value").await;
        }
        let mut found = 0;
        for number in 0..50 {
            found += u32::from(one.find_shared(&fresh(round, number)).await.is_some());
        }
        if found == 50 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
