//! The scenarios of policy-controller's suite where a real API server asks, and `kubectl` tells.

use std::process::Output;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use testkit::image::Image;

use super::world::World;
use crate::scenarios::{self, REPOSITORY, Said, Scene, each_scenario};
use crate::stage::{Gateway, HOST, Stage};

/// A cluster whose gateway trusts the stage's authority.
struct InCluster {
    world: World,
    /// What nobody signed, and no policy but the one that is in force may speak of.
    probe: String,
    /// Whose images are told apart by this.
    scenario: AtomicU64,
}

/// Where what is changed is: it was created before the namespace took part.
const OLDER: &str = "older";

impl InCluster {
    async fn new() -> Self {
        let mut world = World::without_gateway().await;
        let path = world.configuration("");
        let text = std::fs::read_to_string(&path).unwrap();
        let root = world.stage().directory.path().join("trusted_root.json");
        let text = text.replace("root: public-good", &format!("root: {{file: {}}}", root.display()));
        std::fs::write(&path, text).unwrap();
        world.gateway = Some(Gateway::start(&path).await);
        world.until_ready().await;
        world.hook();
        world.plane.does(&["label", "namespace", "default", "policy.sigstore.dev/include=true"]);
        world.plane.does(&["create", "namespace", OLDER]);
        let probe = world.stage().unsigned(0, "probe/app", "v1");
        let probe = format!("{HOST}/probe/app@{}", probe.digest());
        Self { world, probe, scenario: AtomicU64::new(0) }
    }

    fn write(&self, object: &Value) -> String {
        let path = self.world.stage().directory.path().join("object.json");
        std::fs::write(&path, object.to_string()).unwrap();
        path.display().to_string()
    }

    /// Waits until the API server is told this of whatever no policy speaks of.
    async fn until_told_of_probe(&self, words: &str) {
        self.world.until_refused_with(&self.probe, words).await;
    }
}

fn said(output: &Output) -> Said {
    Said { allowed: output.status.success(), text: String::from_utf8(output.stderr.clone()).unwrap() }
}

impl Scene for InCluster {
    fn stage(&self) -> &Stage {
        self.world.stage()
    }

    fn gateway(&self) -> &Gateway {
        self.world.gateway()
    }

    fn pushed(&self, seed: u64) -> Image {
        let seed = self.scenario.load(Ordering::Relaxed) * 1000 + seed;
        self.stage().unsigned(seed, REPOSITORY, "v1")
    }

    async fn under(&self, objects: &[&str]) {
        let plane = &self.world.plane;
        plane.does(&["delete", "cip,trustroots.policy.sigstore.dev", "--all"]);
        let settings = ["configmap", "config-policy-controller", "-n", "cosign-system", "--ignore-not-found"];
        plane.does(&[&["delete"][..], &settings].concat());
        // Until none of what was before is in force.
        self.until_told_of_probe("no matching policies").await;
        for object in objects {
            // In braces it would be taken for JSON.
            plane.apply(&format!("---\n{object}"));
        }
        for object in objects {
            let object: Value = serde_saphyr::from_str(object).unwrap();
            let name = object["metadata"]["name"].as_str().unwrap();
            match object["kind"].as_str().unwrap() {
                "ClusterImagePolicy" => self.world.until_told(name, "True").await,
                "ConfigMap" => self.world.until_admitted(&self.probe).await,
                kind => assert_eq!(kind, "TrustRoot"),
            }
        }
    }

    async fn created(&self, object: &Value) -> Said {
        said(&self.world.plane.kubectl(&["create", "--dry-run=server", "-f", &self.write(object)]))
    }

    async fn updated(&self, old: &Value, new: &Value) -> Said {
        let plane = &self.world.plane;
        let label = |label: &str| plane.does(&["label", "namespace", OLDER, label]);
        label("policy.sigstore.dev/include-");
        plane.does(&["apply", "-n", OLDER, "-f", &self.write(old)]);
        label("policy.sigstore.dev/include=true");
        // Of its namespace the API server hears a moment later.
        let new = self.write(new);
        let asked = ["run", "asked", "-n", OLDER, "--dry-run=server", "--image", &self.probe];
        super::world::until(
            "the namespace takes part",
            async || !plane.kubectl(&asked).status.success(),
            || "the API server does not ask".to_owned(),
        )
        .await;
        said(&plane.kubectl(&["replace", "-n", OLDER, "--dry-run=server", "-f", &new]))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scenarios_of_policy_controller_hold_where_an_api_server_asks() {
    let scene = InCluster::new().await;
    macro_rules! play {
        ($($scenario:ident),+ $(,)?) => {$(
            scene.scenario.fetch_add(1, Ordering::Relaxed);
            eprintln!("{}", stringify!($scenario));
            scenarios::$scenario(&scene).await;
        )+};
    }
    each_scenario!(play);
    scene.world.stop().await;
}
