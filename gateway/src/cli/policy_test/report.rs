//! What came of tables, for a person.

use crate::cli::Answer;

/// What came of one case.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// It came out as expected.
    Passed,
    /// It did not: what was expected, what came, and why.
    Failed(String),
    /// It is not known, for want of this.
    Untold(String),
}

/// What came of a table.
pub(super) struct Tested {
    /// Where it is.
    pub(super) table: String,
    /// Its cases, by their names.
    pub(super) cases: Vec<(String, Outcome)>,
}

/// What came of all tables.
#[derive(Default)]
pub(super) struct Report {
    pub(super) tables: Vec<Tested>,
}

impl Report {
    pub(super) fn add(&mut self, tested: Tested) {
        self.tables.push(tested);
    }

    fn counts(&self) -> (usize, usize, usize) {
        let (mut passed, mut failed, mut untold) = (0, 0, 0);
        for (_, outcome) in self.tables.iter().flat_map(|tested| &tested.cases) {
            match outcome {
                Outcome::Passed => passed += 1,
                Outcome::Failed(_) => failed += 1,
                Outcome::Untold(_) => untold += 1,
            }
        }
        (passed, failed, untold)
    }

    /// One line of counts.
    pub(super) fn summary(&self) -> String {
        match self.counts() {
            (passed, failed, 0) => format!("{passed} passed, {failed} failed"),
            (passed, failed, untold) => {
                format!("{passed} passed, {failed} failed, {untold} could not be told")
            }
        }
    }

    /// Whether all came out as expected.
    pub(super) fn answer(&self) -> Answer {
        match self.counts() {
            (_, 0, 0) => Answer::Yes,
            (_, 0, _) => Answer::Unclear,
            (_, _, _) => Answer::No,
        }
    }
}

/// A line a case, and under one that did not pass, why.
pub(super) fn lines(tested: &Tested) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, outcome) in &tested.cases {
        let (word, details) = match outcome {
            Outcome::Passed => ("ok  ", ""),
            Outcome::Failed(why) => ("FAIL", why.as_str()),
            Outcome::Untold(why) => ("?   ", why.as_str()),
        };
        lines.push(format!("{word} {}: {name}", tested.table));
        lines.extend(details.lines().map(|line| format!("       {line}")));
    }
    lines
}
