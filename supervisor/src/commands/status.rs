//! `bullpen status`: what the cluster does now.

use std::time::Duration;

use humantime::format_duration;
use ipc::control::WatchMode;
use protocol::id::NodeId;
use protocol::printable::{printable, printable_json};
use protocol::status::JobStatus;
use protocol::trace::WaitCause;
use supervisor::control::ClusterStatus;
use supervisor::run_dir;

use crate::commands::cli::StatusArgs;
use crate::commands::client;
use crate::commands::failure::{CANNOT, Failure, Fatal, NO};
use crate::commands::results;

/// Why there is no status, or `--check` finds that all is not well. Displays as one sentence.
#[derive(Debug, thiserror::Error)]
enum StatusError {
    /// It cannot be written as JSON.
    #[error("cannot write the status as JSON: {0}")]
    Encode(serde_json::Error),
    /// In the middle of an election, or with every node stopped.
    #[error(
        "no node coordinates now; see bullpen status, and continue stopped nodes with: bullpen kill all --signal CONT"
    )]
    NoCoordinator,
    /// Nodes live that their peers cannot reach.
    #[error(
        "no peer can reach these nodes, though they live, since their sockets are not in the run directory: {0}; \
         the messages of bullpen up say why, and they come back by themselves when that is over"
    )]
    Unreachable(String),
    /// The coordinator waits for the file system.
    #[error(
        "node {node} coordinates, and the file system of the jobs directory has not answered it for {seconds} s: \
         jobs wait; see whether its disk, or what it is mounted from, is well"
    )]
    FilesHang {
        /// The coordinator.
        node: NodeId,
        /// For how long.
        seconds: u64,
    },
}

impl Fatal for StatusError {
    fn exit_code(&self) -> u8 {
        match self {
            StatusError::Encode(_) => CANNOT,
            _ => NO,
        }
    }
}

/// Prints the state of a cluster, as a table or as JSON.
///
/// # Errors
///
/// No cluster answers, standard output takes nothing, or with `--check` no node coordinates, one cannot be
/// reached, or the file system does not answer the one that coordinates.
pub(crate) fn run(args: &StatusArgs) -> Result<(), Failure> {
    let run_dir = run_dir::chosen(args.run_dir.as_deref());
    let status = client::status(&run_dir)?;
    let text = if args.json {
        let mut line = serde_json::to_string(&status).map_err(StatusError::Encode)?;
        line.push('\n');
        printable_json(&line).into_owned()
    } else {
        page(&status)
    };
    results::say(&text)?;
    if args.check {
        check(&status)?;
    }
    Ok(())
}

fn check(status: &ClusterStatus) -> Result<(), StatusError> {
    let id = status.coordinator.ok_or(StatusError::NoCoordinator)?;
    if let Some(nodes) = unreachable(status) {
        return Err(StatusError::Unreachable(nodes));
    }
    let mut nodes = status.nodes.iter();
    match nodes.find(|node| node.id == id && node.slow_file_ms > 0) {
        None => Ok(()),
        Some(node) => Err(StatusError::FilesHang {
            node: id,
            seconds: node.slow_file_ms / 1_000,
        }),
    }
}

/// The nodes that live and cannot be reached by their peers.
fn unreachable(status: &ClusterStatus) -> Option<String> {
    let nodes = status.nodes.iter().filter(|node| node.unreachable);
    let nodes: Vec<String> = nodes.map(|node| node.id.to_string()).collect();
    (!nodes.is_empty()).then(|| nodes.join(", "))
}

/// The status as a person likes to read it.
fn page(status: &ClusterStatus) -> String {
    let coordinator = status.who_coordinates("no coordinator now");
    let mut page = format!("term {}, {coordinator}\n\n", status.term);
    let mut nodes = vec![["NODE", "ROLE", "STATE", "PID", "RESTARTS", "UPTIME"].map(str::to_owned)];
    nodes.extend(status.nodes.iter().map(|node| {
        let running = node.pid.is_some();
        [
            node.id.to_string(),
            if running {
                node.role_words()
            } else {
                "-".to_owned()
            },
            node.state.to_string(),
            node.pid
                .map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            node.restarts.to_string(),
            if running {
                uptime(node.uptime_ms)
            } else {
                "-".to_owned()
            },
        ]
    }));
    page.push_str(&table(&nodes, &[0, 3, 4]));
    for node in status.nodes.iter().filter(|node| node.slow_file_ms > 0) {
        let (id, seconds) = (node.id, node.slow_file_ms / 1_000);
        page.push_str(&format!(
            "node {id}: the file system has not answered for {seconds} s\n"
        ));
    }
    if let Some(nodes) = unreachable(status) {
        page.push_str(&format!(
            "\nnot to be reached by their peers, since their sockets are gone: {nodes}\n"
        ));
    }
    page.push('\n');
    if status.jobs.is_empty() {
        page.push_str("no open jobs\n");
    } else {
        let mut jobs = vec![["JOB", "STATE", "OPERATIONS", "DONE"].map(str::to_owned)];
        jobs.extend(status.jobs.iter().map(job_row));
        page.push_str(&table(&jobs, &[2, 3]));
    }
    page.push_str(match status.watch {
        WatchMode::Notify => "\nwatch notify: the system tells of dropped files\n",
        WatchMode::Poll => "\nwatch poll: dropped files are found by looking\n",
    });
    if !status.ignored.is_empty() {
        let names: Vec<_> = status.ignored.iter().map(|name| printable(name)).collect();
        let more = match status.ignored_more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        page.push_str(&format!(
            "\nno jobs, since their names do not end in .job (or match --accept): {}{more}\n",
            names.join(", ")
        ));
    }
    if status.lost_events > 0 {
        let lost = status.lost_events;
        let why = status
            .lost_why
            .as_deref()
            .unwrap_or("they could not be written");
        page.push_str(&format!(
            "\nthe event log lacks {lost} events: {}\n",
            printable(why)
        ));
    }
    page
}

