//! Policies in CUE, answered by the `cue` program: <https://cuelang.org>.
//!
//! Each question is a process of its own. We start ourselves again as `cue-sandbox`, which gives up every right that
//! the program has no use for and becomes it; see `sandbox`. What it is given is two files in a directory of its
//! own, and what counts is how it ended: it has to say yes or no by itself, within its limits.
//!
//! Stricter than policy-controller: what a policy says of the input must be there, see `strict`.

pub(crate) mod sandbox;
mod strict;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use policies::Question;
use serde_json::Value;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::sync::Semaphore;

/// How long a question may take, its turn not counted.
const TIME: Duration = Duration::from_secs(5);

/// The largest input, in bytes.
const INPUT: usize = 8 * 1024 * 1024;

/// The most that the program may say, in bytes. It prints the whole of the input, indented.
const OUTPUT: u64 = 64 * 1024 * 1024;

/// How much of a message is passed on, in characters.
const MESSAGE: usize = 1024;

/// The files of a question.
const FILES: [&str; 2] = ["policy.cue", "input.json"];

/// The `cue` program, and how it is run.
#[derive(Debug)]
pub struct Cue {
    program: PathBuf,
    launcher: PathBuf,
    turns: Semaphore,
}

/// Why a question has no answer. It may have one later.
#[derive(Debug, Error)]
pub enum CueError {
    /// It did not end in time.
    #[error("cue did not answer within {} s", TIME.as_secs())]
    Late,
    /// It ended without an answer: it was over a limit, or was ended by somebody.
    #[error("cue ended without an answer: {0}")]
    Ended(String),
    /// The question or what was said to it is larger than is read.
    #[error("{0} is too large for cue")]
    TooLarge(&'static str),
    /// The program could not be started.
    #[error("cue could not be run")]
    NotRun(#[source] std::io::Error),
}

/// What a run of the program came to.
enum Said {
    Yes(Vec<u8>),
    No(String),
}

impl Cue {
    /// The program at that path, started by `launcher`, which is this very program. As many questions are asked at
    /// once as there are processors; others wait for their turn.
    #[must_use]
    pub fn new(program: PathBuf, launcher: PathBuf) -> Self {
        let turns = std::thread::available_parallelism().map_or(1, usize::from);
        Self { program, launcher, turns: Semaphore::new(turns) }
    }

    /// Asks whether the input of a question satisfies its program. The inner error is the message why it does not.
    /// The process is ended if the future is dropped.
    ///
    /// # Errors
    /// [`CueError`] if there is no answer, which is neither yes nor no.
    pub async fn answer(&self, question: &Question) -> Result<Result<(), String>, CueError> {
        if question.input.len() > INPUT {
            return Err(CueError::TooLarge("the input"));
        }
        // Nobody closes it.
        let _turn = self.turns.acquire().await.map_err(|error| CueError::Ended(error.to_string()))?;
        tokio::time::timeout(TIME, self.ask(question)).await.unwrap_or(Err(CueError::Late))
    }

    async fn ask(&self, question: &Question) -> Result<Result<(), String>, CueError> {
        let directory =
            tempfile::Builder::new().prefix("countersign-cue").tempdir().map_err(CueError::NotRun)?;
        for (file, text) in FILES.iter().zip([&question.program, &question.input]) {
            tokio::fs::write(directory.path().join(file), text.as_bytes()).await.map_err(CueError::NotRun)?;
        }
        let failed = |what: &str, why: &str| Ok(Err(format!("failed to {what} with error: {why}")));
        // Unlike `vet`, `export` also says what became of the input.
        match self.run(directory.path(), &["export", FILES[0], FILES[1]]).await? {
            Said::Yes(unified) => {
                let parsed = serde_json::from_slice(&unified).and_then(|unified: Value| {
                    Ok((unified, serde_json::from_str::<Value>(&question.input)?))
                });
                let (unified, input) = parsed.map_err(|error| CueError::Ended(error.to_string()))?;
                match strict::missing(&unified, &input) {
                    None => Ok(Ok(())),
                    Some(path) => failed("evaluate the policy", &format!("{path}: not in what is judged")),
                }
            }
            Said::No(why) => match self.run(directory.path(), &["vet", "-c=false", FILES[0]]).await? {
                Said::Yes(_) => failed("evaluate the policy", &why),
                Said::No(why) => failed("compile the cue policy", &why),
            },
        }
    }

    async fn run(&self, directory: &Path, arguments: &[&str]) -> Result<Said, CueError> {
        let mut child = Command::new(&self.launcher)
            .arg("cue-sandbox")
            .arg(&self.program)
            .arg(directory)
            .args(arguments)
            .env_clear()
            // Its garbage collector would start a thread for every processor.
            .env("GOMAXPROCS", "2")
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(CueError::NotRun)?;
        let (said, complaint) = tokio::join!(bounded(child.stdout.take()), bounded(child.stderr.take()));
        let (said, complaint) = (said?, complaint?);
        let status = child.wait().await.map_err(CueError::NotRun)?;
        let complaint = message(&String::from_utf8_lossy(&complaint));
        match status.code() {
            Some(0) => Ok(Said::Yes(said)),
            Some(1) if !complaint.is_empty() => Ok(Said::No(complaint)),
            Some(_) | None => Err(CueError::Ended(format!("{status}: {complaint}"))),
        }
    }
}

async fn bounded(pipe: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, CueError> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(OUTPUT + 1).read_to_end(&mut bytes).await.map_err(CueError::NotRun)?;
    }
    if bytes.len() as u64 > OUTPUT {
        return Err(CueError::TooLarge("the answer"));
    }
    Ok(bytes)
}

/// The first error without the places in our files, and how many there are besides.
fn message(complaint: &str) -> String {
    let mut errors =
        complaint.lines().filter(|line| !line.starts_with(char::is_whitespace) && !line.is_empty());
    let first: String = errors.next().unwrap_or_default().chars().take(MESSAGE).collect();
    let first = first.trim_end_matches(':');
    match errors.count() {
        0 => first.to_owned(),
        more => format!("{first} (and {more} more errors)"),
    }
}

#[cfg(test)]
mod tests {
    use super::message;

    #[test]
    fn a_message_is_the_first_error_without_its_places() {
        let one = "predicate.Data: conflicting values \"y\" and \"x\":\n    ./input.json:1:83\n    ./policy.cue:1:19\n";
        assert_eq!(message(one), "predicate.Data: conflicting values \"y\" and \"x\"");
        let two = format!("{one}b: incomplete value string:\n    ./policy.cue:2:1\n");
        assert_eq!(message(&two), "predicate.Data: conflicting values \"y\" and \"x\" (and 1 more errors)");
        assert_eq!(message(""), "");
    }
}
