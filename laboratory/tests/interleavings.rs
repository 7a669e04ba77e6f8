//! The laws on authority and elections, put to the test of order: whatever order the lines of a sound run
//! get in the file, it is sound; and whatever breaks a law is found in any of these orders.
//!
//! `INTERLEAVINGS` sets how many logs are judged of each kind.

use std::collections::BTreeSet;

use crate::both::both_ways;
use crate::made::Made;
use crate::stories::{self, Draws, NS_PER_MS};
use laboratory::log::Log;
use laboratory::verdict::{Comparison, Run, Violation};
use serde_json::{Value, json};

/// Those whose order is put to the test here.
const LAWS: [&str; 8] = ["S1", "S2", "S3", "S5", "S6", "S11", "L1", "L3"];

/// When the runs end, in milliseconds: late enough for whatever holds up their processes.
const END: u64 = 60_000;

fn made() -> Run {
    Run {
        end_ns: END * NS_PER_MS,
        ..Made::new().run()
    }
}

fn count() -> u64 {
    let count = std::env::var("INTERLEAVINGS").ok();
    count.map_or(2_000, |count| count.parse().unwrap())
}

fn text(lines: &[Value]) -> Vec<String> {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// What breaks these laws. The files tell nothing of them, and are compared with nothing.
fn judged(made: &Run, text: &[String]) -> Vec<Violation> {
    let run = Run {
        log: Log::parse(text.concat().as_bytes()),
        ..made.clone()
    };
    let mut found = both_ways(&run, |run| {
        let mut found = run.judge_course_beside(&Comparison::default());
        found.extend(run.judge_end());
        found
    });
    found.retain(|violation| LAWS.contains(&violation.invariant));
    found
}

fn assert_sound(found: &[Violation], seed: u64, text: &[String]) {
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    let found = found.join("\n");
    assert!(
        found.is_empty(),
        "seed {seed}:\n{found}\nof\n{}",
        text.concat()
    );
}

#[test]
fn a_sound_run_is_sound_in_every_order_and_with_any_line_torn() {
    let stories = stories::all(END + 10);
    let made = made();
    for seed in 0..count() {
        let mut draws = Draws(seed);
        let story = &stories[draws.below(stories.len() as u64) as usize];
        let mut text = text(&story.interleaved(&mut draws));
        assert_sound(&judged(&made, &text), seed, &text);
        let torn = draws.below(text.len() as u64) as usize;
        let half = 1 + draws.below(text[torn].len() as u64 - 3) as usize;
        text[torn].truncate(half);
        text[torn].push_str(["\n", ""][draws.below(2) as usize]);
        assert_sound(&judged(&made, &text), seed, &text);
    }
}

/// The lines of a file, to be spoilt.
struct File<'a> {
    lines: Vec<Value>,
    draws: &'a mut Draws,
}

impl File<'_> {
    fn places(&self, is_meant: impl Fn(&Value) -> bool) -> Vec<usize> {
        let places = 0..self.lines.len();
        places
            .filter(|&place| is_meant(&self.lines[place]))
            .collect()
    }

    /// Where one of the lines of this name stands.
    fn any(&mut self, name: &str) -> Option<usize> {
        let places = self.places(|line| line["event"] == name);
        let which = self.draws.below(places.len().max(1) as u64) as usize;
        places.get(which).copied()
    }

    /// Has the process that wrote a line say something else in the same moment; gives where that stands.
    fn say(&mut self, after: usize, own: Value) -> usize {
        let mut line = own;
        for field in ["mono_ns", "node", "incarnation", "pid", "term"] {
            if line[field].is_null() {
                line[field] = self.lines[after][field].clone();
            }
        }
        self.lines.insert(after + 1, line);
        after + 1
    }
}

