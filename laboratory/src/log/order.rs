//! What orders the events of different processes.
//!
//! A line has a timestamp, from a clock that all processes of the host share, and a position in the file. A
//! process may be stopped, or be slow, at any point: between an act and reading the clock, and between that
//! and the write. So a line may be arbitrarily late in the file, and neither its position nor its timestamp
//! alone orders the acts of two processes. What does order them:
//!
//! - The lines of one writer are in the order in which it wrote them. A node writes all of its lines from
//!   the one thread of its loop, and those of a step before the step's actions (`node/src/driver.rs`,
//!   `Driver::step`); its other threads report to that loop. All lines of the supervisor
//!   come from its one loop, too.
//! - The past acts of a line had happened when its clock was read. Its future acts had
//!   not begun then. So if the first of two clocks was read earlier, the past acts of the first line came
//!   before the future acts of the second. Nothing follows in the other direction.
//! - Epochs are ordered, whatever the clocks say; messages arrive after they are sent; and the steps of a
//!   job's file are never undone. The laws that use these orders describe them.

use super::{Event, Life};

/// The writer of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Writer {
    /// The supervisor, whatever node the line is about.
    Supervisor,
    /// This incarnation of a node, about itself.
    Node(Life),
}

/// The acts in a line: what had happened when its clock was read, and what had not begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acts {
    /// Logged after it.
    pub past: Option<&'static str>,
    /// Logged before it.
    pub to_come: Option<&'static str>,
}

impl Event {
    /// Who wrote it.
    pub fn writer(&self) -> Writer {
        if self.is_of_supervisor() {
            Writer::Supervisor
        } else {
            Writer::Node(self.life())
        }
    }
}

/// Whether one event certainly happened before another.
///
/// For one writer: `first` was written before `second`. For two: the past acts of `first` came before the
/// future acts of `second`, see [`acts`]. False proves nothing.
pub fn happened_before(first: &Event, second: &Event) -> bool {
    if first.writer() == second.writer() {
        return first.line < second.line;
    }
    let told = acts(first.name()).past.is_some() && acts(second.name()).to_come.is_some();
    told && first.at() < second.at()
}

/// The acts of an event, by its name; none for an unknown one. The code of the writer justifies each: an act
/// that a step finds done is past, one that the step requests is in the future.
pub fn acts(name: &str) -> Acts {
    let (past, to_come) = match name {
        // The step that logs links, silence and hints finds them.
        "started" => ("it was told to start", "its first messages"),
        "peer_up" => ("the link stood", ""),
        "peer_down" => ("the peer was lost, to this node", ""),
        // A change of role: the fence is raised before the line; the messages of the new role follow it.
        "election_started" => ("its cause", "`Election` is sent"),
        "election_won" => ("no better node was left to wait for", "`Collect` is sent"),
        "acting" => (
            "what was promised was merged",
            "`Victory`, and all it assigns",
        ),
        "stepped_down" => ("its authority had ended", ""),
        "following" => (
            "the coordinator's checkpoint, and `Victory`, had come",
            "what it says to that coordinator as its follower",
        ),
        "stale_refused" => ("the message had come", "`Stale` is sent"),
        "gap" => ("the time in which it stood still", ""),
        "file_call_slow" => ("the call was on its way so long", ""),
        "preemption_damped" => ("its losses of the office", "the wait"),
        // File calls: the result of one is past, the next call is in the future.
        "job_accepted" => ("the file was claimed and read", "its operations"),
        "job_rejected" => ("the file was claimed", "its text, and the commit"),
        "job_waits" | "job_deleted" | "folder_replaced" => ("what was found", ""),
        "result_published" => ("the commit", "the text gets its name"),
        "job_done" => ("the text has its name", "peers forget what it needed"),
        // Operations: they had arrived by message or from the arithmetic; frames and threads start after the line.
        "assigned" => ("", "the assignment is sent"),
        "computing" => ("the assignment had come", "the arithmetic begins"),
        "completed" => ("the arithmetic had ended", "the product is sent"),
        "checkpointed" => ("the coordinator has the product", "its peers are sent it"),
        "product_done" => ("its last product had come", "a text with it is written"),
        "operation_reassigned" => ("its worker was given up", "it is assigned again"),
        "operation_recomputed" | "values_differ" => ("a second product had come", ""),
        // Logged before it strikes.
        "fault_injected" => ("", "the fault"),
        // The system had notified the supervisor: the process was dead, stopped or awake by then. Peers get
        // the hint later.
        "node_spawned" => ("the process was made", ""),
        "node_exited" => ("it was dead, with all its threads", "`Gone` is told"),
        "node_stopped" => ("it was stopped", "`Stopped` is told"),
        "node_continued" => ("it went on", "`Running` is told"),
        "node_signalled" => ("", "the signal is sent"),
        "events_lost" => ("they could not be written", ""),
        _ => ("", ""),
    };
    let act = |words: &'static str| (!words.is_empty()).then_some(words);
    Acts {
        past: act(past),
        to_come: act(to_come),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Log;

    fn lines(told: &[(u64, u64, &str)]) -> Vec<Event> {
        let line = |&(at, node, name): &(u64, u64, &str)| {
            format!("{{\"mono_ns\":{at},\"node\":{node},\"incarnation\":1,\"event\":\"{name}\"}}\n")
        };
        let text: String = told.iter().map(line).collect();
        let mut events = Log::parse(text.as_bytes()).events;
        events.sort_by_key(|event| event.line);
        events
    }

    #[test]
    fn one_writer_is_ordered_by_its_lines_whatever_they_tell_of() {
        let both = lines(&[(5, 0, "assigned"), (5, 0, "gap"), (9, 0, "assigned")]);
        assert!(happened_before(&both[0], &both[1]));
        assert!(happened_before(&both[1], &both[2]));
        assert!(!happened_before(&both[1], &both[0]));
        // The supervisor writes of both nodes.
        let both = lines(&[(5, 0, "node_stopped"), (5, 1, "node_signalled")]);
        assert!(happened_before(&both[0], &both[1]));
    }

    #[test]
    fn two_writers_are_ordered_by_a_past_act_and_one_to_come_whose_clock_is_later() {
        let ordered = |first: (u64, &str), second: (u64, &str)| {
            let both = lines(&[(first.0, 0, first.1), (second.0, 1, second.1)]);
            // The positions of the lines prove nothing.
            let late = lines(&[(second.0, 1, second.1), (first.0, 0, first.1)]);
            let found = happened_before(&both[0], &both[1]);
            assert_eq!(found, happened_before(&late[1], &late[0]));
            found
        };
        assert!(ordered((5, "completed"), (6, "computing")));
        assert!(!ordered((5, "completed"), (5, "computing")));
        assert!(!ordered((6, "completed"), (5, "computing")));
        // The frame may be sent long after the line, the death long before.
        assert!(!ordered((5, "assigned"), (6, "computing")));
        assert!(!ordered((5, "completed"), (6, "gap")));
        assert!(!ordered((5, "completed"), (6, "unknown")));
        // A process and the supervisor's lines about it are two writers.
        let exit = lines(&[(5, 0, "node_exited"), (6, 0, "computing")]);
        assert!(happened_before(&exit[0], &exit[1]));
        let exit = lines(&[(6, 0, "node_exited"), (5, 0, "computing")]);
        assert!(!happened_before(&exit[0], &exit[1]));
    }
}
