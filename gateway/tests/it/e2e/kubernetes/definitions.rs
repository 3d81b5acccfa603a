//! What an API server is told of the kinds, held against the parser.

use std::path::Path;

use serde_json::Value;

use super::world::{World, printed};
use crate::stage::shared;

const POLICIES: &str = "policy-controller/test/testdata";

/// The YAML files of a folder, by name.
fn files(folder: &Path) -> Vec<(String, String)> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let yaml = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let read =
        |path: std::path::PathBuf| (path.display().to_string(), std::fs::read_to_string(&path).unwrap());
    yaml.map(read).collect()
}

/// Policies that our parser accepts are accepted by an API server that asks our webhooks; what they refuse is refused in
/// policy-controller's words.
#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_accepts_what_the_parser_accepts_and_refuses_the_rest_in_its_words() {
    let Some(data) = shared(POLICIES) else { return };
    let world = World::new().await;
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/examples");
    world.plane.does(&["create", "namespace", "shop"]);
    let mut accepted = 0;
    let folders =
        ["policy-controller/valid", "policy-controller/e2e", "policy-controller/tester", "trustroot/valid"];
    for folder in folders.map(|folder| data.join(folder)).into_iter().chain([examples]) {
        for (name, text) in files(&folder) {
            if name.ends_with("test-deployment.yaml") {
                continue;
            }
            let output = world.plane.applied(&text);
            assert!(output.status.success(), "{name}: {output:?}");
            accepted += 1;
        }
    }
    assert!(accepted > 60, "{accepted}");
    let mut refused = 0;
    for (name, text) in files(&data.join("policy-controller/invalid")) {
        let output = world.plane.applied(&text);
        assert!(!output.status.success(), "{name}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        for wanted in text.lines().filter_map(|line| line.strip_prefix("# ERROR:")) {
            let wanted = match wanted.trim() {
                // Said by the schema there, and by the parser here.
                "keyless.identities: Invalid value" if name.contains("empty-keyref-and-keylessref") => {
                    "expected exactly one, got both"
                }
                "keyless.identities: Invalid value" => {
                    "missing field(s): spec.authorities[0].keyless.identities"
                }
                wanted => wanted,
            };
            assert!(said.contains(wanted), "{name}: {wanted:?} is not in {said:?}");
        }
        refused += 1;
    }
    assert_eq!(refused, 33);

    // What nobody knows is not dropped on the way: it would leave a weaker policy.
    let output = world.plane.applied(
        "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: odd}\n\
         spec: {images: [{glob: 'a/**'}], authorities: [{static: {action: pass, unless: x}}]}\n",
    );
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("unknown field(s): spec.authorities[0].static.unless"), "{said}");
    world.stop().await;
}

/// Without any webhook the schemas alone refuse what is cheap to refuse.
#[tokio::test(flavor = "multi_thread")]
async fn schemas_refuse_what_lacks_a_field_and_give_defaults() {
    let world = World::without_gateway().await;
    let whole: [(&str, Value, &[&str]); 3] = [
        (
            "policy.sigstore.dev/v1beta1 ClusterImagePolicy",
            serde_json::json!({
                "images": [{"glob": "a/**"}], "authorities": [{"static": {"action": "pass"}}],
                "exemptions": [{"digest": format!("sha256:{}", "a".repeat(64)), "reason": "x", "expires": "2027-01-01"}],
            }),
            &[
                "images",
                "authorities",
                "images/0/glob",
                "exemptions/0/digest",
                "exemptions/0/reason",
                "exemptions/0/expires",
            ],
        ),
        (
            "policy.countersign.dev/v1alpha1 ImagePolicy",
            serde_json::json!({"images": [{"glob": "a/**"}], "authorities": [{"static": {"action": "pass"}}]}),
            &["images", "authorities", "images/0/glob"],
        ),
        (
            "policy.countersign.dev/v1alpha1 Revocation",
            serde_json::json!({
                "reason": "x", "digests": [{"digest": format!("sha256:{}", "a".repeat(64))}],
                "logEntries": [{"first": 1, "last": 2}],
            }),
            &["reason", "digests/0/digest", "logEntries/0/first", "logEntries/0/last"],
        ),
    ];
    for (kind, spec, required) in whole {
        let (version, kind) = kind.split_once(' ').unwrap();
        let object = |spec: &Value| {
            let object = serde_json::json!({"apiVersion": version, "kind": kind, "metadata": {"name": "it"}, "spec": spec});
            object.to_string()
        };
        world.plane.apply(&object(&spec));
        for field in required {
            let mut without = spec.clone();
            let (at, name) =
                field.rsplit_once('/').map_or((String::new(), *field), |(at, name)| (format!("/{at}"), name));
            without.pointer_mut(&at).unwrap().as_object_mut().unwrap().remove(name).unwrap();
            let output = world.plane.applied(&object(&without));
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(!output.status.success() && said.contains(name), "{kind} without {field}: {said}");
        }
    }
    let mode = world.plane.does(&["get", "cip", "it", "-o", "jsonpath={.spec.mode}"]);
    assert_eq!(mode, "enforce");
}

#[test]
fn the_definitions_in_the_repository_are_those_that_the_command_prints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds/countersign.yaml");
    let written = std::fs::read_to_string(path).unwrap();
    assert!(
        written == printed(&["crds"]),
        "write them anew: countersign crds > gateway/crds/countersign.yaml"
    );
}
