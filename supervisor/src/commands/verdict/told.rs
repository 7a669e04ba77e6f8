//! A verdict as a table, and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use laboratory::verdict::{Comparison, Law, Tried, Verdict};
use protocol::printable::{printable, printable_json, printable_lines};
use serde_json::{Value, json};

use super::State;

/// What is told of a run.
pub(super) struct Told {
    pub(super) run_dir: PathBuf,
    pub(super) jobs: PathBuf,
    pub(super) state: State,
    /// Lines of its log that are no events.
    pub(super) torn: usize,
    pub(super) compared: Comparison,
    pub(super) verdict: Verdict,
}

/// A law that is broken: how often, and the first time.
struct Broken<'a> {
    count: usize,
    example: &'a str,
}

impl Told {
    fn broken(&self) -> BTreeMap<&str, Broken<'_>> {
        let mut broken = BTreeMap::new();
        for found in &self.verdict.violations {
            let example = found.message.as_str();
            let first = Broken { count: 0, example };
            broken.entry(found.invariant).or_insert(first).count += 1;
        }
        broken
    }

    /// Which laws are broken, and how often, if any is.
    pub(super) fn violations(&self) -> Option<String> {
        let broken = self.broken();
        let told = |(law, broken): (&&str, &Broken<'_>)| format!("{law} {}", times(broken.count));
        let told: Vec<String> = broken.iter().map(told).collect();
        (!told.is_empty()).then(|| format!("broken is {}", told.join(", ")))
    }

    fn state(&self) -> &'static str {
        match self.state {
            State::Running => "running",
            State::Stopped => "stopped",
            State::Killed => "killed",
        }
    }

    fn untold(&self) -> usize {
        let laws = self.verdict.laws.iter();
        laws.filter(|law| law.held.is_none()).count()
    }

    fn conclusion(&self) -> String {
        let (violations, untold) = (self.verdict.violations.len(), self.untold());
        match (&self.verdict.cannot_tell, violations, untold) {
            (Some(why), ..) => format!("cannot tell: {why}"),
            (None, 0, 0) => "sound".to_owned(),
            (None, 0, 1) => "sound, as far as is told: 1 law is not".to_owned(),
            (None, 0, untold) => format!("sound, as far as is told: {untold} laws are not"),
            (None, 1, _) => "1 violation".to_owned(),
            (None, violations, _) => format!("{violations} violations"),
        }
    }

    /// The verdict as a person likes to read it.
    pub(super) fn table(&self) -> String {
        let Tried {
            ms,
            kills,
            other_ends,
            stops,
            injected,
            takeovers,
            restarts,
            accepted,
            done,
            rejected,
        } = self.verdict.tried;
        let mut rows = vec![
            (
                "run",
                format!(
                    "{}, {}, {:.1} s",
                    printable(&self.run_dir.display().to_string()),
                    self.state(),
                    ms as f64 / 1e3
                ),
            ),
            (
                "jobs",
                printable(&self.jobs.display().to_string()).into_owned(),
            ),
            (
                "tried",
                format!(
                    "SIGKILL {kills}, other ends {other_ends}, stops {stops}, injected faults {injected}"
                ),
            ),
            (
                "seen",
                format!("takeovers {takeovers}, restarts {restarts}"),
            ),
            (
                "work",
                format!("jobs accepted {accepted}, done {done}, rejected {rejected}"),
            ),
            (
                "results",
                format!(
                    "{} values compared, {} jobs wrong",
                    self.compared.values,
                    self.compared.wrong.len()
                ),
            ),
        ];
        if self.torn > 0 {
            rows.push(("torn lines", self.torn.to_string()));
        }
        let mut table = String::new();
        // Writing to a string cannot fail.
        for (name, value) in rows {
            let _ = writeln!(table, "{name:<10}  {value}");
        }
        table.push('\n');
        for law in &self.verdict.laws {
            let held = match law.held {
                Some(true) => "held",
                Some(false) => "BROKEN",
                None => "not told",
            };
            let why = law
                .why
                .as_ref()
                .map_or_else(String::new, |why| format!(" ({why})"));
            let _ = writeln!(
                table,
                "{:<4} {held:<8}  {}{}",
                law.name,
                law.what,
                printable(&why)
            );
        }
        let _ = writeln!(table, "\nverdict     {}", printable(&self.conclusion()));
        for (law, Broken { count, example }) in self.broken() {
            let example = printable_lines(example);
            let _ = writeln!(table, "\n{law}, {}: {example}", times(count));
        }
        table
    }

    /// The verdict as one JSON object.
    pub(super) fn json(&self) -> String {
        let broken = self.broken().into_iter();
        let violations: Vec<Value> = broken
            .map(|(invariant, Broken { count, example })| {
                json!({ "invariant": invariant, "count": count, "example": example })
            })
            .collect();
        let Verdict {
            tried,
            laws,
            cannot_tell,
            ..
        } = &self.verdict;
        let laws: &[Law] = laws;
        let object = json!({
            "run_dir": self.run_dir.to_string_lossy(),
            "jobs": self.jobs.to_string_lossy(),
            "state": self.state(),
            // Null: nobody can tell.
            "sound": cannot_tell.is_none().then_some(violations.is_empty()),
            "cannot_tell": cannot_tell,
            "tried": tried,
            "results": { "values": self.compared.values, "wrong_jobs": self.compared.wrong },
            "torn_lines": self.torn,
            "laws": laws,
            "violations": violations,
        });
        printable_json(&format!("{object}\n")).into_owned()
    }
}

fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}
