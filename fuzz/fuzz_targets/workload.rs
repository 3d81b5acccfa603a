//! Every image that an admitted object has is found, where a second look at the object finds it too.

#![no_main]

use gateway::admission::Workload;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|object: &str| {
    let kinds = [Workload::Pod, Workload::Template, Workload::PodTemplate, Workload::CronJob];
    for (kind, at) in kinds.into_iter().zip(["/spec", "/spec/template/spec", "/template/spec", CRON_JOB]) {
        let Ok(images) = kind.images(object) else { continue };
        // The second reader also looks at what concerns nobody here, such as numbers that are too large for it.
        let Ok(whole) = serde_json::from_str::<Value>(object) else { continue };
        for image in &images {
            let there = whole.pointer(&image.pointer).and_then(Value::as_str);
            assert_eq!(there, Some(image.text.as_str()), "{}", image.path);
        }
        assert_eq!(images.len(), written(whole.pointer(at)), "{kind:?}");
    }
});

const CRON_JOB: &str = "/spec/jobTemplate/spec/template/spec";

/// How many images a Pod's specification has.
fn written(spec: Option<&Value>) -> usize {
    let Some(spec) = spec else { return 0 };
    let count = |list: &str, image: &str| {
        let entries = spec.get(list).and_then(Value::as_array).into_iter().flatten();
        entries.filter(|entry| entry.pointer(image).is_some_and(Value::is_string)).count()
    };
    count("initContainers", "/image")
        + count("containers", "/image")
        + count("ephemeralContainers", "/image")
        + count("volumes", "/image/reference")
}