/// A way to break a law in a file, if it is a file in which it can be broken so.
type Spoil = fn(&mut File<'_>) -> Option<()>;

fn operation(event: &str) -> Value {
    let op = json!({"n": 9, "kind": "multiply", "level": 0, "index": 0});
    json!({"event": event, "op": op, "worker": 0})
}

const MUTATIONS: [(&str, &str, Spoil); 24] = [
    ("S1", "an epoch won twice", |file| {
        let won = file.any("election_won")?;
        file.say(won, json!({"event": "election_won"}));
        Some(())
    }),
    ("S1", "an epoch taken up twice", |file| {
        let acting = file.any("acting")?;
        file.say(acting, json!({"event": "acting"}));
        Some(())
    }),
    ("S1", "acting without an election", |file| {
        let won = file.any("election_won")?;
        file.lines.remove(won);
        Some(())
    }),
    ("S1", "two processes of one life", |file| {
        let any = file.any("following")?;
        file.lines[any]["pid"] = json!(7);
        Some(())
    }),
    ("S2", "a lower term is followed", |file| {
        let following = file.any("following")?;
        let term = file.lines[following]["term"].as_u64()?;
        let coordinator = file.lines[following]["coordinator"].clone();
        let obeys = json!({"event": "following", "coordinator": coordinator, "term": term - 1});
        file.say(following, obeys);
        Some(())
    }),
    ("S2", "a lower term is worked for", |file| {
        let following = file.any("following")?;
        let term = file.lines[following]["term"].as_u64()?;
        let mut computing = operation("computing");
        computing["term"] = json!(term - 1);
        file.say(following, computing);
        Some(())
    }),
    ("S2", "two epochs of one term in turn", |file| {
        let is_meant = |line: &Value| line["event"] == "following" && line["coordinator"] == 2;
        let first = file.places(is_meant).first().copied()?;
        let other = file.say(first, json!({"event": "following", "coordinator": 1}));
        file.say(other, json!({"event": "following", "coordinator": 2}));
        Some(())
    }),
    ("S3", "a follower assigns", |file| {
        let following = file.any("following")?;
        file.say(following, operation("assigned"));
        Some(())
    }),
    ("S3", "a winner assigns before it acts", |file| {
        let won = file.any("election_won")?;
        file.say(won, operation("assigned"));
        Some(())
    }),
    ("S3", "a coordinator that knows a higher term", |file| {
        let acting = file.any("acting")?;
        let term = file.lines[acting]["term"].as_u64()?;
        let mut assigned = operation("assigned");
        assigned["term"] = json!(term + 1);
        file.say(acting, assigned);
        Some(())
    }),
    ("S3", "a deposed coordinator takes a job", |file| {
        let down = file.any("stepped_down")?;
        file.say(down, json!({"event": "job_accepted", "job": "more"}));
        Some(())
    }),
    ("S3", "a deposed coordinator commits and goes on", |file| {
        let down = file.any("stepped_down")?;
        let commit = file.say(down, json!({"event": "result_published", "job": "late"}));
        file.say(commit, json!({"event": "job_done", "job": "late"}));
        Some(())
    }),
    ("S5", "a name outside of the tree", |file| {
        let completed = file.any("completed")?;
        file.lines[completed]["op"]["index"] = json!(2);
        Some(())
    }),
    ("S5", "a product without one of its operations", |file| {
        file.any("product_done")?;
        let completed = file.any("completed")?;
        file.lines.remove(completed);
        Some(())
    }),
    ("S6", "a coordinator computes", |file| {
        let acting = file.any("acting")?;
        file.say(acting, operation("computing"));
        Some(())
    }),
    ("S6", "a winner computes", |file| {
        let won = file.any("election_won")?;
        file.say(won, operation("computing"));
        Some(())
    }),
    ("S11", "a dead life acts", |file| {
        let is_meant = |line: &Value| line["signal"] == "SIGKILL";
        let exited = file.places(is_meant).first().copied()?;
        let later = file.lines[exited]["mono_ns"].as_u64()? + NS_PER_MS;
        let last = file.lines.len() - 1;
        let mut computing = operation("computing");
        for field in ["node", "incarnation", "pid"] {
            computing[field] = file.lines[exited][field].clone();
        }
        computing["mono_ns"] = json!(later);
        computing["term"] = json!(1);
        file.say(last, computing);
        Some(())
    }),
    ("S11", "two lives of a node", |file| {
        let spawned = file.any("node_spawned")?;
        let life = json!({"event": "node_spawned", "incarnation": 99, "pid": 199});
        file.say(spawned, life);
        Some(())
    }),
    (
        "S11",
        "a life that did not end is followed by another",
        |file| {
            let exited = file.places(|line| line["signal"] == "SIGKILL");
            file.lines.remove(*exited.first()?);
            Some(())
        },
    ),
    ("L1", "one believes in another", |file| {
        let is_own = |line: &Value| !line["event"].as_str().unwrap().starts_with("node_");
        let last = file.places(|line| line["node"] == 0 && is_own(line));
        let last = last.last().copied()?;
        let own = json!({"event": "following", "coordinator": 1, "incarnation": 1, "pid": 101, "term": 9});
        file.say(last, own);
        Some(())
    }),
    ("L3", "a peer is lost of which nothing is told", |file| {
        let following = file.any("following")?;
        let lost = json!({"event": "peer_down", "peer": 0, "peer_incarnation": 1, "by": "hint"});
        file.say(following, lost);
        Some(())
    }),
    ("L3", "a link ended of a process that acts later", |file| {
        // Its own first lines.
        let started = file.places(|line| line["event"] == "started" && line["node"] == 1);
        let lost = json!({"event": "peer_down", "peer": 0, "peer_incarnation": 1, "by": "link"});
        file.say(*started.first()?, lost);
        Some(())
    }),
    ("L3", "elections for gaps that nobody had", |file| {
        let following = file.any("following")?;
        let coordinator = file.lines[following]["coordinator"].clone();
        let elects = json!({"event": "election_started", "why": "gap"});
        let started = file.say(following, elects);
        let follows = json!({"event": "following", "coordinator": coordinator});
        file.say(started, follows);
        Some(())
    }),
    ("L3", "more gaps than time", |file| {
        let acting = file.any("acting")?;
        for _ in 0..20 {
            file.say(acting, json!({"event": "gap", "ms": 700}));
        }
        Some(())
    }),
];

#[test]
fn what_breaks_a_law_is_found_in_every_order() {
    let stories = stories::all(END + 10);
    let made = made();
    let mut tried: BTreeSet<&str> = BTreeSet::new();
    for seed in 0..count() {
        let mut draws = Draws(seed);
        let story = &stories[draws.below(stories.len() as u64) as usize];
        let lines = story.interleaved(&mut draws);
        let (law, what, spoil) = MUTATIONS[seed as usize % MUTATIONS.len()];
        let draws = &mut draws;
        let mut file = File { lines, draws };
        if spoil(&mut file).is_none() {
            continue;
        }
        tried.insert(what);
        let text = text(&file.lines);
        let found = judged(&made, &text);
        let laws: BTreeSet<&str> = found.iter().map(|found| found.invariant).collect();
        assert!(
            laws.contains(law),
            "seed {seed}: {what} is no fault of {law}, but of {laws:?}:\n{}",
            text.concat()
        );
    }
    assert_eq!(tried.len(), MUTATIONS.len(), "{tried:?}");
}
