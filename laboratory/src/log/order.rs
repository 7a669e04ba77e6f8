//! What orders the events of different processes.
//!
//! A line has a clock, which all processes of the host share, and a place in the file. A process may be
//! stopped, or be slow, at any point: between an act and the reading of the clock, between that and the
//! write. So a line may stand anywhere behind its place, and no act of one process came before that of
//! another for the place of a line, or for the clock alone. What does order them:
//!
//! - The lines of one writer stand in the order in which it wrote them. A node writes all of its own from
//!   the one thread of its loop, and those of a step before the step's actions (`node/src/driver.rs`,
//!   `Driver::step`); its threads have what they did come back to that loop. All lines of the supervisor
//!   are of its one loop, too.
//! - What a line tells of as past had happened when its clock was read. What it tells of as to come had
//!   not begun then. So if the first of two clocks was read earlier, what the first line has as past came
//!   before what the second has as to come. Nothing follows the other way round.
//! - Epochs are ordered, whatever the clocks say; messages come after they were sent; and the steps of a
//!   job's file go one way. Those orders are with the laws that use them.

use super::{Event, Life};

/// Who writes a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Writer {
    /// The supervisor, whatever node the line tells of.
    Supervisor,
    /// This life of a node, of itself.
    Node(Life),
}

/// The acts that a line tells of: what had happened when its clock was read, and what had not begun.
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
/// Of one writer: it was written before it. Of two: what `first` tells of as past came before what
/// `second` tells of as to come, see [`acts`]. That it is false says nothing.
pub fn happened_before(first: &Event, second: &Event) -> bool {
    if first.writer() == second.writer() {
        return first.line < second.line;
    }
    let told = acts(first.name()).past.is_some() && acts(second.name()).to_come.is_some();
    told && first.at() < second.at()
}

/// The acts of an event, by its name; none of one that is not known. Each stands here for a reason that the
/// code of its writer gives: an act that a step finds done is past, one that the step asks for is to come.
pub fn acts(name: &str) -> Acts {
    let (past, to_come) = match name {
        // Links, silence and hints are found by the step that tells of them.
        "started" => ("it was told to start", "its first messages"),
        "peer_up" => ("the link stood", ""),
        "peer_down" => ("the peer was lost, to this node", ""),
        // A change of role: the fence is raised before the line; what is said in the new role follows it.
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
        // File calls: what the reply of one shows is past, the next call is to come.
        "job_accepted" => ("the file was claimed and read", "its operations"),
        "job_rejected" => ("the file was claimed", "its text, and the commit"),
        "job_waits" | "job_deleted" | "folder_replaced" => ("what was found", ""),
        "result_published" => ("the commit", "the text gets its name"),
        "job_done" => ("the text has its name", "peers forget what it needed"),
        // Operations: the message or the arithmetic had brought it; frames and threads are begun after it.
        "assigned" => ("", "the assignment is sent"),
        "computing" => ("the assignment had come", "the arithmetic begins"),
        "completed" => ("the arithmetic had ended", "the product is sent"),
        "checkpointed" => ("the coordinator has the product", "its peers are sent it"),
        "product_done" => ("its last product had come", "a text with it is written"),
        "operation_reassigned" => ("its worker was given up", "it is assigned again"),
        "operation_recomputed" | "values_differ" => ("a second product had come", ""),
        // On record before it strikes.
        "fault_injected" => ("", "the fault"),
        // The system had told the supervisor: the process was dead, stopped or awake by then. Peers are told after it.
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
            // Where the lines stand tells nothing.
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
        // A process and what the supervisor tells of it are two writers.
        let exit = lines(&[(5, 0, "node_exited"), (6, 0, "computing")]);
        assert!(happened_before(&exit[0], &exit[1]));
        let exit = lines(&[(6, 0, "node_exited"), (5, 0, "computing")]);
        assert!(!happened_before(&exit[0], &exit[1]));
    }
}
