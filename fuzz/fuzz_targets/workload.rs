//! Every image that an admitted object has is found, where a second look at the object finds it too.

#![no_main]

use std::sync::LazyLock;

use gateway::admission::Kinds;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

static KINDS: LazyLock<Kinds> = LazyLock::new(|| Kinds::new(&[]));

fuzz_target!(|object: &str| {
    for kind in KINDS.all() {
        let Ok(found) = kind.images(object) else { continue };
        // The second reader also looks at what concerns nobody here, such as numbers that are too large for it.
        let Ok(whole) = serde_json::from_str::<Value>(object) else { continue };
        for image in &found.images {
            let there = whole.pointer(&image.pointer()).and_then(Value::as_str);
            assert_eq!(there, Some(image.text.as_str()), "{}", image.path);
        }
        let at = match kind.kind() {
            "Pod" => "/spec",
            "PodTemplate" => "/template/spec",
            "CronJob" => "/spec/jobTemplate/spec/template/spec",
            _ => "/spec/template/spec",
        };
        assert_eq!(found.images.len(), written(whole.pointer(at)), "{kind:?}");
    }
});

/// How many images a Pod's specification has.
fn written(spec: Option<&Value>) -> usize {
    let Some(spec) = spec else { return 0 };
    let count = |list: &str, image: &str| {
        let entries = spec.get(list).and_then(Value::as_array).into_iter().flatten();
        entries
            .filter(|entry| entry.pointer(image).and_then(Value::as_str).is_some_and(|text| !text.is_empty()))
            .count()
    };
    count("initContainers", "/image")
        + count("containers", "/image")
        + count("ephemeralContainers", "/image")
        + count("volumes", "/image/reference")
}
