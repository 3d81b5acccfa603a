//! The scenarios at the admission door, asked with reviews.

use serde_json::Value;
use testkit::image::Image;

use super::{REPOSITORY, Said, Scene};
use crate::admission_updates::{update, validated};
use crate::stage::{Gateway, Stage, review};

struct AtTheDoor {
    stage: Stage,
    gateway: Gateway,
}

impl AtTheDoor {
    async fn new() -> Self {
        let stage = Stage::new().await;
        let gateway = stage.gateway().await;
        Self { stage, gateway }
    }

    async fn said(&self, question: &Value) -> Said {
        let response = validated(&self.gateway, question).await;
        let warnings = response["warnings"].as_array().into_iter().flatten();
        let texts = warnings.chain([&response["status"]["message"]]).filter_map(Value::as_str);
        Said { allowed: response["allowed"] == true, text: texts.collect::<Vec<_>>().join("\n") }
    }
}

impl Scene for AtTheDoor {
    fn stage(&self) -> &Stage {
        &self.stage
    }

    fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    fn pushed(&self, seed: u64) -> Image {
        self.stage.unsigned(seed, REPOSITORY, "v1")
    }

    async fn under(&self, objects: &[&str]) {
        let directory = self.stage.directory.path().join("policies");
        for file in std::fs::read_dir(&directory).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
        for (index, text) in objects.iter().enumerate() {
            self.stage.policy(&format!("{index}.yaml"), text);
        }
        self.gateway.reload().await;
    }

    async fn created(&self, object: &Value) -> Said {
        self.said(&review(object)).await
    }

    async fn updated(&self, old: &Value, new: &Value) -> Said {
        self.said(&update(old, new, "")).await
    }
}

macro_rules! play {
    ($($scenario:ident),+ $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $scenario() {
            super::$scenario(&AtTheDoor::new().await).await;
        }
    )+};
}

each_scenario!(play);
