//! Policies in CUE, answered by the real program in its sandbox.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gateway::cue::{Cue, CueError};
use policies::Question;
use serde_json::{Value, json};

use crate::stage::shared;

/// The program that `scripts/install-tools e2e` built, which `make test` puts on the path.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&path).map(|folder| folder.join("cue")).find(|cue| cue.is_file());
    found.expect("cue is on the path: make test installs it")
}

fn cue() -> Cue {
    Cue::new(program(), env!("CARGO_BIN_EXE_countersign").into())
}

fn question(program: &str, input: &Value) -> Question {
    Question { program: program.into(), input: input.to_string().into() }
}

async fn answers(policy: &str, input: &Value) -> Result<(), String> {
    cue().answer(&question(policy, input)).await.unwrap()
}

/// A policy of policy-controller's own tests.
fn theirs(directory: &Path, name: &str) -> String {
    std::fs::read_to_string(directory.join(name)).unwrap()
}

fn vulnerabilities(uri: &str, scanner: &str) -> Value {
    let metadata =
        json!({"scanStartedOn": "2022-04-06T00:30:00.000Z", "scanFinishedOn": "2022-04-06T01:11:00.000Z"});
    json!({
        "predicateType": "https://cosign.sigstore.dev/attestation/vuln/v1",
        "predicate": {"invocation": {"uri": uri}, "scanner": {"uri": scanner}, "metadata": metadata},
    })
}

#[tokio::test]
async fn policies_of_policy_controller_are_answered_in_its_words() {
    let Some(data) = shared("policy-controller/test/testdata/policies") else { return };
    let statement = json!({
        "predicateType": "https://cosign.sigstore.dev/attestation/v1",
        "predicate": {"Data": "foobar e2e test", "Timestamp": "2022-04-20T18:17:19Z"},
    });
    let scan =
        vulnerabilities("invocation.example.com/cosign-testing", "fakescanner.example.com/cosign-testing");
    let configs = |user: &str| {
        let config = json!({"config": {"User": user}});
        json!({"config": {"linux/amd64": config, "linux/arm/v7": config}})
    };
    for (policy, input, message) in [
        (theirs(&data, "cue-works.cue"), &statement, None),
        (
            theirs(&data, "cue-fails.cue"),
            &statement,
            Some("predicateType: conflicting values \"cosignnotreally"),
        ),
        (theirs(&data, "cue-vuln-works.cue"), &scan, None),
        (theirs(&data, "cue-vuln-fails.cue"), &scan, Some("predicate.")),
        (theirs(&data, "cue-policy-config.cue"), &configs("65530"), None),
        (
            theirs(&data, "cue-policy-config.cue"),
            &configs("65532"),
            Some("config.\"linux/amd64\".config.User: conflicting values"),
        ),
        (
            "typemeta: kind: \"Job\"".to_owned(),
            &json!({"typemeta": {"kind": "Pod", "apiVersion": "v1"}}),
            Some("typemeta.kind: conflicting values \"Job\" and \"Pod\""),
        ),
        (
            "spec: serviceAccount: \"default\"".to_owned(),
            &json!({"spec": {"serviceAccount": "non-default"}}),
            Some("spec.serviceAccount: conflicting values \"default\" and \"non-default\""),
        ),
    ] {
        let answer = answers(&policy, input).await;
        match message {
            None => assert_eq!(answer, Ok(()), "{policy}"),
            Some(message) => {
                let expected = format!("failed to evaluate the policy with error: {message}");
                assert!(
                    answer.as_ref().is_err_and(|said| said.starts_with(&expected)),
                    "{policy}: {answer:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn what_a_policy_says_of_the_input_must_be_there() {
    let input = json!({"predicate": {"Timestamp": "2022-04-20T18:17:19Z"}});
    for policy in ["predicate: Data: \"x\"", "predicate: Data: string", "typemeta: kind: \"Pod\""] {
        assert!(answers(policy, &input).await.is_err(), "{policy}");
    }
    for policy in ["predicate: Data?: \"x\"", "import \"list\"\nours: list.Max([1, 2])\npredicate: {...}"] {
        assert_eq!(answers(policy, &input).await, Ok(()), "{policy}");
    }
    for policy in ["predicate: [", "predicate: nothing", "import \"example.com/x\"\ny: x.z"] {
        let message = answers(policy, &input).await.unwrap_err();
        assert!(message.starts_with("failed to compile the cue policy with error: "), "{policy}: {message}");
    }
}

#[tokio::test]
async fn a_policy_that_takes_all_there_is_has_no_answer() {
    let (cue, input) = (cue(), json!({"predicate": {}}));
    let nested =
        "import \"list\"\nn: list.Range(0, 3000, 1)\nx: [for a in n for b in n for c in n {a + b + c}]";
    let started = Instant::now();
    let endless = cue.answer(&question(nested, &input)).await;
    assert!(matches!(endless, Err(CueError::Late | CueError::Ended(_))), "{endless:?}");
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    let large = "import \"list\"\nimport \"strings\"\n\
        x: [for n in list.Range(0, 1000, 1) {strings.Repeat(\"0123456789 \\(n)\", 900000)}]";
    let large = cue.answer(&question(large, &input)).await;
    assert!(matches!(large, Err(CueError::Late | CueError::Ended(_))), "{large:?}");
}

#[tokio::test]
async fn a_policy_reaches_neither_files_nor_tools() {
    let input = json!({"predicate": {}});
    for policy in [
        "@extern(embed)\npackage p\nx: _ @embed(file=\"/etc/passwd\",type=text)",
        "import \"tool/file\"\nx: file.Read & {filename: \"/etc/passwd\", contents: string}",
        "import \"tool/http\"\nx: http.Get & {url: \"http://127.0.0.1:1\"}",
    ] {
        let answer = answers(policy, &input).await;
        assert!(answer.is_err(), "{policy}");
    }
}

#[test]
fn the_sandbox_takes_rights_from_any_program() {
    let directory = tempfile::TempDir::new().unwrap();
    std::fs::write(directory.path().join("inside"), "x").unwrap();
    let inside = |arguments: &[&str]| {
        let program = arguments.first().unwrap();
        let mut all = vec!["cue-sandbox", program, directory.path().to_str().unwrap()];
        all.extend(&arguments[1..]);
        super::parts::run(env!("CARGO_BIN_EXE_countersign"), &all)
    };
    assert!(inside(&["/bin/cat", directory.path().join("inside").to_str().unwrap()]).status.success());
    // Somebody listens there: only the sandbox stands in between.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let connect = format!("exec 3<>/dev/tcp/127.0.0.1/{}", listener.local_addr().unwrap().port());
    assert!(super::parts::run("/bin/bash", &["-c", &connect]).status.success());
    for arguments in [
        &["/bin/dash", "-c", "/bin/cat /dev/null; exit $?"][..],
        &["/bin/dash", "-c", "exec /bin/cat /proc/self/status > written"],
        &["/bin/bash", "-c", &connect],
    ] {
        let output = inside(arguments);
        assert!(!output.status.success(), "{arguments:?}: {output:?}");
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_is_no_answer() {
    let absent = Cue::new("/nowhere/cue".into(), env!("CARGO_BIN_EXE_countersign").into());
    let answer = absent.answer(&question("predicate: {}", &json!({"predicate": {}}))).await;
    assert!(matches!(answer, Err(CueError::Ended(_))), "{answer:?}");
}
