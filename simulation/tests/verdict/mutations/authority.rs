//! S1 to S3 and S11: who owns an epoch, who obeys, who may do what, who lives.

use serde_json::json;

use super::Mutation;
use crate::spoilt::{Life, Spoilt, life};

pub(super) const ALL: &[Mutation] = &[
    ("an epoch is won twice", &["S1"], |s| {
        let won = *s.named("election_won").last()?;
        s.insert(won, 1, &[json!({"event": "election_won"})]);
        Some(())
    }),
    ("an epoch is taken up twice", &["S1"], |s| {
        let acting = *s.named("acting").last()?;
        s.insert(acting, 1, &[json!({"event": "acting"})]);
        Some(())
    }),
    ("who acts has not won", &["S1"], |s| {
        let acting = *s.named("acting").last()?;
        let (by, term) = (s.life(acting), s.number(acting, "term"));
        let won = s.places(|line| line["event"] == "election_won" && life(line) == by);
        let won = won.into_iter().find(|&won| s.number(won, "term") == term)?;
        s.lines.remove(won);
        Some(())
    }),
    ("who acts has won another term", &["S1"], |s| {
        let acting = *s.named("acting").last()?;
        s.lines[acting]["term"] = json!(s.number(acting, "term") + 1);
        Some(())
    }),
    ("another acts than has won", &["S1"], |s| {
        let acting = *s.named("acting").last()?;
        let other = *s.followers().first()?;
        s.give(acting, other);
        Some(())
    }),
    ("a life has another process for a while", &["S1"], |s| {
        let up = *s.named("peer_up").last()?;
        s.lines[up]["pid"] = json!(77);
        Some(())
    }),
    ("two nodes have one incarnation", &["S1"], |s| {
        let up = *s.named("peer_up").last()?;
        s.lines[up]["node"] = json!((s.number(up, "node") + 1) % 2);
        (s.number(up, "node") != s.number(up, "peer")).then_some(())
    }),
    ("a lower term is followed", &["S2"], |s| {
        let follows = s.named("following").into_iter();
        let follows = follows.rev().find(|&at| s.number(at, "term") > 1)?;
        let (coordinator, term) = (
            s.lines[follows]["coordinator"].clone(),
            s.number(follows, "term"),
        );
        let lower = json!({"event": "following", "coordinator": coordinator, "term": term - 1});
        let again = json!({"event": "following", "coordinator": coordinator, "term": term});
        s.insert(follows, 1, &[lower, again]);
        Some(())
    }),
    ("a lower term is worked for", &["S2"], |s| {
        let computes = s.named("computing").into_iter();
        let computes = computes.rev().find(|&at| s.number(at, "term") > 1)?;
        let (op, term) = (s.lines[computes]["op"].clone(), s.number(computes, "term"));
        let lower = json!({"event": "computing", "op": op, "term": term - 1});
        s.insert(computes, 1, &[lower]);
        Some(())
    }),
    (
        "two epochs of one term are followed in turn",
        &["S2"],
        |s| {
            let is_odd =
                |at: &usize| s.number(*at, "coordinator") > 1 && s.number(*at, "node") != 0;
            let follows = *s.named("following").iter().rev().find(|&at| is_odd(at))?;
            let coordinator = s.lines[follows]["coordinator"].clone();
            let lower = json!({"event": "following", "coordinator": 0});
            let again = json!({"event": "following", "coordinator": coordinator});
            s.insert(follows, 1, &[lower, again]);
            Some(())
        },
    ),
    (
        "an epoch is followed that nobody has won",
        &["S1", "S2"],
        |s| {
            let follows = s.named("following");
            let term = follows.iter().map(|&at| s.number(at, "term")).max()?;
            // Whoever obeys nobody afterwards shows no epoch that could be below it.
            let obeys_later = |&at: &usize| {
                let life = |at: usize| s.lines[at]["incarnation"].as_u64();
                let obeys = |at: usize| {
                    let event = &s.lines[at]["event"];
                    event == "following" || event == "computing"
                };
                (at + 1..s.lines.len()).any(|later| life(later) == life(at) && obeys(later))
            };
            let follows = follows.iter().rev();
            let mut follows = follows.filter(|&&at| s.number(at, "term") == term);
            let follows = *follows.find(|&at| obeys_later(at))?;
            let is_won = |&won: &usize| {
                s.number(won, "term") == term + 1
                    && s.lines[won]["node"] == s.lines[follows]["coordinator"]
            };
            (!s.named("election_won").iter().any(is_won)).then_some(())?;
            s.insert(
                follows,
                1,
                &[json!({"event": "following", "term": term + 1})],
            );
            let coordinator = s.lines[follows]["coordinator"].clone();
            s.lines[follows + 1]["coordinator"] = coordinator;
            Some(())
        },
    ),
    ("a follower hands something out", &["S3"], |s| {
        give_to_follower(s, "assigned")
    }),
    ("a follower checkpoints", &["S3"], |s| {
        give_to_follower(s, "checkpointed")
    }),
    ("a follower accepts a job", &["S3"], |s| {
        give_to_follower(s, "job_accepted")
    }),
    ("a follower rejects a job", &["S3"], |s| {
        give_to_follower(s, "job_rejected")
    }),
    ("a follower publishes", &["S3"], |s| {
        give_to_follower(s, "result_published")
    }),
    ("a follower ends a job", &["S3"], |s| {
        give_to_follower(s, "job_done")
    }),
    ("a follower ends a product", &["S3"], |s| {
        give_to_follower(s, "product_done")
    }),
    (
        "a coordinator that knows a higher term hands something out",
        &["S3"],
        |s| {
            let assigned = *s.named("assigned").last()?;
            s.lines[assigned]["term"] = json!(s.number(assigned, "term") + 1);
            Some(())
        },
    ),
    (
        "a coordinator that knows a higher term checkpoints",
        &["S3"],
        |s| {
            let kept = *s.named("checkpointed").last()?;
            s.lines[kept]["term"] = json!(s.number(kept, "term") + 1);
            Some(())
        },
    ),
    ("a deposed coordinator hands something out", &["S3"], |s| {
        let (down, _) = deposed(s)?;
        let op = s.lines[*s.named("assigned").first()?]["op"].clone();
        let event = json!({"event": "assigned", "op": op, "worker": 0});
        s.insert(down, 1_000_000, &[event]);
        Some(())
    }),
    ("a deposed coordinator accepts a job", &["S3"], |s| {
        let (down, _) = deposed(s)?;
        let job = s.lines[*s.named("job_accepted").first()?]["job"].clone();
        s.insert(
            down,
            1_000_000,
            &[json!({"event": "job_accepted", "job": job})],
        );
        Some(())
    }),
    (
        "a deposed coordinator publishes what it never accepted",
        &["S3"],
        |s| {
            let publishes = s.named("result_published").into_iter();
            let mut found = publishes.filter_map(|at| {
                let (by, job) = (s.life(at), s.lines[at]["job"].clone());
                let accepted =
                    s.places(|line| line["event"] == "job_accepted" && line["job"] == job);
                let accepts = |of: Life| accepted.iter().any(|&accepted| s.life(accepted) == of);
                let is_deposed = |of: Life| {
                    let own = s.places(|line| life(line) == of);
                    let last =
                        |name: &str| own.iter().rev().find(|&&own| s.lines[own]["event"] == name);
                    let acts = own.iter().find(|&&own| s.lines[own]["event"] == "acting");
                    let since =
                        acts.and_then(|acts| last("stepped_down").filter(|down| *down > acts));
                    since.is_some_and(|&since| since < at && last("acting") < Some(&since))
                        && own.last() > Some(&at)
                };
                let lives = s.named("acting").into_iter().map(|acting| s.life(acting));
                let mut others = lives.filter(|&of| of != by && !accepts(of) && is_deposed(of));
                others
                    .next()
                    .filter(|_| accepts(by))
                    .map(|other| (at, other))
            });
            let (at, other) = found.next()?;
            s.give(at, other);
            Some(())
        },
    ),
    ("a node is started while it lives", &["S11"], |s| {
        let exited = s.named("node_exited").into_iter();
        let restarted = |&at: &usize| {
            let id = &s.lines[at]["node"];
            s.next(at, |line| {
                line["event"] == "node_spawned" && line["node"] == *id
            })
            .is_some()
        };
        let exited = exited.rev().find(restarted)?;
        s.lines.remove(exited);
        Some(())
    }),
    ("a process ends twice", &["S11"], |s| {
        let exited = *s.named("node_exited").first()?;
        s.insert(
            exited,
            1,
            &[json!({"event": "node_exited", "signal": "SIGKILL"})],
        );
        Some(())
    }),
    ("a process is started twice", &["S11"], |s| {
        let spawned = *s.named("node_spawned").last()?;
        s.insert(spawned, 1, &[json!({"event": "node_spawned"})]);
        Some(())
    }),
    ("a process ends that was never started", &["S11"], |s| {
        let spawned = *s.named("node_spawned").first()?;
        s.lines.remove(spawned);
        Some(())
    }),
    ("the dead compute", &["S11"], |s| {
        let exited = *s.named("node_exited").first()?;
        let op = s.lines[*s.named("computing").first()?]["op"].clone();
        let event = json!({"event": "computing", "op": op, "role": "worker"});
        s.insert(exited, 1_000_000_000, &[event]);
        Some(())
    }),
    ("the dead hold an election", &["S11"], |s| {
        let exited = *s.named("node_exited").first()?;
        let event = json!({"event": "election_started", "why": "start", "role": "candidate"});
        s.insert(exited, 1_000_000_000, &[event]);
        Some(())
    }),
];

/// A line is told by somebody who has never won anything.
fn give_to_follower(s: &mut Spoilt, name: &str) -> Option<()> {
    let line = *s.named(name).last()?;
    let follower = *s.followers().first()?;
    s.give(line, follower);
    s.lines[line]["role"] = json!("worker");
    Some(())
}

/// Where a coordinator that had acted stepped down and said nothing in that millisecond, and its life.
fn deposed(s: &Spoilt) -> Option<(usize, Life)> {
    let downs = s.named("stepped_down").into_iter();
    let mut found = downs.filter_map(|down| {
        let by = s.life(down);
        let acted = s.places(|line| line["event"] == "acting" && life(line) == by);
        let at = s.number(down, "mono_ns");
        let own = s.places(|line| life(line) == by);
        let is_silent = own.iter().all(|&other| {
            let later = s.number(other, "mono_ns");
            other <= down || later > at + 1_000_000
        });
        (acted.first().is_some_and(|&acting| acting < down) && is_silent).then_some((down, by))
    });
    found.next()
}
