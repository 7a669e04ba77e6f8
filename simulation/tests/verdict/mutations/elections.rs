//! L1 and L3: who believes in whom at the end, and why elections are held.

use serde_json::{Value, json};

use super::Mutation;
use crate::spoilt::{Life, Spoilt, life};

pub(super) const ALL: &[Mutation] = &[
    ("somebody follows another at the end", &["L1"], |s| {
        let (follows, _) = last_following(s)?;
        let other = (s.number(follows, "coordinator") + 1) % 2;
        (other != s.number(follows, "node")).then_some(())?;
        s.lines[follows]["coordinator"] = json!(other);
        Some(())
    }),
    ("somebody follows nobody at the end", &["L1"], |s| {
        let (_, of) = last_following(s)?;
        let is_one = |line: &Value| line["event"] == "following" && life(line) == of;
        s.lines.retain(|line| !is_one(line));
        Some(())
    }),
    ("the coordinator steps down at the end", &["L1"], |s| {
        let acting = *s.named("acting").last()?;
        let by = s.life(acting);
        let apart = (s.run.end_ns - 1_000).checked_sub(s.number(acting, "mono_ns"))?;
        s.quiet_lives().contains(&by).then_some(())?;
        s.insert(
            acting,
            apart,
            &[json!({"event": "stepped_down", "why": "promised"})],
        );
        Some(())
    }),
    ("the coordinator is dead at the end", &["L1"], |s| {
        let acting = *s.named("acting").last()?;
        let by = s.life(acting);
        let apart = (s.run.end_ns - 1_000_000).checked_sub(s.number(acting, "mono_ns"))?;
        let real = s.next(0, |line| line["event"] == "node_exited" && life(line) == by)?;
        (s.number(real, "mono_ns") > s.run.end_ns).then_some(())?;
        s.lines.remove(real);
        let exit = json!({"event": "node_exited", "signal": "SIGKILL", "role": null});
        s.insert(acting, apart, &[exit]);
        Some(())
    }),
    ("fifty elections for a loss that never was", &["L3"], |s| {
        storm(s, |_| {
            vec![json!({"event": "election_started", "why": "coordinator_lost"})]
        })
    }),
    ("fifty elections that nobody calls for", &["L3"], |s| {
        storm(s, |_| {
            vec![json!({"event": "election_started", "why": "no_coordinator"})]
        })
    }),
    (
        "fifty elections for gaps that cannot all have been",
        &["L3"],
        |s| {
            storm(s, |term| {
                let (term, next) = (json!(term), json!(term + 1));
                vec![
                    json!({"event": "gap", "ms": 700, "term": term, "role": "coordinator"}),
                    json!({"event": "stepped_down", "why": "gap", "term": term, "role": "coordinator"}),
                    json!({"event": "election_started", "why": "gap", "term": term, "role": "candidate"}),
                    json!({"event": "election_won", "term": next, "role": "candidate"}),
                    json!({"event": "acting", "term": next, "role": "coordinator"}),
                ]
            })
        },
    ),
    (
        "an election since the coordinator was lost, and nobody was",
        &["L3"],
        |s| one(s, "coordinator_lost", "peer_down"),
    ),
    (
        "an election after a gap that nobody tells of",
        &["L3"],
        |s| one(s, "gap", "gap"),
    ),
    (
        "an election for an isolation that nobody tells of",
        &["L3"],
        |s| one(s, "isolated", "peer_down"),
    ),
    (
        "an office is handed over, and no file call was slow",
        &["L3"],
        |s| {
            s.named("file_call_slow").is_empty().then_some(())?;
            one(s, "handed_over", "file_call_slow")
        },
    ),
    ("an election for a cause that there is not", &["L3"], |s| {
        one(s, "boredom", "boredom")
    }),
    (
        "a link to somebody who lives is said to have ended",
        &["L3"],
        |s| lost(s, "link"),
    ),
    (
        "somebody who runs is said to be gone by a hint",
        &["L3"],
        |s| lost(s, "hint"),
    ),
    (
        "somebody is lost for a cause that there is not",
        &["L3"],
        |s| lost(s, "boredom"),
    ),
];

/// The last word of somebody who lives at the end.
fn last_following(s: &Spoilt) -> Option<(usize, Life)> {
    let follows = *s.named("following").last()?;
    let of = s.life(follows);
    let exits = s.next(0, |line| line["event"] == "node_exited" && life(line) == of)?;
    let lives = s.number(exits, "mono_ns") > s.run.end_ns;
    let own = s.places(|line| {
        life(line) == of
            && matches!(
                line["event"].as_str(),
                Some("election_started" | "stepped_down" | "acting")
            )
    });
    let is_last = own.iter().all(|&other| other < follows);
    (lives && is_last && s.number(follows, "mono_ns") < s.run.end_ns).then_some((follows, of))
}

fn is_before(line: &Value, at: u64) -> bool {
    line["mono_ns"].as_u64() < Some(at)
}

/// The last coordinator, if it lives on quietly, does this fifty times in half a second.
fn storm(s: &mut Spoilt, once: fn(u64) -> Vec<Value>) -> Option<()> {
    let acting = *s.named("acting").last()?;
    let (of, term) = (s.life(acting), s.number(acting, "term"));
    s.quiet_lives().contains(&of).then_some(())?;
    let last = s.places(|line| life(line) == of && is_before(line, s.run.end_ns));
    let last = *last.last()?;
    let events: Vec<Value> = (0..50).flat_map(|round| once(term + round)).collect();
    let apart = 500_000_000 / events.len() as u64;
    (s.number(last, "mono_ns") + 600_000_000 < s.run.end_ns).then_some(())?;
    s.insert(last, apart, &events);
    Some(())
}

/// A quiet follower holds an election for a cause, and has never told of what proves it.
fn one(s: &mut Spoilt, why: &str, proof: &str) -> Option<()> {
    let quiet = s.followers().into_iter();
    let tells = |of: Life| {
        !s.places(|line| line["event"] == proof && life(line) == of)
            .is_empty()
    };
    let of = quiet.into_iter().find(|&of| !tells(of))?;
    let is_own = |line: &Value| line["event"] == "following" && life(line) == of;
    let follows = *s
        .places(|line| is_own(line) && is_before(line, s.run.end_ns))
        .last()?;
    let event = json!({"event": "election_started", "why": why, "role": "candidate"});
    s.insert(follows, 1_000, &[event]);
    Some(())
}

/// One who lives quietly all the time is lost to another.
fn lost(s: &mut Spoilt, by: &str) -> Option<()> {
    let quiet = s.quiet_lives();
    let (peer, other) = (*quiet.first()?, *quiet.last()?);
    (peer != other).then_some(())?;
    // The one that is said to be gone writes later still.
    let speaks = s.places(|line| life(line) == peer && is_before(line, s.run.end_ns));
    let speaks = s
        .number(*speaks.last()?, "mono_ns")
        .saturating_sub(1_000_000);
    let is_own = |line: &Value| line["event"] == "following" && life(line) == other;
    let last = *s
        .places(|line| is_own(line) && is_before(line, speaks))
        .last()?;
    let event = json!({"event": "peer_down", "peer": peer.0, "peer_incarnation": peer.1, "by": by});
    s.insert(last, 1_000, &[event]);
    Some(())
}
