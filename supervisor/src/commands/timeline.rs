//! `bullpen timeline`: what happened in a run, told from its event log.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use laboratory::failovers::Failover;
use laboratory::figures::Figures;
use laboratory::log::{Event, Log};
use laboratory::page;
use laboratory::report::Report;
use laboratory::verdict::Run;
use laboratory::words::{self, Names};
use node::event_log::FILE_NAME;
use protocol::printable::printable;
use supervisor::run_dir;

use crate::commands::cli::TimelineArgs;
use crate::commands::failure::{CANNOT, Failure, Fatal, NO};
use crate::commands::results;
use crate::commands::visit;

/// Why there is nothing to tell, or no place to tell it in. Displays as one sentence that says what
/// to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TimelineError {
    /// There is no event log.
    #[error(
        "no run has left {FILE_NAME} in the run directory {}; name the run directory of the one you mean with --run-dir",
        run_dir.display()
    )]
    NoLog {
        /// The run directory.
        run_dir: PathBuf,
    },
    /// The event log has nothing in it that can be told.
    #[error("{} holds no event; is it the log of a bullpen?", path.display())]
    Empty {
        /// The event log.
        path: PathBuf,
    },
    /// The event log is there and cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The event log.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The page cannot be written.
    #[error("cannot write the page {}: {error}", path.display())]
    Write {
        /// The page.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl Fatal for TimelineError {
    fn exit_code(&self) -> u8 {
        match self {
            TimelineError::Write { .. } => NO,
            _ => CANNOT,
        }
    }
}

/// Tells what happened: as text on standard output, or as a page.
///
/// # Errors
///
/// There is no log with an event in it, or what is told cannot be written.
pub(crate) fn run(args: &TimelineArgs) -> Result<(), Failure> {
    let run_dir = run_dir::chosen(args.run_dir.as_deref());
    let log = read(&run_dir)?;
    match &args.html {
        None => results::say(&lines(&log, args.operations))?,
        Some(path) => {
            let page = page::render(&report(&run_dir, log));
            if path.as_os_str() == "-" {
                results::hand_over(&page)?;
            } else {
                write(path, &page)?;
            }
        }
    }
    Ok(())
}

fn read(run_dir: &Path) -> Result<Log, Failure> {
    let path = run_dir.join(FILE_NAME);
    let failed = |error| TimelineError::Read {
        path: path.clone(),
        error,
    };
    let parts = match visit::visit(run_dir)? {
        Some(visited) => visited.open_log().map_err(failed)?,
        None => Vec::new(),
    };
    if parts.is_empty() {
        let run_dir = run_dir.to_owned();
        return Err(TimelineError::NoLog { run_dir }.into());
    }
    let log = Log::read_parts(&parts).map_err(failed)?;
    if log.events.is_empty() {
        return Err(TimelineError::Empty { path }.into());
    }
    Ok(log)
}

fn write(path: &Path, page: &str) -> Result<(), TimelineError> {
    fs::write(path, page).map_err(|error| TimelineError::Write {
        path: path.to_owned(),
        error,
    })
}

fn report(run_dir: &Path, log: Log) -> Report {
    let mut rows = vec![
        ("run directory".to_owned(), run_dir.display().to_string()),
        ("events".to_owned(), log.events.len().to_string()),
    ];
    if !log.torn.is_empty() {
        rows.push(("torn lines".to_owned(), log.torn.len().to_string()));
    }
    if log.lost > 0 {
        rows.push(("events not written".to_owned(), log.lost.to_string()));
    }
    let failovers = Failover::all(&log);
    let run = Run {
        log,
        end_ns: u64::MAX,
        ..Run::default()
    };
    Report {
        title: "A run of bullpen".to_owned(),
        rows,
        figures: Figures::of(&run, &failovers),
        failovers,
        log: run.log,
        ..Report::default()
    }
}

/// A line an event: seconds from the start of the run, the node, what happened to it. Traced
/// operations only if they are asked for: there are too many to read.
fn lines(log: &Log, operations: bool) -> String {
    let mut names = Names::of(log);
    let start = log.events.first().map_or(0, Event::at);
    let mut text = String::new();
    if log.is_cut {
        text.push_str("the first files of this run's log are gone\n");
    }
    let is_told = |event: &&Event| operations || !event.is_traced();
    for event in log.events.iter().filter(is_told) {
        let seconds = event.at().saturating_sub(start) as f64 / 1e9;
        let words = words::words_by(event, &mut names);
        let words = printable(&words);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{seconds:12.6} s  node {:<2} {words}", event.node());
    }
    if !log.torn.is_empty() {
        let _ = writeln!(text, "torn lines of the log, left out: {}", log.torn.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use std::process::ExitCode;

    use super::*;

    const LOG: &str = concat!(
        r#"{"mono_ns":1000000000,"node":5,"incarnation":6,"term":1,"event":"acting"}"#,
        "\n",
        r#"{"mono_ns":1100000000,"node":0,"incarnation":1,"event":"computing","op":{}}"#,
        "\n",
        r#"{"mono_ns":1200000000,"node":5,"incarnation":6,"event":"job_accepted","job":"a\u001b[2J"}"#,
        "\n",
        r#"{"mono_ns":1300000000,"no"#,
        "\n",
        r#"{"mono_ns":1541000000,"node":5,"incarnation":6,"event":"node_exited","signal":"SIGKILL"}"#,
        "\n",
    );

    #[test]
    fn each_event_is_a_line_that_a_terminal_does_not_obey() {
        assert_eq!(
            lines(&Log::parse(LOG.as_bytes()), false),
            "    0.000000 s  node 5  acts as coordinator in epoch 1.5\n    \
             0.200000 s  node 5  accepted job a\\u{1b}[2J\n    \
             0.541000 s  node 5  was killed by SIGKILL\n\
             torn lines of the log, left out: 1\n"
        );
    }

    #[test]
    fn operations_are_told_by_what_they_do_when_they_are_asked_for() {
        let line = |event: &str, index: u64| {
            format!(
                "{{\"mono_ns\":1,\"node\":0,\"incarnation\":1,\"event\":{event},\"op\":{{\"n\":10,\"kind\":\"multiply\",\"level\":0,\"index\":{index}}}}}\n"
            )
        };
        let done =
            r#"{"mono_ns":1,"node":5,"incarnation":6,"event":"product_done","n":10,"plan":"tree"}"#;
        let log = line("\"assigned\",\"worker\":3", 0) + &line("\"completed\"", 2) + done + "\n";
        let told = lines(&Log::parse(log.as_bytes()), true);
        for expected in [
            "gives node 3 10 × 9 × 8 × 7 of 10!",
            "has computed 2 × 1 of 10!",
            "has the product of 10!",
        ] {
            assert!(told.contains(expected), "{expected}: {told}");
        }
        assert_eq!(lines(&Log::parse(log.as_bytes()), false).lines().count(), 1);
    }

    #[test]
    fn a_log_that_is_missing_or_empty_is_told_in_one_sentence() {
        let run_dir = tempfile::tempdir().unwrap();
        let missing = read(run_dir.path()).unwrap_err();
        assert!(missing.to_string().contains("--run-dir"), "{missing}");
        assert_eq!(missing.exit_code(), ExitCode::from(3));

        fs::write(run_dir.path().join(FILE_NAME), "torn").unwrap();
        let empty = read(run_dir.path()).unwrap_err();
        assert!(empty.to_string().contains("holds no event"), "{empty}");
        assert_eq!(empty.exit_code(), ExitCode::from(3));
    }
}
