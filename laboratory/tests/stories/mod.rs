//! Made-up runs in which something happens to those who coordinate.

mod story;

use serde_json::json;

pub(crate) use self::story::{Draws, NS_PER_MS};
use self::story::{Life, Story};

/// Three nodes start, and node 2 leads.
fn start() -> Story {
    let mut story = Story::default();
    for node in 0..3 {
        story.spawn(10 + node, (node, node + 1));
    }
    story.reign(30, (2, 3), 1, "start", &[(0, 1), (1, 2)]);
    story
}

/// 5! by whoever leads: its three operations, the two that are left of them, or the last.
fn work(story: &mut Story, at: u64, by: Life, term: u64, workers: [Life; 2], left: &[(u64, u64)]) {
    for (index, &name) in left.iter().enumerate() {
        story.operation(at + 10 * index as u64, by, term, workers[index % 2], name);
    }
}

const ALL: &[(u64, u64)] = &[(0, 0), (0, 1), (1, 0)];

fn finish(story: &mut Story, at: u64, by: Life, term: u64) {
    story.say(
        at,
        by,
        term,
        json!({"event": "product_done", "n": 5, "plan": "tree"}),
        &[],
    );
    story.job(
        at + 5,
        by,
        term,
        &["result_published", "job_done"],
        "five",
        &[],
    );
}

/// Nothing happens to it.
fn quiet() -> Story {
    let mut story = start();
    story.job(100, (2, 3), 1, &["job_accepted"], "five", &[]);
    work(&mut story, 110, (2, 3), 1, [(0, 1), (1, 2)], ALL);
    finish(&mut story, 200, (2, 3), 1);
    story
}

/// The coordinator is killed and started again.
fn failover() -> Story {
    let mut story = start();
    story.job(100, (2, 3), 1, &["job_accepted"], "five", &[]);
    work(&mut story, 110, (2, 3), 1, [(0, 1), (1, 2)], &ALL[..1]);
    let last = story.kill(152, (2, 3));
    for (node, by) in [((0, 1), "link"), ((1, 2), "link")] {
        let lost = json!({"event": "peer_down", "peer": 2, "peer_incarnation": 3, "by": by});
        story.say(150, node, 1, lost, &[last]);
    }
    let started = json!({"event": "election_started", "why": "coordinator_lost"});
    story.say(150, (0, 1), 1, started, &[]);
    story.reign(151, (1, 2), 2, "coordinator_lost", &[(0, 1)]);
    story.job(170, (1, 2), 2, &["job_accepted"], "five", &[]);
    work(&mut story, 180, (1, 2), 2, [(0, 1), (0, 1)], &ALL[1..2]);
    story.spawn(200, (2, 4));
    story.reign(230, (2, 4), 3, "preemption", &[(0, 1), (1, 2)]);
    story.job(240, (2, 4), 3, &["job_accepted"], "five", &[]);
    work(&mut story, 250, (2, 4), 3, [(0, 1), (1, 2)], &ALL[2..]);
    finish(&mut story, 300, (2, 4), 3);
    story
}

/// The coordinator is stopped within a commit, wakes when all is over, and says so late.
fn stale() -> Story {
    let mut story = start();
    story.job(100, (2, 3), 1, &["job_accepted"], "five", &[]);
    work(&mut story, 110, (2, 3), 1, [(0, 1), (1, 2)], ALL);
    story.say(
        150,
        (2, 3),
        1,
        json!({"event": "product_done", "n": 5, "plan": "tree"}),
        &[],
    );
    let last = story.last_of((2, 3));
    let stopped = story.tell(160, (2, 3), json!({"event": "node_stopped"}), &[last]);
    let lost = json!({"event": "peer_down", "peer": 2, "peer_incarnation": 3, "by": "hint"});
    for node in [(0, 1), (1, 2)] {
        story.say(161, node, 1, lost.clone(), &[stopped]);
    }
    let reign = story.reign(162, (1, 2), 2, "coordinator_lost", &[(0, 1)]);
    let done = story.job(200, (1, 2), 2, &["job_done"], "five", &[reign]);
    story.tell(900, (2, 3), json!({"event": "node_continued"}), &[]);
    // What it had read before it was stopped.
    story.job(905, (2, 3), 1, &["job_accepted"], "more", &[done]);
    story.say(910, (2, 3), 1, json!({"event": "gap", "ms": 700}), &[]);
    story.say(
        910,
        (2, 3),
        1,
        json!({"event": "stepped_down", "why": "gap"}),
        &[],
    );
    story.job(912, (2, 3), 2, &["result_published"], "five", &[]);
    story.reign(950, (2, 3), 3, "gap", &[(0, 1), (1, 2)]);
    story.job(
        970,
        (2, 3),
        3,
        &["job_accepted", "result_published", "job_done"],
        "more",
        &[],
    );
    story
}

/// The highest node comes last.
fn preemption() -> Story {
    let mut story = Story::default();
    for node in 0..2 {
        story.spawn(10 + node, (node, node + 1));
    }
    story.reign(30, (1, 2), 1, "start", &[(0, 1)]);
    story.job(100, (1, 2), 1, &["job_accepted"], "five", &[]);
    work(&mut story, 110, (1, 2), 1, [(0, 1), (0, 1)], ALL);
    story.spawn(150, (2, 3));
    story.reign(160, (2, 3), 2, "preemption", &[(0, 1), (1, 2)]);
    story.job(180, (2, 3), 2, &["job_accepted"], "five", &[]);
    finish(&mut story, 200, (2, 3), 2);
    story
}

/// The disk of the coordinator hangs; it gives way, and comes back.
fn hand_over() -> Story {
    let mut story = start();
    story.job(100, (2, 3), 1, &["job_accepted"], "five", &[]);
    work(&mut story, 110, (2, 3), 1, [(0, 1), (1, 2)], ALL);
    let slow = json!({"event": "file_call_slow", "ms": 3_000});
    let slow = story.say(3_200, (2, 3), 1, slow, &[]);
    let down = json!({"event": "stepped_down", "why": "file_call_slow"});
    story.say(3_205, (2, 3), 1, down, &[slow]);
    story.reign(3_210, (1, 2), 2, "handed_over", &[(0, 1), (2, 3)]);
    story.job(5_500, (2, 3), 2, &["result_published"], "five", &[]);
    story.job(5_600, (1, 2), 2, &["job_done"], "five", &[]);
    story.reign(6_000, (2, 3), 3, "preemption", &[(0, 1), (1, 2)]);
    story
}

/// All of them, ended.
pub(crate) fn all(end: u64) -> Vec<Story> {
    let mut stories = vec![quiet(), failover(), stale(), preemption(), hand_over()];
    for story in &mut stories {
        story.end(end);
    }
    stories
}
