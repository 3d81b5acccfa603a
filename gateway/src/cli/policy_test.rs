//! `countersign policy test`: tables of images, evidence and the verdicts that policies are to come to.

mod expect;
mod junit;
mod report;
mod sample;
mod sitting;
mod table;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use self::report::{Outcome, Report, Tested};
use self::sitting::{Answering, Bench};
use self::table::Table;
use super::{Answer, complain, say};
use crate::rules::{RulesError, from_files, listed};

/// Which tables are run, and how.
#[derive(Args, Debug)]
pub(super) struct Test {
    /// Tables, or folders of policies with tables in their folder `tests`.
    #[arg(required = true, value_name = "DIR|FILE")]
    paths: Vec<PathBuf>,
    /// The cue program that answers programs in CUE. Without it their cases cannot be told.
    #[arg(long, value_name = "PATH")]
    cue: Option<PathBuf>,
    /// Also write the results in JUnit's XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// Runs every table. No where a case fails, else could not tell where one cannot be told.
pub(super) fn test(arguments: &Test) -> anyhow::Result<Answer> {
    let answering = arguments.cue.as_deref().map(Answering::new).transpose()?;
    let mut report = Report::default();
    for path in tables(&arguments.paths)? {
        let tested = run(&path, answering.as_ref())?;
        report::lines(&tested).iter().for_each(|line| say(line));
        report.add(tested);
    }
    say(&report.summary());
    if let Some(path) = &arguments.junit {
        std::fs::write(path, junit::xml(&report)).with_context(|| path.display().to_string())?;
    }
    Ok(report.answer())
}

/// The tables that are meant, in order.
fn tables(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut tables = Vec::new();
    for path in paths {
        if !path.is_dir() {
            tables.push(path.clone());
            continue;
        }
        let folder = path.join("tests");
        let found = if folder.is_dir() { listed(&folder)? } else { Vec::new() };
        anyhow::ensure!(
            !found.is_empty(),
            "{}: no tables; they are {}/*.yaml",
            path.display(),
            folder.display()
        );
        tables.extend(found);
    }
    Ok(tables)
}

fn run(path: &Path, cue: Option<&Answering>) -> anyhow::Result<Tested> {
    let shown = path.display().to_string();
    let table = Table::read(path).with_context(|| shown.clone())?;
    let files = policies_of(&table, path)?;
    let policies = match from_files(&files) {
        Ok(policies) => policies,
        Err(RulesError::Policies(error)) => {
            complain(&error.to_string());
            let refused = Outcome::Failed("the policies are refused".to_owned());
            return Ok(Tested { table: shown, cases: vec![("policies".to_owned(), refused)] });
        }
        Err(error) => return Err(error).with_context(|| shown.clone()),
    };
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let bench = Bench { policies: &policies, table: &table, folder, cue };
    let cases = table.cases.iter().map(|case| {
        let outcome = bench.hear(case).with_context(|| format!("{shown}: {}", case.name))?;
        Ok((case.name.clone(), outcome))
    });
    Ok(Tested { table: shown.clone(), cases: cases.collect::<anyhow::Result<_>>()? })
}

/// The files of policies that a table is about: those that it names, or all that are beside its folder `tests`.
fn policies_of(table: &Table, path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    if !table.policies.is_empty() {
        return Ok(table.policies.iter().map(|named| folder.join(named)).collect());
    }
    let in_tests = folder.file_name().is_some_and(|name| name == "tests");
    anyhow::ensure!(
        in_tests,
        "{}: policies: name the files, or put the table in a folder tests beside them",
        path.display()
    );
    let beside =
        folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let found = listed(beside)?;
    anyhow::ensure!(!found.is_empty(), "{}: there are no policies in {}", path.display(), beside.display());
    Ok(found)
}
