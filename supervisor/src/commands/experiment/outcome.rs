//! What an experiment comes to: its figures and its verdict, as a table, as JSON, and on disk.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use humantime::format_duration;
use laboratory::failovers::Failover;
use laboratory::figures::Figures;
use laboratory::job_files::ended as jobs_in;
use laboratory::report::Report;
use laboratory::verdict::{Comparison, Violation};
use protocol::printable::printable_json;
use serde_json::{Map, Value, json};

use super::course::{Ended, Missing};
use super::error::counted;
use super::{ExperimentError, Settings};

/// How many violations, and events of each, a table lists.
const LISTED: usize = 20;

/// What an experiment comes to.
pub(super) struct Outcome {
    report: Report,
    compared: Comparison,
    /// The jobs that were dropped, and those of them that failed.
    dropped: usize,
    failed: usize,
    ended: Tally,
    seed: u64,
}

/// What was counted while it ran.
struct Tally {
    rounds: usize,
    asked: u32,
    kills: usize,
    stops: usize,
    interrupted: bool,
    left: Option<String>,
    missing: Option<Missing>,
}

impl Outcome {
    /// Computes it.
    pub(super) fn of(settings: &Settings, ended: Ended) -> Outcome {
        let run = ended.run;
        let compared = run.compare();
        let failovers = Failover::all(&run.log);
        let figures = Figures::of(&run, &failovers);
        let failed = jobs_in(&run.jobs.join("failed")).len();
        let mut violations = ended.violations;
        violations.extend(run.judge_course_beside(&compared));
        // What nothing is wrong with, as far as one sees, was not judged if much was not to be seen.
        let is_judged = ended.missing.is_none() || !violations.is_empty();
        let mut outcome = Outcome {
            report: Report {
                title: settings.title(),
                settings: describe(settings),
                rows: Vec::new(),
                figures,
                verdict: is_judged.then_some(violations),
                failovers,
                log: run.log,
            },
            compared,
            dropped: run.dropped.len(),
            failed,
            ended: Tally {
                rounds: ended.rounds,
                asked: settings.rounds,
                kills: ended.kills,
                stops: ended.stops,
                interrupted: ended.interrupted,
                left: ended.left,
                missing: ended.missing,
            },
            seed: settings.seed,
        };
        outcome.report.rows = outcome.rows();
        outcome
    }

    pub(super) fn violations(&self) -> usize {
        self.list().len()
    }

    pub(super) fn rounds(&self) -> usize {
        self.ended.rounds
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.ended.interrupted
    }

    /// What would not end and was left.
    pub(super) fn left(&self) -> Option<&str> {
        self.ended.left.as_deref()
    }

    fn list(&self) -> &[Violation] {
        self.report.verdict.as_deref().unwrap_or_default()
    }

    fn zombies(&self) -> usize {
        let is_one = |violation: &&Violation| violation.message.contains("zombie");
        self.list().iter().filter(is_one).count()
    }

    fn rows(&self) -> Vec<(String, String)> {
        let Tally {
            rounds,
            asked,
            kills,
            stops,
            ..
        } = self.ended;
        let row = |name: &str, value: String| (name.to_owned(), value);
        let mut rows = vec![
            row("rounds", format!("{rounds} of {asked}")),
            row(
                "signals",
                format!("SIGKILL {kills}, SIGSTOP and SIGCONT {stops}"),
            ),
            row(
                "jobs",
                format!(
                    "{} dropped, {} done, {} failed",
                    self.dropped, self.compared.jobs, self.failed
                ),
            ),
            row(
                "results",
                format!(
                    "{} values compared, {} jobs wrong",
                    self.compared.values,
                    self.compared.wrong.len()
                ),
            ),
        ];
        rows.extend(self.report.figures.rows());
        rows.push(row("zombies", self.zombies().to_string()));
        if self.torn_lines() > 0 {
            rows.push(row("torn lines", self.torn_lines().to_string()));
        }
        rows
    }

    /// What the lack of an event would show, such a log does not: much is not judged then.
    fn torn_lines(&self) -> usize {
        self.report.log.torn.len()
    }

