//! Programs that keep credentials: `docker-credential-*`.
//!
//! They speak [the protocol of docker-credential-helpers](https://github.com/docker/docker-credential-helpers): a server's
//! name in, a JSON object out.

use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::LoginError;
use crate::credentials::Credentials;

/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many bytes it may say.
const OUTPUT_LIMIT: u64 = 64 * 1024;
/// How long what it said is believed. The protocol has no word for it; a registry that refuses it sooner says so.
pub(super) const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// What it sees of our environment in any case.
const ENVIRONMENT: [&str; 2] = ["PATH", "HOME"];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// The program of this name, if a name it is: one in `PATH`, and no path.
pub(super) fn program(name: &str) -> Option<String> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (!name.is_empty() && name.len() <= 64 && name.bytes().all(known))
        .then(|| format!("docker-credential-{name}"))
}

/// Asks a program for the credentials of a server.
pub(super) async fn ask(
    program: &str,
    server: &str,
    environment: &[String],
) -> Result<Credentials, LoginError> {
    let failed = |reason: String| LoginError::Helper { program: program.to_owned(), reason };
    let seen = ENVIRONMENT.into_iter().chain(environment.iter().map(String::as_str));
    let seen = seen.filter_map(|name| Some((name, std::env::var_os(name)?)));
    let mut child = Command::new(program)
        .arg("get")
        .env_clear()
        .envs(seen)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // It may say a secret there as well.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("cannot be started: {error}")))?;
    match timeout(PATIENCE, converse(&mut child, server)).await {
        Ok(outcome) => outcome.map_err(failed),
        Err(_) => Err(failed(format!("said nothing within {} seconds", PATIENCE.as_secs()))),
    }
}

async fn converse(child: &mut Child, server: &str) -> Result<Credentials, String> {
    let broken = |error: std::io::Error| format!("broke off: {error}");
    if let Some(mut stdin) = child.stdin.take() {
        // A program may answer without having read what it was asked.
        drop(stdin.write_all(format!("{server}\n").as_bytes()).await);
    }
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(OUTPUT_LIMIT + 1).read_to_end(&mut output).await.map_err(broken)?;
    }
    if output.len() as u64 > OUTPUT_LIMIT {
        return Err(format!("said more than {OUTPUT_LIMIT} bytes"));
    }
    let status = child.wait().await.map_err(broken)?;
    if !status.success() {
        // What it printed is its own choice, so it is not repeated.
        return Err(format!("has none for {server}: {status}"));
    }
    let answer: Answer =
        serde_json::from_slice(&output).map_err(|_| "said what is no answer of its protocol".to_owned())?;
    Ok(match answer.username.as_str() {
        "<token>" => Credentials::identity_token(answer.secret),
        _ => Credentials::new(answer.username, answer.secret),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_named_and_no_path() {
        assert_eq!(program("ecr-login").as_deref(), Some("docker-credential-ecr-login"));
        for name in ["", "a/b", "../sh", "a b", "a;b", "a\0b"] {
            assert_eq!(program(name), None, "{name:?}");
        }
    }

    /// A program of ours, which is this script. It is started by its path, as `PATH` would have it.
    async fn run(script: &str, environment: &[String]) -> Result<Credentials, String> {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("docker-credential-test");
        // Written under another name and moved, so that nobody holds it open for writing when it is started.
        let text = format!("#!/bin/sh\n{script}\n");
        std::process::Command::new("sh")
            .args(["-c", "printf %s \"$1\" > \"$2\"", "sh", &text, path.to_str().unwrap()])
            .status()
            .unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        ask(path.to_str().unwrap(), "registry.example", environment).await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_program_is_asked_for_a_server_and_answers_in_json() {
        let script = r#"read server; [ "$1" = get ] && printf '{"ServerURL":"%s","Username":"%s","Secret":"s3"}' x "$server""#;
        assert_eq!(run(script, &[]).await.unwrap(), Credentials::new("registry.example", "s3"));
        let script = r#"printf '{"Username":"<token>","Secret":"s3"}'"#;
        assert_eq!(run(script, &[]).await.unwrap(), Credentials::identity_token("s3"));
    }

    #[tokio::test]
    async fn a_program_sees_of_the_environment_what_it_is_to_see() {
        let script = r#"printf '{"Username":"%s","Secret":"%s"}' "$CARGO_MANIFEST_DIR" "${HOME:+home}""#;
        assert_eq!(run(script, &[]).await.unwrap(), Credentials::new("", "home"));
        let seen = run(script, &["CARGO_MANIFEST_DIR".to_owned()]).await.unwrap();
        assert_eq!(seen, Credentials::new(env!("CARGO_MANIFEST_DIR"), "home"));
    }

    #[tokio::test]
    async fn what_a_program_says_instead_is_not_repeated() {
        for script in ["echo hunter2; exit 1", "echo hunter2", "echo hunter2 >&2; exit 3"] {
            let error = run(script, &[]).await.unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_program_that_never_ends_its_answer_is_ended() {
        let error = run("while :; do echo 0123456789; done", &[]).await.unwrap_err();
        assert!(error.contains("more than"), "{error}");
    }
}