fn job_row(job: &JobStatus) -> [String; 4] {
    let state = serde_json::to_value(job.state).ok();
    let word = state.as_ref().and_then(|state| state.as_str());
    let percent = match job.total {
        0 => "-".to_owned(),
        total => format!("{} %", u128::from(job.done) * 100 / u128::from(total)),
    };
    [
        printable(&job.name).into_owned(),
        match job.waits {
            None => word.unwrap_or("-").to_owned(),
            Some(WaitCause::Space) => "waits for space".to_owned(),
            Some(WaitCause::Memory) => "waits for memory".to_owned(),
            Some(WaitCause::Writer) => "waits for a writer".to_owned(),
            Some(WaitCause::Folder) => "waits for its folder".to_owned(),
            Some(WaitCause::FileCall) => "tries again".to_owned(),
        },
        format!("{}/{}", job.done, job.total),
        percent,
    ]
}

/// Milliseconds below a second, whole seconds above.
fn uptime(ms: u64) -> String {
    let shown = if ms < 1_000 { ms } else { ms / 1_000 * 1_000 };
    format_duration(Duration::from_millis(shown)).to_string()
}

/// Aligns the columns of rows, those in `right` at their right edges.
fn table<const COLUMNS: usize>(rows: &[[String; COLUMNS]], right: &[usize]) -> String {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .enumerate()
            .map(|(column, (cell, width))| {
                if right.contains(&column) {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                }
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use protocol::id::{Incarnation, NodeId, Term};
    use protocol::status::JobState;
    use supervisor::control::{NodeState, NodeStatus, Role};

    use super::*;

    #[test]
    fn the_page_lists_nodes_and_jobs_in_aligned_columns() {
        let node = |id, pid, role, state, restarts, uptime_ms| NodeStatus {
            id: NodeId(id),
            pid,
            incarnation: Incarnation(1),
            role,
            state,
            restarts,
            uptime_ms,
            term: Term(3),
            held_bytes: 0,
            peak_held_bytes: 0,
            unreachable: id == 10,
            slow_file_ms: if id == 10 { 6_400 } else { 0 },
        };
        let status = ClusterStatus {
            term: Term(3),
            coordinator: Some(NodeId(10)),
            watch: WatchMode::Notify,
            nodes: vec![
                node(0, None, Role::Recovering, NodeState::Waiting, 12, 0),
                node(
                    10,
                    Some(41_000),
                    Role::Coordinator,
                    NodeState::Running,
                    0,
                    61_812,
                ),
            ],
            jobs: vec![JobStatus {
                name: "ten".to_owned(),
                state: JobState::Running,
                done: 2,
                total: 5,
                waits: None,
            }],
            ignored: vec!["notes.txt".to_owned()],
            ignored_more: 2,
            lost_events: 7,
            lost_why: Some("No space left on device (os error 28)".to_owned()),
        };
        assert_eq!(
            page(&status),
            "term 3, node 10 coordinates\n\n\
             NODE  ROLE         STATE      PID  RESTARTS  UPTIME\n   \
                0  -            waiting      -        12  -\n  \
               10  coordinator  running  41000         0  1m 1s\n\
             node 10: the file system has not answered for 6 s\n\n\
             not to be reached by their peers, since their sockets are gone: 10\n\n\
             JOB  STATE    OPERATIONS  DONE\n\
             ten  running         2/5  40 %\n\n\
             watch notify: the system tells of dropped files\n\n\
             no jobs, since their names do not end in .job (or match --accept): notes.txt and 2 more\n\n\
             the event log lacks 7 events: No space left on device (os error 28)\n"
        );
    }

    #[test]
    fn an_election_without_jobs_is_told_in_words() {
        let status = ClusterStatus {
            term: Term(1),
            coordinator: None,
            watch: WatchMode::Poll,
            nodes: Vec::new(),
            jobs: Vec::new(),
            ignored: Vec::new(),
            ignored_more: 0,
            lost_events: 0,
            lost_why: None,
        };
        let page = page(&status);
        assert!(page.starts_with("term 1, no coordinator now\n"), "{page}");
        let end = "\nno open jobs\n\nwatch poll: dropped files are found by looking\n";
        assert!(page.ends_with(end), "{page}");
    }
}
