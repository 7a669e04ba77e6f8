//! Events in words.

use crate::log::{Event, Op};
pub use crate::plan::Names;

/// What happened to the node that an event is about, in words that follow its name: `node 5` … `was
/// killed by SIGKILL`.
pub fn words(event: &Event) -> String {
    told(event, ToString::to_string)
}

/// Like [`words`], with operations described by what they compute: `computes 10 × 9 × 8 × 7 of 10!`.
pub fn words_by(event: &Event, names: &mut Names) -> String {
    told(event, |op| format!("{} of {}!", names.words(op), op.n))
}

fn told(event: &Event, operation: impl FnOnce(&Op) -> String) -> String {
    let text = |field: &str| event.text(field).replace('_', " ");
    let number = |field: &str| event.fields[field].as_u64().unwrap_or(0);
    let operation = || event.op().map_or_else(String::new, operation);
    // Two nodes may win the same term: the epoch distinguishes them.
    let in_epoch = |node: u64| {
        let term = event.told_term();
        term.map_or_else(String::new, |term| format!(" in epoch {term}.{node}"))
    };
    match event.name() {
        "node_spawned" => "was started".to_owned(),
        "node_signalled" => format!("is sent {} by a command", event.text("signal")),
        "node_exited" => match event.fields["code"].as_u64() {
            Some(code) => format!("exited with code {code}"),
            None => format!("was killed by {}", event.text("signal")),
        },
        "node_stopped" => "was stopped by a signal".to_owned(),
        "node_continued" => "was continued".to_owned(),
        "started" => "is ready".to_owned(),
        "peer_up" => format!("has a link to node {}", number("peer")),
        "peer_down" => format!("lost node {}, detected by {}", number("peer"), text("by")),
        "election_started" => format!("starts an election: {}", text("why")),
        "election_won" => format!("won the election{}", in_epoch(event.node())),
        "acting" => format!("acts as coordinator{}", in_epoch(event.node())),
        "stepped_down" => format!("stepped down: {}", text("why")),
        "following" => {
            let coordinator = number("coordinator");
            format!("follows node {coordinator}{}", in_epoch(coordinator))
        }
        "stale_refused" => format!(
            "rejected a stale {} from node {}",
            event.text("what"),
            number("from")
        ),
        "gap" => format!("was suspended for {} ms", number("ms")),
        "file_call_slow" => format!(
            "finds that the file system has not answered for {} ms",
            number("ms")
        ),
        "preemption_damped" => format!(
            "waits {} ms before it claims the office that it keeps losing",
            number("ms")
        ),
        "job_accepted" => format!("accepted job {}", event.text("job")),
        "job_rejected" => format!("rejected job {}", event.text("job")),
        "job_waits" => format!("lets job {} wait: {}", event.text("job"), text("why")),
        "job_deleted" => format!("found the file of job {} deleted", event.text("job")),
        "folder_replaced" => format!("found {} replaced by another folder", text("folder")),
        "result_published" => format!("published the result of job {}", event.text("job")),
        "job_done" => format!("finished job {}", event.text("job")),
        "assigned" => format!("gives node {} {}", number("worker"), operation()),
        "computing" => format!("computes {}", operation()),
        "completed" => format!("has computed {}", operation()),
        "checkpointed" => format!("checkpointed {}", operation()),
        "product_done" => format!("has the product of {}!", number("n")),
        "operation_reassigned" => {
            format!("gave {} to another worker: {}", operation(), text("why"))
        }
        "operation_recomputed" => format!("had {} computed again: {}", operation(), text("why")),
        "values_differ" => format!("got two different values for {}", operation()),
        "fault_injected" => format!("injects a fault at {}: {}", text("at"), text("do")),
        "events_lost" => format!("could not write {} events here", number("count")),
        other => other.replace('_', " "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Log;

    #[test]
    fn winners_of_one_term_are_told_apart_by_their_epochs() {
        let told = |event: &str| {
            let line = format!("{{\"mono_ns\":1,\"incarnation\":1,\"term\":2,{event}}}\n");
            words(&Log::parse(line.as_bytes()).events[0])
        };
        for node in [4, 5] {
            let of = |name: &str| told(&format!("\"node\":{node},\"event\":\"{name}\""));
            assert_eq!(
                of("acting"),
                format!("acts as coordinator in epoch 2.{node}")
            );
            assert_eq!(
                of("election_won"),
                format!("won the election in epoch 2.{node}")
            );
            let following = format!("\"node\":0,\"event\":\"following\",\"coordinator\":{node}");
            assert_eq!(
                told(&following),
                format!("follows node {node} in epoch 2.{node}")
            );
        }
    }
}
