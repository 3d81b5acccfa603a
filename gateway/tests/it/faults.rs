//! The table of docs/upstreams.md: what comes of everything that a hostile registry does, at the pull door.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use oci::Digest;
use testkit::image::Image;
use testkit::registry::{Auth, Fault, Options, Registry, Seen};

use super::stage::{Gateway, HOST, Reply, Stage};

/// A gateway before a registry that wants a password, and a stranger who must never see it.
struct Scene {
    stage: Stage,
    stranger: Registry,
    image: Image,
    gateway: Gateway,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wanted {
    Manifest,
    Blob,
}

impl Scene {
    async fn new() -> Self {
        let auth = Some(Auth::bearer("user", "canary"));
        let stage = Stage::with_origin(Registry::start_with(Options { auth, ..Options::default() }).await);
        let image = stage.signed(1, "acme/app", "v1");
        let stranger = Registry::start().await;
        image.push_to(&stranger, "acme/app", Some("v1"));
        let directory = stage.directory.path();
        std::fs::write(directory.join("user"), "user").unwrap();
        std::fs::write(directory.join("password"), "canary").unwrap();
        let (directory, endpoint) = (directory.display(), stage.origin.url());
        let text = format!(
            "storage: {{path: {directory}/storage}}\n\
             trust: {{root: {{file: {directory}/trusted_root.json}}}}\n\
             policies: {{directory: {directory}/policies}}\n\
             registry: {{listen: '127.0.0.1:0'}}\nadmission: {{listen: '127.0.0.1:0'}}\nadmin: {{listen: '127.0.0.1:0'}}\n\
             upstreams: [{{host: {HOST}, endpoint: '{endpoint}', timeouts: {{connect: 500ms, headers: 500ms, body: 500ms}},\n\
             \x20 credentials: {{usernameFile: {directory}/user, passwordFile: {directory}/password}}}}]\n"
        );
        let path = stage.directory.path().join("countersign.yaml");
        std::fs::write(&path, text).unwrap();
        let gateway = Gateway::start(&path).await;
        // Has a token by now, so that what happens once happens to what it is meant for.
        assert_eq!(gateway.get(&format!("/v2/{HOST}/acme/app/manifests/none")).await.status, 404);
        Self { stage, stranger, image, gateway }
    }

    fn digest(&self, wanted: Wanted) -> Digest {
        match wanted {
            Wanted::Manifest => self.image.digest(),
            Wanted::Blob => Digest::of(self.bytes(wanted)),
        }
    }

    fn bytes(&self, wanted: Wanted) -> &Bytes {
        match wanted {
            Wanted::Manifest => &self.image.manifest,
            Wanted::Blob => &self.image.layers[1],
        }
    }

    fn path(&self, wanted: Wanted) -> String {
        let kind = match wanted {
            Wanted::Manifest => "manifests",
            Wanted::Blob => "blobs",
        };
        format!("/acme/app/{kind}/{}", self.digest(wanted))
    }

    async fn pull(&self, wanted: Wanted) -> Reply {
        self.gateway.get(&format!("/v2/{HOST}{}", self.path(wanted))).await
    }

    /// Commits a fault whenever the origin is asked for this.
    fn fault(&self, wanted: Wanted, fault: Fault) {
        let path = self.path(wanted);
        self.stage.origin.fault(move |seen| seen.path.ends_with(&path), fault);
    }

    fn fault_once(&self, wanted: Wanted, fault: Fault) {
        let path = self.path(wanted);
        self.stage.origin.fault_times(1, move |seen| seen.path.ends_with(&path), fault);
    }

    /// What a pull comes to, in the words of the table. Bytes other than the right ones are not among them.
    async fn outcome(&self, wanted: Wanted) -> String {
        let reply = self.pull(wanted).await;
        match (reply.status.as_u16(), &reply.body) {
            (200, Ok(bytes)) => {
                assert_eq!(bytes, self.bytes(wanted), "wrong bytes were served");
                "200".to_owned()
            }
            (200, Err(_)) => "breaks off".to_owned(),
            (status, _) => {
                assert_eq!(status == 503, !reply.header("retry-after").is_empty(), "{reply:?}");
                status.to_string()
            }
        }
    }
}

/// A row of the table: its name, and what the registry does.
type Row = (&'static str, fn(&Scene, Wanted));

fn location(url: String) -> Fault {
    Fault::StatusWith(307, vec![("location", url)])
}

fn challenge(realm: &str) -> Fault {
    let bearer = format!(r#"Bearer realm="{realm}/token",service="testkit""#);
    Fault::StatusWith(401, vec![("www-authenticate", bearer)])
}

const ROWS: &[Row] = &[
    ("refuses every token that it gives", |scene, wanted| {
        scene.fault(wanted, challenge(&scene.stage.origin.url()));
    }),
    ("wants the password shown elsewhere", |scene, wanted| {
        scene.fault(wanted, challenge(&scene.stranger.url()));
    }),
    ("redirects elsewhere", |scene, wanted| {
        let url = format!("{}/v2{}", scene.stranger.url(), scene.path(wanted));
        scene.fault(wanted, location(url));
    }),
    ("redirects to a metadata service", |scene, wanted| {
        scene.fault(wanted, location("http://169.254.169.254/latest/meta-data".to_owned()));
    }),
    ("redirects in a circle", |scene, wanted| {
        scene.fault(wanted, location(format!("/v2{}", scene.path(wanted))));
    }),
    ("does not answer", |scene, wanted| scene.fault(wanted, Fault::Hang)),
    ("closes the connection instead", |scene, wanted| scene.fault(wanted, Fault::Reset)),
    ("sends a byte now and then", |scene, wanted| {
        scene.fault(wanted, Fault::Drip(Duration::from_millis(100)));
    }),
    ("stops in the middle", |scene, wanted| scene.fault(wanted, Fault::Stall(10))),
    ("breaks off in the middle, once", |scene, wanted| scene.fault_once(wanted, Fault::Truncate(10))),
    ("breaks off at once, every time", |scene, wanted| scene.fault(wanted, Fault::Truncate(0))),
    ("redirects to a URL that has expired when the rest is wanted", |scene, wanted| {
        for signature in ["first", "second"] {
            let url = format!("{}/v2{}?{signature}", scene.stranger.url(), scene.path(wanted));
            scene.fault_once(wanted, location(url));
        }
        let first = |seen: &Seen| seen.query.as_deref() == Some("first");
        scene.stranger.fault_times(1, first, Fault::Truncate(10));
        scene.stranger.fault(first, Fault::Status(403));
    }),
    ("sends other bytes", |scene, wanted| scene.fault(wanted, Fault::Corrupt)),
    ("sends a byte too many", |scene, wanted| scene.fault(wanted, Fault::Append(1))),
    ("sends bytes without end", |scene, wanted| scene.fault(wanted, Fault::Endless)),
    ("lists referrers without end", |scene, _| {
        let page = format!("</v2/acme/app/referrers/{}>; rel=\"next\"", scene.image.digest());
        scene.stage.origin.fault(|seen| seen.path.contains("/referrers/"), Fault::Header("link", page));
    }),
    ("asks for time", |scene, wanted| {
        scene.fault(wanted, Fault::StatusWith(429, vec![("retry-after", "1".to_owned())]));
    }),
    ("fails", |scene, wanted| scene.fault(wanted, Fault::Status(500))),
    ("answers with somebody else's page", |scene, wanted| {
        let page = vec![("content-type", "text/html".to_owned())];
        scene.fault(wanted, Fault::StatusWith(404, page));
    }),
];

/// What the documentation says of each row: for a manifest, and for a blob.
fn documented() -> BTreeMap<String, [String; 2]> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/upstreams.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, table) = text.split_once("| The registry |").expect("the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        let [name, manifest, blob, _why] = <[String; 4]>::try_from(cells).unwrap();
        (name, [manifest, blob])
    })
    .collect()
}

