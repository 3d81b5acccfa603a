//! `countersign man` and `countersign completions`: the command line, for whoever reads or types it elsewhere.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use clap_complete::Shell;
use clap_mangen::Man as Page;

use super::Answer;

/// Where to.
#[derive(Args, Debug)]
pub(super) struct Man {
    /// The directory that pages are written into, `countersign.1` and one for each command; it is made. Without, the first page
    /// is printed: `countersign man | man -l -`.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// For which shell.
#[derive(Args, Debug)]
pub(super) struct Completions {
    /// The shell, such as `bash`: `countersign completions bash > /etc/bash_completion.d/countersign`.
    #[arg(value_enum)]
    shell: Shell,
}

/// Writes the pages of a command and of those below it.
pub(super) fn man(arguments: &Man, mut command: clap::Command) -> anyhow::Result<Answer> {
    let Some(directory) = &arguments.output else {
        command.build();
        Page::new(command).render(&mut std::io::stdout().lock()).context("standard output")?;
        return Ok(Answer::Yes);
    };
    let written =
        std::fs::create_dir_all(directory).and_then(|()| clap_mangen::generate_to(command, directory));
    written.with_context(|| directory.display().to_string())?;
    Ok(Answer::Yes)
}

/// Prints the completions.
pub(super) fn completions(arguments: &Completions, mut command: clap::Command) -> anyhow::Result<Answer> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "countersign", &mut text);
    std::io::stdout().lock().write_all(&text).context("standard output")?;
    Ok(Answer::Yes)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, ValueEnum as _};

    use super::*;
    use crate::cli::Arguments;

    #[test]
    fn every_command_has_a_page_that_says_what_it_does_and_takes() {
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("man1");
        assert_eq!(man(&Man { output: Some(output.clone()) }, Arguments::command()).unwrap(), Answer::Yes);
        let mut command = Arguments::command();
        command.build();
        let pages = pages(&command, "countersign", &output);
        assert!(pages > 15, "{pages}");
    }

    fn pages(command: &clap::Command, name: &str, directory: &std::path::Path) -> usize {
        let page = std::fs::read_to_string(directory.join(format!("{name}.1")))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        for flag in command.get_arguments().filter(|it| !it.is_hide_set()).filter_map(clap::Arg::get_long) {
            assert!(page.contains(&flag.replace('-', "\\-")), "{name} --{flag} is not in {page}");
        }
        let shown = command.get_subcommands().filter(|it| !it.is_hide_set() && it.get_name() != "help");
        1 + shown.map(|it| pages(it, &format!("{name}-{}", it.get_name()), directory)).sum::<usize>()
    }

    #[test]
    fn every_shell_has_completions() {
        for shell in Shell::value_variants() {
            assert_eq!(
                completions(&Completions { shell: *shell }, Arguments::command()).unwrap(),
                Answer::Yes
            );
        }
    }
}
