//! A cluster of three workers and a coordinator that computes 12!, and what befalls it.

use laboratory::verdict::Violation;
use serde_json::{Value, json};

use super::{Course, Deed, Life, Pace};

/// Three workers, and the first coordinator.
pub(crate) const W0: Life = (0, 1);
pub(crate) const W1: Life = (1, 2);
pub(crate) const W2: Life = (2, 3);
pub(crate) const K: Life = (3, 4);
pub(crate) const LIVES: [Life; 4] = [W0, W1, W2, K];
/// The operations of 12!, which is 2^8 · 3^5 · 7 · 11 and two zeros: leaves by bit of the exponents, and steps.
pub(crate) const OPS: [(&str, u64, u64); 6] = [
    ("multiply", 0, 0),
    ("multiply", 0, 1),
    ("multiply", 0, 2),
    ("step", 2, 0),
    ("step", 1, 0),
    ("step", 0, 0),
];
/// So many layouts of each course.
pub(crate) const LAYOUTS: u64 = 100;

pub(crate) fn op(index: usize) -> Value {
    let (kind, level, index) = OPS[index];
    json!({"n": 12, "kind": kind, "level": level, "index": index})
}

pub(crate) fn of(event: &str, index: usize) -> Value {
    json!({"event": event, "op": op(index)})
}

impl Course {
    /// Four nodes and a coordinator of term 1, which has taken the job `a`.
    pub(crate) fn begun() -> Course {
        let mut course = Course::new();
        course.write("done/a.job", "12!\n");
        for life in LIVES {
            course.supervise(life, json!({"event": "node_spawned"}), &[]);
            course.tell(life, json!({"event": "started"}), &[]);
        }
        for life in LIVES {
            for peer in LIVES.into_iter().filter(|&peer| peer != life) {
                course.meets(life, peer);
            }
        }
        course.takes_over(K, 1, &[W0, W1, W2], &[]);
        course.accepts(K, "a");
        course
    }

    pub(crate) fn meets(&mut self, life: Life, peer: Life) {
        let up = json!({"event": "peer_up", "peer": peer.0, "peer_incarnation": peer.1});
        self.tell(life, up, &[]);
    }

    pub(crate) fn loses(&mut self, life: Life, peer: Life, by: &str, after: &[Deed]) {
        let down =
            json!({"event": "peer_down", "peer": peer.0, "peer_incarnation": peer.1, "by": by});
        self.tell(life, down, after);
    }

    /// Wins, collects from some, and passes others over, which takes 100 ms; those join later.
    pub(crate) fn takes_over(
        &mut self,
        life: Life,
        term: u64,
        from: &[Life],
        passed_over: &[Life],
    ) {
        let now = self.act(life, &[]);
        let started = json!({"event": "election_started", "why": "coordinator_lost"});
        self.tell(life, started, &[]);
        self.terms.insert(life, term);
        let won = self.tell(life, json!({"event": "election_won"}), &[]);
        let mut before = vec![(won, 0)];
        if !passed_over.is_empty() {
            before.push((now, 100));
        }
        for &peer in from {
            self.terms.insert(peer, term);
            before.push((self.act(peer, &[(won, 0)]), 0));
        }
        let collected = self.act(life, &before);
        let acting = self.tell(life, json!({"event": "acting"}), &[collected]);
        for &peer in from {
            let following = json!({"event": "following", "coordinator": life.0});
            self.tell(peer, following, &[acting]);
        }
    }

    pub(crate) fn accepts(&mut self, life: Life, job: &str) -> Deed {
        self.tell(life, json!({"event": "job_accepted", "job": job}), &[])
    }

    pub(crate) fn assigns(&mut self, life: Life, worker: Life, index: usize) -> Deed {
        let mut assigned = of("assigned", index);
        assigned["worker"] = worker.0.into();
        self.tell(life, assigned, &[])
    }

    pub(crate) fn takes_back(&mut self, life: Life, index: usize, why: &str) {
        let mut taken = of("operation_reassigned", index);
        taken["why"] = why.into();
        self.tell(life, taken, &[]);
    }

    /// Handed out, computed; not delivered.
    pub(crate) fn computes(&mut self, life: Life, worker: Life, index: usize) -> Deed {
        let assigned = self.assigns(life, worker, index);
        self.tell(worker, of("computing", index), &[assigned]);
        self.tell(worker, of("completed", index), &[])
    }

    pub(crate) fn does(&mut self, life: Life, worker: Life, index: usize) {
        let completed = self.computes(life, worker, index);
        self.tell(life, of("checkpointed", index), &[completed]);
    }

    pub(crate) fn does_all(
        &mut self,
        life: Life,
        workers: &[Life],
        operations: std::ops::Range<usize>,
    ) {
        for index in operations {
            self.does(life, workers[index % workers.len()], index);
        }
    }

    pub(crate) fn kill(&mut self, life: Life) -> Deed {
        let death = self.act(life, &[]);
        self.dead.insert(life);
        let exited = json!({"event": "node_exited", "signal": "SIGKILL"});
        self.supervise(life, exited, &[death]);
        death
    }

    /// A peer dies, and others see it.
    pub(crate) fn dies(&mut self, life: Life, seen_by: &[Life]) {
        let death = self.kill(life);
        for &peer in seen_by {
            self.loses(peer, life, "link", &[death]);
        }
    }

    pub(crate) fn ends(&mut self, life: Life, job: &str) {
        let done = json!({"event": "product_done", "n": 12, "plan": "powers"});
        self.tell(life, done, &[]);
        self.tell(life, json!({"event": "result_published", "job": job}), &[]);
        self.tell(life, json!({"event": "job_done", "job": job}), &[]);
    }
}

pub(crate) fn words(found: &[Violation]) -> String {
    let words: Vec<String> = found.iter().map(ToString::to_string).collect();
    words.join("\n")
}

/// Sound, however it is laid out.
pub(crate) fn is_sound(name: &str, make: impl FnOnce(&mut Course)) {
    let mut course = Course::begun();
    make(&mut course);
    for seed in 0..LAYOUTS {
        for pace in [Pace::Any, Pace::Prompt] {
            let found = course.judge(seed, pace, &|_| Vec::new());
            assert!(found.is_empty(), "{name}, seed {seed}: {}", words(&found));
        }
    }
}

/// Broken, and this law alone, however it is laid out; `paces` are those in which it can be known.
pub(crate) fn is_broken_at(name: &str, law: &str, paces: &[Pace], make: impl FnOnce(&mut Course)) {
    let mut course = Course::begun();
    make(&mut course);
    for seed in 0..LAYOUTS / 10 {
        for &pace in paces {
            let found = course.judge(seed, pace, &|_| Vec::new());
            let is_it = !found.is_empty() && found.iter().all(|found| found.invariant == law);
            assert!(is_it, "{name}, seed {seed}: {}", words(&found));
        }
    }
}

pub(crate) fn is_broken(name: &str, law: &str, make: impl FnOnce(&mut Course)) {
    is_broken_at(name, law, &[Pace::Any, Pace::Prompt], make);
}

/// Where somebody must have learnt of it, if it was prompt.
pub(crate) fn is_broken_if_prompt(name: &str, make: impl FnOnce(&mut Course)) {
    is_broken_at(name, "S7", &[Pace::Prompt], make);
}