/// Plays one row, for a manifest and then for a blob of it.
async fn play((name, commit): Row, documented: [String; 2]) {
    let scene = Scene::new().await;
    for (wanted, says) in [Wanted::Manifest, Wanted::Blob].into_iter().zip(documented) {
        if says != "–" {
            commit(&scene, wanted);
        }
        let outcome = scene.outcome(wanted).await;
        let is_said = says == "–" || says.split(" or ").any(|said| said == outcome);
        assert!(is_said, "{name}, {wanted:?}: {outcome}, not {says}");
        // Whoever comes next, and finds the registry well again, is served, so that nothing wrong was kept.
        scene.stage.origin.clear_faults();
        scene.stage.origin.release();
        scene.stranger.clear_faults();
        let served = async { while scene.outcome(wanted).await != "200" {} };
        tokio::time::timeout(Duration::from_secs(20), served)
            .await
            .unwrap_or_else(|_| panic!("{name}, {wanted:?}: not served afterwards"));
    }
    assert_eq!(scene.stranger.count(|seen| seen.authorization().is_some()), 0, "{name}");
    assert_eq!(scene.stranger.count(|seen| seen.path == "/token"), 0, "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_registry_does_comes_to_what_is_documented() {
    let mut documented = documented();
    let mut playing = tokio::task::JoinSet::new();
    for row in ROWS {
        let says = documented.remove(row.0).unwrap_or_else(|| panic!("{:?} is not documented", row.0));
        playing.spawn(play(*row, says));
    }
    assert!(documented.is_empty(), "documented and not played: {documented:?}");
    while let Some(played) = playing.join_next().await {
        played.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_asks_for_time_is_asked_once_however_many_pull() {
    let scene = Scene::new().await;
    let held = Fault::StatusWith(429, vec![("retry-after", "600".to_owned())]);
    scene.fault(Wanted::Manifest, held);
    for _ in 0..10 {
        let reply = scene.pull(Wanted::Manifest).await;
        assert_eq!(reply.status, 503);
        let after: u64 = reply.header("retry-after").parse().unwrap();
        assert!((500..=600).contains(&after), "{after}");
    }
    let path = scene.path(Wanted::Manifest);
    assert_eq!(scene.stage.origin.count(|seen| seen.path.ends_with(&path)), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_upstreams_do_is_in_the_metrics() {
    let scene = Scene::new().await;
    scene.fault(Wanted::Manifest, Fault::Header("ratelimit-remaining", "76;w=21600".to_owned()));
    assert_eq!(scene.outcome(Wanted::Manifest).await, "200");
    scene.fault_once(Wanted::Blob, Fault::Truncate(10));
    assert_eq!(scene.outcome(Wanted::Blob).await, "200");
    let metrics = scene.gateway.admin("/metrics").await;
    let metrics = std::str::from_utf8(metrics.bytes()).unwrap();
    let labels = format!("{{upstream=\"{HOST}\",endpoint=\"{}\"", scene.stage.origin.url());
    let figure = |name: &str, more: &str| {
        let start = format!("countersign_upstream_{name}{labels}{more}}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("no {start} in {metrics}")).parse::<f64>().unwrap()
    };
    assert!(figure("requests_total", ",outcome=\"ok\"") >= 3.0);
    assert!(figure("seconds_count", "") >= 3.0);
    assert_eq!(figure("resumed_bodies_total", ""), 1.0);
    assert_eq!(figure("retries_total", ""), 0.0);
    assert_eq!(figure("set_aside", ""), 0.0);
    assert_eq!(figure("ratelimit_remaining", ""), 76.0);
}
