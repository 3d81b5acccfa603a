//! Registries behind an HTTP proxy.

use std::sync::{Arc, Mutex};

use oci::Digest;
use testkit::registry::{Fault, Registry, Seen};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use upstream::{Credentials, FetchError, Outage, Proxy, Settings, Upstream};

use crate::{all_words, repository, settings};

/// A proxy on loopback that connects everybody to one place, whatever they ask for, and remembers what they asked.
struct Forward {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

async fn forward(to: &Registry, answer: &'static str) -> Forward {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let (to, log) = (to.address(), asked.clone());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let log = log.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await?);
                }
                log.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
                client.write_all(answer.as_bytes()).await?;
                let mut server = TcpStream::connect(to).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    Forward { url, asked }
}

const CONNECTED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

/// A registry at a name that only the proxy knows.
fn behind(forward: &Forward, credentials: Option<&Credentials>) -> Settings {
    let proxy = Proxy::new(&forward.url, credentials, "").unwrap();
    Settings { proxy, ..settings("http://registry.invalid:5000") }
}

async fn small(settings: Settings, digest: &Digest) -> Result<(), FetchError> {
    Upstream::new(settings).unwrap().small_blob(&repository(), digest, 100).await.map(drop)
}

#[tokio::test]
async fn a_registry_is_reached_through_a_proxy_which_sees_where_to_and_no_more() {
    let registry = Registry::start().await;
    let digest = registry.put_blob("acme/app", "content");
    let forward = forward(&registry, CONNECTED).await;
    let user = Credentials::new("user", "secret");
    small(behind(&forward, Some(&user)), &digest).await.unwrap();
    let asked = forward.asked.lock().unwrap().join("");
    assert!(asked.starts_with("CONNECT registry.invalid:5000 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n"), "{asked}");
    assert!(!asked.contains("acme"), "{asked}");
    // What the proxy is shown is not for the registry.
    assert_eq!(registry.count(|seen| seen.header("proxy-authorization").is_some()), 0);
}

#[tokio::test]
async fn a_proxy_that_refuses_is_an_outage_and_nothing_of_it_is_repeated() {
    let registry = Registry::start().await;
    let forward = forward(&registry, "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
    let user = Credentials::new("user", "hunter2");
    let settings = behind(&forward, Some(&user));
    assert!(!format!("{settings:?}").contains("hunter2"));
    let error = small(settings, &Digest::of(b"content")).await.unwrap_err();
    assert!(
        matches!(&error, FetchError::Unavailable(outage) if matches!(**outage, Outage::Connect(_))),
        "{error:?}"
    );
    let words = all_words(&error);
    assert!(!words.contains("hunter2") && !words.contains("dXNlcjpodW50ZXIy"), "{words}");
    assert!(registry.requests().is_empty());
}

#[tokio::test]
async fn a_proxy_s_own_address_opens_no_other_one() {
    // The connection is to this machine, where the proxy is; the registry is not, so neither is what it may redirect to.
    let registry = Registry::start().await;
    let storage = Registry::start().await;
    let digest = storage.put_blob("acme/app", "content");
    let location = format!("{}/v2/acme/app/blobs/{digest}", storage.url());
    registry.fault(Seen::is_blob, Fault::StatusWith(307, vec![("location", location)]));
    let forward = forward(&registry, CONNECTED).await;
    let outcome = small(behind(&forward, None), &digest).await;
    assert!(matches!(outcome, Err(FetchError::Refused(_))), "{outcome:?}");
    assert!(storage.requests().is_empty());
}