    fn verdict(&self) -> String {
        let told = if self.ended.missing.is_some() {
            ", as far as a log that lacks events tells"
        } else if self.torn_lines() > 0 {
            ", as far as a log with torn lines tells"
        } else {
            ""
        };
        let cut = if self.ended.interrupted {
            ", up to where it was interrupted"
        } else {
            ""
        };
        match (self.violations(), &self.ended.missing) {
            (0, Some(missing)) => format!("cannot tell: {missing}"),
            (0, None) => format!("sound{told}{cut}"),
            (violations, _) => format!("{}{told}{cut}", counted(violations)),
        }
    }

    /// The outcome as a person likes to read it.
    pub(super) fn table(&self) -> String {
        let mut table = format!("{}\n\n", self.report.title);
        let rows = self.report.settings.iter().chain(&self.report.rows);
        let width = rows.clone().map(|(name, _)| name.len()).max().unwrap_or(0);
        // Writing to a string cannot fail.
        for (name, value) in rows {
            let _ = writeln!(table, "{name:width$}  {value}");
        }
        let _ = writeln!(table, "{:width$}  {}", "verdict", self.verdict());
        for violation in self.list().iter().take(LISTED) {
            let mut short = violation.clone();
            short.events.truncate(LISTED);
            let _ = writeln!(table, "\n{short}");
        }
        if self.violations() > LISTED {
            let _ = writeln!(table, "\nand {} more", self.violations() - LISTED);
        }
        table
    }

    /// The outcome as one JSON object.
    pub(super) fn json(&self) -> String {
        let Tally {
            rounds,
            asked,
            kills,
            stops,
            interrupted,
            ref missing,
            ..
        } = self.ended;
        let settings: Map<String, Value> = self
            .report
            .settings
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        let violation = |violation: &Violation| {
            let events: Vec<Value> = violation
                .events
                .iter()
                .map(laboratory::log::Event::to_json)
                .collect();
            json!({
                "invariant": violation.invariant,
                "message": violation.message,
                "events": events,
            })
        };
        let violations: Vec<Value> = self.list().iter().map(violation).collect();
        let object = json!({
            "title": self.report.title,
            "seed": self.seed,
            "settings": settings,
            "rounds": { "asked": asked, "completed": rounds },
            "interrupted": interrupted,
            "signals": { "SIGKILL": kills, "SIGSTOP": stops },
            "jobs": { "dropped": self.dropped, "done": self.compared.jobs, "failed": self.failed },
            "results": { "values": self.compared.values, "wrong_jobs": self.compared.wrong.keys().collect::<Vec<_>>() },
            "figures": self.report.figures,
            "zombies": self.zombies(),
            "torn_lines": self.torn_lines(),
            // Null: nobody can tell.
            "sound": (missing.is_none() || !violations.is_empty()).then_some(violations.is_empty()),
            "missing": missing.as_ref().map(Missing::to_string),
            "violations": violations,
        });
        printable_json(&format!("{object}\n")).into_owned()
    }

    /// Writes the page and the event log that it was made of.
    ///
    /// # Errors
    ///
    /// The folder does not take them.
    pub(super) fn write(&self, report: &Path, run_dir: &Path) -> Result<(), ExperimentError> {
        let log = node::event_log::FILE_NAME;
        let copy = report.join(log);
        fs::copy(run_dir.join(log), &copy)
            .map_err(|error| ExperimentError::report(&copy, error))?;
        let page = report.join("index.html");
        fs::write(&page, laboratory::page::render(&self.report))
            .map_err(|error| ExperimentError::report(&page, error))
    }
}

fn describe(settings: &Settings) -> Vec<(String, String)> {
    let config = &settings.config;
    let rows = [
        ("nodes", config.nodes.to_string()),
        ("target", settings.target.to_string()),
        ("signal", settings.signal.to_string()),
        (
            "pause",
            format!("{} on the average", format_duration(settings.every)),
        ),
        ("largest factorial", format!("{}!", settings.n)),
        ("delay", format_duration(config.delay).to_string()),
        (
            "preemption",
            format!("{:?}", config.preemption).to_lowercase(),
        ),
        ("again by", settings.again()),
    ];
    rows.map(|(name, value)| (name.to_owned(), value)).into()
}
