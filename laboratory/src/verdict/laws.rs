//! The verdict law by law: which held, which are broken, and which cannot be judged, and why.

use std::collections::BTreeSet;

use serde::Serialize;

use super::ordinary::WORKED;
use super::{Beliefs, Comparison, Run, Tried, Violation};
use crate::log::{Event, Life};

/// L1 is about the time after faults: nodes agree within this. It is longer than any of their waits except the
/// one before a node claims an office that it lost too often, which is on record.
const QUIET_NS: u64 = 15_000_000_000;
/// More torn lines or missing events than this are too many if they are also more than
/// one in [`TORN_SHARE`].
const TORN: u64 = 5;
const TORN_SHARE: u64 = 10;

/// All laws, as ARCHITECTURE.md names them.
const LAWS: [(&str, &str); 15] = [
    ("S1", "no two processes own one epoch"),
    (
        "S2",
        "nobody obeys an epoch below the highest that it has seen",
    ),
    (
        "S3",
        "a node that knows a higher epoch does nothing as coordinator",
    ),
    ("S4", "each job has one published result, and it is correct"),
    (
        "S5",
        "an operation has at most four operands, and what was multiplied gives n!",
    ),
    ("S6", "a coordinator computes nothing"),
    (
        "S7",
        "nothing is computed again without a cause that another event proves",
    ),
    ("S8", "a takeover loses nothing that a survivor held"),
    ("S9", "every accepted file ends once, in done or in failed"),
    ("S10", "no half-written file is parsed"),
    (
        "S11",
        "no node outlives its supervisor; one live process per ID",
    ),
    ("L1", "when faults stop, one coordinator, believed by all"),
    ("L2", "every job ends, and a sound one succeeds"),
    (
        "L3",
        "elections per fault are bounded, and each has a cause",
    ),
    ("L4", "a stop ends everything within the grace period"),
];

/// The verdict on one law.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Law {
    /// Its name in ARCHITECTURE.md.
    pub name: &'static str,
    /// What it requires.
    pub what: &'static str,
    /// Whether it held; none if that cannot be judged.
    pub held: Option<bool>,
    /// Why it cannot be judged, or which part of it cannot.
    pub why: Option<String>,
}

/// The verdict on a run.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// What was tried.
    pub tried: Tried,
    /// Each law.
    pub laws: Vec<Law>,
    /// The violations.
    pub violations: Vec<Violation>,
    /// Why too little can be judged, if that is so and there are no violations.
    pub cannot_tell: Option<String>,
}

impl Verdict {
    /// Judges a run by its log and its jobs directory alone; `others` are violations from other sources.
    pub fn on(run: &Run, compared: &Comparison, others: Vec<Violation>) -> Verdict {
        let mut violations = others;
        violations.extend(run.judge_course_beside(compared));
        if run.unrest().is_none() && run.beliefs().running().next().is_some() {
            violations.extend(run.judge_end());
        }
        // If the basis of a law is missing, so is that of its violations.
        let groundless: BTreeSet<&str> = LAWS
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| run.is_groundless(name))
            .collect();
        violations.retain(|found| !groundless.contains(found.invariant));
        let excused = run.excused(compared);
        let cannot_tell = run.nothing_told(compared).filter(|_| violations.is_empty());
        let laws = LAWS.iter().map(|&(name, what)| {
            let untold = cannot_tell.clone().or_else(|| run.untold(name, &excused));
            let is_broken = violations.iter().any(|found| found.invariant == name);
            let held = if is_broken {
                Some(false)
            } else {
                untold.is_none().then_some(true)
            };
            let why = if is_broken { None } else { untold };
            let why = why.or_else(|| run.reservation(name).filter(|_| !is_broken));
            Law {
                name,
                what,
                held,
                why,
            }
        });
        Verdict {
            tried: Tried::by(run),
            laws: laws.collect(),
            cannot_tell,
            violations,
        }
    }
}

impl Run {
    /// Why too little can be judged.
    fn nothing_told(&self, compared: &Comparison) -> Option<String> {
        let log = &self.log;
        let (missing, events) = (log.torn.len() as u64 + log.lost, log.count() as u64);
        if missing >= TORN && missing * TORN_SHARE > events {
            return Some(format!(
                "{missing} events are torn or missing, against {events} that exist"
            ));
        }
        let acted = log.named("acting").next().is_some();
        let is_empty = !acted && compared.jobs == 0;
        is_empty.then(|| "no node has coordinated".to_owned())
    }

    /// The missing part of a log or folder without which a law cannot be judged, and its violations are no proof.
    fn is_groundless(&self, law: &str) -> bool {
        matches!(law, "S7" | "S8") && (!self.is_traced() || !self.jobs.is_dir())
    }

    fn is_traced(&self) -> bool {
        let settings = self.log.about.settings.as_ref();
        let told = settings.map(|settings| settings.is_traced);
        told.unwrap_or_else(|| {
            let mut names = ["assigned", "completed", WORKED].iter();
            names.any(|name| self.log.named(name).next().is_some())
        })
    }

    /// The laws that would be broken, except for the possible content of missing lines.
    fn excused(&self, compared: &Comparison) -> BTreeSet<&'static str> {
        if self.log.torn.is_empty() && self.log.lost == 0 {
            return BTreeSet::new();
        }
        let mut whole = self.clone();
        whole.log = whole.log.taken_for_whole();
        let mut broken = whole.judge_course_beside(compared);
        broken.extend(whole.judge_end());
        broken.iter().map(|found| found.invariant).collect()
    }

    /// Why a law without violations may still not have held.
    fn untold(&self, law: &str, excused: &BTreeSet<&str>) -> Option<String> {
        let not_traced = || {
            let why = "not traced: start the service with --trace-operations";
            (!self.is_traced()).then(|| why.to_owned())
        };
        let no_folder = || {
            let why = || match self.jobs.to_str() {
                Some("") => {
                    "the log does not name its jobs directory: give it by --jobs".to_owned()
                }
                _ => format!("the jobs directory {} is not there", self.jobs.display()),
            };
            (!self.jobs.is_dir()).then(why)
        };
        let cut = || {
            let why = "the first files of the log are gone";
            self.log.is_cut.then(|| why.to_owned())
        };
        let untold = match law {
            "S5" | "S6" => not_traced(),
            "S7" | "S8" => not_traced().or_else(no_folder).or_else(cut),
            "S4" | "S9" | "S10" | "L2" => no_folder(),
            "L1" => cut().or_else(|| self.dissent_in_unrest()),
            "L3" => cut(),
            "L4" => self.unended(),
            _ => None,
        };
        untold.or_else(|| excused.contains(law).then(|| self.excuse()))
    }

    /// Which part of a law that held cannot be judged.
    fn reservation(&self, law: &str) -> Option<String> {
        let open = || {
            let open = self.open_jobs();
            (open > 0).then(|| match open {
                1 => "1 job had not ended".to_owned(),
                open => format!("{open} jobs had not ended"),
            })
        };
        match law {
            "S9" | "L2" => open(),
            "L1" if !self.highest_coordinates => {
                Some("the coordinator need not be the highest node".to_owned())
            }
            "S11" => Some("zombies are not logged".to_owned()),
            _ => None,
        }
    }

    /// The number of claimed jobs that have not ended, according to the log.
    pub fn open_jobs(&self) -> usize {
        let jobs = |name| self.log.named(name).map(|event| event.text("job"));
        let ended: BTreeSet<&str> = jobs("job_done").chain(jobs("job_deleted")).collect();
        let taken: BTreeSet<&str> = jobs("job_accepted").chain(jobs("job_rejected")).collect();
        taken.difference(&ended).count()
    }

    /// The missing lines that may contain the excuse of a law.
    fn excuse(&self) -> String {
        match (self.log.torn.len(), self.log.lost) {
            (0, lost) => format!("events that could not be written may excuse it: {lost}"),
            (torn, _) => format!("torn lines may excuse it: {torn}"),
        }
    }

    /// The last fault or election, if it was so shortly before the end that nodes need not agree yet.
    fn unrest(&self) -> Option<&Event> {
        let is_unrest = |event: &&Event| {
            let since = event.at().saturating_add(match event.name() {
                "preemption_damped" => event.number("ms").saturating_mul(1_000_000),
                _ => 0,
            });
            since.saturating_add(QUIET_NS) > self.end_ns && event.at() <= self.end_ns
        };
        let names = [
            "node_spawned",
            "node_exited",
            "node_stopped",
            "node_continued",
            "fault_injected",
            "gap",
            "file_call_slow",
            "preemption_damped",
            "peer_down",
            "election_started",
            "election_won",
            "stepped_down",
        ];
        let mut events = names.iter().flat_map(|name| self.log.named(name));
        events.find(is_unrest)
    }

    /// Which coordinator each node believed in at the end.
    fn beliefs(&self) -> Beliefs {
        let mut beliefs = Beliefs::default();
        let events = self.log.events.iter();
        for event in events.filter(|event| event.at() <= self.end_ns) {
            beliefs.take(event);
        }
        beliefs
    }

    /// Why it is unknown whether the nodes would have agreed, if they did not.
    fn dissent_in_unrest(&self) -> Option<String> {
        let beliefs = self.beliefs();
        if beliefs.running().next().is_none() {
            return Some("no node runs".to_owned());
        }
        let dissent = self
            .unrest()
            .and(beliefs.dissent(self.highest_coordinates))?;
        let seconds = QUIET_NS / 1_000_000_000;
        let message = dissent.message;
        Some(format!(
            "{message}, and there was a fault or an election within {seconds} s of it"
        ))
    }

    /// Why it is unknown whether a stop ended everything in time.
    fn unended(&self) -> Option<String> {
        if self.log.about.stopping_at.is_none() {
            return Some("the request to stop is not logged".to_owned());
        }
        let ended = self.log.named("node_exited").map(Event::life);
        let ended: BTreeSet<Life> = ended.collect();
        let mut begun = self.log.named("node_spawned");
        let left = begun.find(|event| !ended.contains(&event.life()))?;
        Some(format!("the end of node {} is not logged", left.node()))
    }
}
