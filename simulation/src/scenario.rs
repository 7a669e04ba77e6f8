//! What a seed decides: the cluster, its surroundings, the jobs, and what goes wrong when. Of each
//! sixteen seeds in a row the last eight are of the wild kind, see `wild.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use ipc::codec::{LONG, MAX_FRAME, Pieces};
use ipc::mesh::Sizes;
use protocol::config::{Config, Preemption};
use protocol::id::NodeId;
use protocol::plan::{Method, Shape, most_digits};
use protocol::time::Time;

use crate::chance::{Chance, Span};
use crate::cluster::Surroundings;
use crate::directory::Mount;
use crate::job::Job;

mod wild;

/// Largest factorial of a job.
const MAX_N: u64 = 300;

/// Below this are those of small jobs.
const SMALL_N: u64 = 60;

/// A run, as its seed decides it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The settings of the nodes.
    pub config: Config,
    /// What surrounds them.
    pub surroundings: Surroundings,
    /// What surrounds them when all faults have healed.
    pub calm: Surroundings,
    /// What was said before all faults had healed is on its way for so long.
    pub lag: Duration,
    /// Pause between the parts of a file that is being written.
    pub writer_pause: Duration,
    /// The job files that are dropped.
    pub jobs: Vec<Job>,
    /// What is done, and when, in order.
    pub deeds: Vec<(Time, Deed)>,
    /// How many of the deeds are faults.
    pub faults: usize,
    /// The cluster is stopped after the last fault, with whatever is still to be done.
    pub stops_early: bool,
    /// The seed of all that the surroundings leave to chance.
    pub seed: u64,
}

/// Something that is done to the cluster from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A job file is dropped whole, by a rename into the inbox.
    Drop(usize),
    /// A job file is written in the inbox, in so many parts, with pauses.
    Write(usize, usize),
    /// A job file is dropped with a first content, and after a while opened again, truncated, and
    /// saved with what it is to have.
    Save(usize, Duration),
    /// A person saves the complete file of a job again, with other content: truncates it and writes it
    /// in place, or renames a new one over it. Where it is claimed already, that is another job.
    SaveAgain(usize, Saving),
    /// A person takes away all texts that stand; their jobs too or not.
    Collect(bool),
    /// The machine loses its power: all processes die, and so do the latest changes of files.
    LosePower,
    /// SIGKILL, after so many more actions of the process.
    Kill(Target, usize),
    /// SIGKILL to all nodes.
    KillAll,
    /// SIGSTOP after so many more actions of the process, and SIGCONT later.
    Stop(Target, usize, Duration),
    /// SIGSTOP at the next commit of a job that the process has decided on and not made, and SIGCONT
    /// later: the commit comes late.
    StopAtCommit(Target, Duration),
    /// One is stopped, all others die and come back, and after a while it goes on.
    Outlive(Target, Duration, Duration),
    /// A process gets no processor time for a while.
    Stall(Target, Duration),
    /// No process gets any for a while.
    StallAll(Duration),
    /// The link from one to the other breaks, with what it carries.
    Cut(Target, Target),
    /// The link from one to the other delivers nothing for a while.
    Freeze(Target, Target, Duration),
    /// Somebody removes the sockets from the run directory; the nodes bind them again after a while.
    RemoveSockets(Duration),
    /// There is no space left for a while.
    Fill(Duration),
    /// The file thread of a process hangs for a while, at the call that it makes then or next.
    HangFiles(Target, Duration),
    /// The file system answers nobody for a while.
    HangDisk(Duration),
    /// A process dies of itself, as of a fault in its program.
    Crash(Target),
    /// The supervisor's hints do not get through for a while; then the latest state does.
    LoseHints(Duration),
}

/// How an editor saves a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saving {
    /// It truncates the file and writes it again.
    InPlace,
    /// It writes a new file and renames that over the old one.
    RenamedOver,
}

/// Pause between the parts of a file, as the standard kind has it.
const WRITER_PAUSE: Duration = Duration::from_millis(120);

/// Whom it hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// This one.
    Node(NodeId),
    /// Who acts as coordinator, else this one.
    Coordinator(NodeId),
}

impl Scenario {
    /// What a seed decides.
    pub fn new(seed: u64) -> Scenario {
        if Scenario::is_wild(seed) {
            Scenario::wild(seed)
        } else {
            Scenario::standard(seed)
        }
    }

    /// Whether a seed is of the wild kind.
    pub fn is_wild(seed: u64) -> bool {
        seed % 16 >= 8
    }

    fn standard(seed: u64) -> Scenario {
        let mut chance = Chance::new(seed);
        let surroundings = Surroundings {
            memory_kills: seed % 8 == 7,
            ..surroundings(&mut chance)
        };
        let config = config(&mut chance, &surroundings);
        let nodes = config.nodes;
        let pace = chance.pick(&[
            Span::us(100, 5_000),
            Span::us(100, 50_000),
            Span::us(1_000, 300_000),
            Span::us(20_000, 1_000_000),
        ]);
        let faults = 3 + chance.below(14);
        let kinds = Kinds::draw(&mut chance);
        let mut jobs = Vec::new();
        let mut deeds = Vec::new();
        // Most clusters have found themselves before the first job comes.
        let mut at = Time(0) + Duration::from_millis(chance.pick(&[0, 100, 1_500]));
        for fault in 0..faults {
            if fault == 0 || chance.percent(25) && jobs.len() < 6 {
                let number = jobs.len();
                jobs.push(job(&mut chance, number));
                deeds.push((at, drop_deed(&mut chance, number)));
            }
            at = at + chance.duration(pace);
            deeds.push((at, kinds.deed(&mut chance, nodes)));
        }
        let stops_early = chance.percent(5);
        let seed = chance.fork();
        let small_text = chance.pick(&[0, 100, 10_000]);
        let is_tight = chance.percent(40);
        let faults = faults
            + add_slow_files(&mut chance, nodes, &mut deeds)
            + add_unrest(&mut chance, nodes, &mut deeds);
        let mut scenario = Scenario {
            config: Config {
                small_text,
                // The largest job fits, with what it may have at first, and often no other beside it.
                max_digits: match is_tight {
                    true => jobs
                        .iter()
                        .map(digits)
                        .max()
                        .max(Some(most_digits(5)))
                        .unwrap_or_default(),
                    false => u64::MAX,
                },
                ..config
            },
            calm: surroundings.clone(),
            surroundings,
            lag: Duration::ZERO,
            writer_pause: WRITER_PAUSE,
            jobs,
            deeds,
            faults,
            stops_early,
            seed,
        };
        // Drawn last, so that all else that a seed decides is as it was before there was such a fault.
        if chance.percent(10) {
            scenario.remove_sockets(&mut chance);
        }
        scenario
    }

    /// Just before something else goes wrong: links that stand do not need them.
    fn remove_sockets(&mut self, chance: &mut Chance) {
        let place = chance.below(self.deeds.len());
        let (at, _) = self.deeds[place];
        let length = chance.duration(Span::us(1_000, 1_500_000));
        self.deeds.insert(place, (at, Deed::RemoveSockets(length)));
        self.faults += 1;
    }
}

impl Scenario {
    /// Whether nothing goes wrong but that processes die, one at a time, on links that are prompt:
    /// nobody has reason to give up a peer that lives.
    pub fn only_deaths(&self) -> bool {
        let prompt = self.surroundings.latency.to_us <= 20_000
            && self.surroundings.scheduling.to_us <= 5_000
            && self.config.operation_deadline >= Duration::from_secs(5);
        let harmless =
            |deed: &Deed| matches!(deed, Deed::Drop(_) | Deed::Write(..) | Deed::Kill(..));
        prompt && self.deeds.iter().all(|(_, deed)| harmless(deed))
    }

    /// Its jobs ask for small factorials only.
    pub(crate) fn shrink_jobs(&mut self) {
        for job in &mut self.jobs {
            let lines = std::str::from_utf8(&job.content)
                .unwrap_or_default()
                .lines();
            let shrunk = lines.map(|line| match line.trim_end_matches('!').parse::<u64>() {
                Ok(n) => format!("{}!\n", n % SMALL_N),
                Err(_) => format!("{line}\n"),
            });
            job.content = shrunk.collect::<String>().into();
        }
    }

    /// The factorials that are asked for once, by one job.
    pub fn asked_once(&self) -> BTreeSet<u32> {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for job in &self.jobs {
            for n in Job::numbers(&job.content).unwrap_or_default() {
                *counts.entry(n).or_default() += 1;
            }
        }
        let once = counts.into_iter().filter(|&(_, count)| count == 1);
        once.map(|(n, _)| n).collect()
    }
}

fn surroundings(chance: &mut Chance) -> Surroundings {
    Surroundings {
        latency: chance.pick(&[
            Span::us(5, 100),
            Span::us(5, 2_000),
            Span::us(5, 20_000),
            Span::us(1, 50_000),
        ]),
        scheduling: chance.pick(&[Span::us(1, 20), Span::us(1, 500), Span::us(1, 5_000)]),
        computing: chance.pick(&[Span::us(2, 50), Span::us(5, 1_000), Span::us(50, 10_000)]),
        file_call: chance.pick(&[Span::us(10, 300), Span::us(10, 3_000), Span::us(20, 40_000)]),
        start_up: Span::us(500, 20_000),
        supervision: chance.pick(&[Span::us(20, 500), Span::us(20, 10_000)]),
        hints: chance.percent(65),
        socket_room: chance.pick(&[256, 4 << 10, 208 << 10]),
        sizes: sizes(chance),
        mount: Mount {
            renames_in_one_step: chance.percent(80),
            leases: chance.percent(80),
            events: chance.percent(85),
        },
        memory_kills: false,
        restarts_at_once: false,
    }
}

/// The jobs are small here: by the sizes of production no message would travel in pieces, nor any peer have too
/// much to take.
fn sizes(chance: &mut Chance) -> Sizes {
    let default = Sizes::default();
    if chance.percent(25) {
        return default;
    }
    Sizes {
        pieces: Pieces {
            from: chance.pick(&[200, 1 << 10, LONG]),
            most: chance.pick(&[100, 1 << 10, MAX_FRAME]),
        },
        read: chance.pick(&[100, 1 << 10, default.read]),
        write: chance.pick(&[200, 2 << 10, default.write]),
        staged: chance.pick(&[100, 1 << 10, default.staged]),
        unsent: chance.pick(&[0, 2 << 10, 16 << 10, default.unsent]),
        backlog: chance.pick(&[32 << 10, default.backlog]),
    }
}

fn config(chance: &mut Chance, surroundings: &Surroundings) -> Config {
    let nodes = u8::try_from(chance.between(3, 9)).unwrap_or(3);
    let slow = surroundings.latency.to_us > 10_000;
    let (heartbeat, suspect_after) = if slow {
        (50, 500)
    } else {
        chance.pick(&[(50, 500), (50, 500), (50, 200), (100, 1_000)])
    };
    let delay = if chance.percent(10) { 2 } else { 0 };
    Config {
        nodes: if chance.percent(4) { 2 } else { nodes },
        delay: Duration::from_millis(delay),
        heartbeat: Duration::from_millis(heartbeat),
        suspect_after: Duration::from_millis(suspect_after),
        operation_deadline: chance.pick(&[
            Duration::from_secs(60),
            Duration::from_secs(5),
            Duration::from_millis(suspect_after),
        ]),
        attempts: chance.pick(&[10, 10, 1_000]),
        window: chance.pick(&[256, 16, 4, 1]),
        shape: Shape {
            least_blocks: chance.pick(&[u32::MAX, 16, 4, 1]),
            method: chance.pick(&[Method::Powers, Method::Powers, Method::Tree, Method::Auto]),
            cut_from: chance.pick(&[u64::MAX, 30, 0]),
        },
        no_echo_bytes: chance.pick(&[0, 20, 16 << 10]),
        preemption: chance.pick(&[
            Preemption::Graceful,
            Preemption::Graceful,
            Preemption::Graceful,
            Preemption::Immediate,
            Preemption::Never,
        ]),
        trace_operations: true,
        ..Config::default()
    }
}

/// The most digits of a job's results, each counted once.
fn digits(job: &Job) -> u64 {
    let numbers = Job::numbers(&job.content).unwrap_or_default();
    let distinct: BTreeSet<u32> = numbers.into_iter().collect();
    distinct.into_iter().map(most_digits).sum()
}

fn job(chance: &mut Chance, number: usize) -> Job {
    let file = if chance.percent(40) {
        "dup.job".to_owned()
    } else {
        format!("job{number}.job")
    };
    // No two jobs are the same to the byte, though they may ask for the same.
    let mut content = format!("# {number}\n");
    if chance.percent(10) {
        content += "abc\n";
    } else {
        let few = chance.percent(30);
        for _ in 0..chance.between(1, 3) {
            let n = if few {
                chance.pick(&[0, 1, 5, 40])
            } else {
                chance.between(0, MAX_N)
            };
            content += &format!("{n}!\n");
        }
    }
    Job {
        file,
        content: Bytes::from(content),
    }
}

fn drop_deed(chance: &mut Chance, number: usize) -> Deed {
    if chance.percent(15) {
        let pause = chance.pick(&[
            Span::us(1, 100),
            Span::us(50, 5_000),
            Span::us(1_000, 700_000),
        ]);
        Deed::Save(number, chance.duration(pause))
    } else if chance.percent(20) {
        Deed::Write(number, 1 + chance.below(3))
    } else {
        Deed::Drop(number)
    }
}

/// Drawn after all else, so that what a seed meant before stays in it. Returns how many were added.
fn add_slow_files(chance: &mut Chance, nodes: u8, deeds: &mut Vec<(Time, Deed)>) -> usize {
    if !chance.percent(20) {
        return 0;
    }
    let count = 1 + chance.below(3);
    for _ in 0..count {
        let (at, _) = deeds[chance.below(deeds.len())];
        let at = at + chance.duration(Span::us(0, 2_000_000));
        let lasts = chance.duration(Span::us(100_000, 9_000_000));
        let deed = if chance.percent(60) {
            Deed::HangFiles(target(chance, nodes), lasts)
        } else {
            Deed::HangDisk(lasts)
        };
        deeds.push((at, deed));
    }
    count
}

/// A coordinator that stands still or crashes again and again.
fn add_unrest(chance: &mut Chance, nodes: u8, deeds: &mut Vec<(Time, Deed)>) -> usize {
    if !chance.percent(10) {
        return 0;
    }
    let (mut at, _) = deeds[chance.below(deeds.len())];
    let count = 3 + chance.below(4);
    let highest = Target::Coordinator(NodeId(nodes - 1));
    let crashes = chance.percent(50);
    for _ in 0..count {
        let lasts = chance.duration(Span::us(700_000, 1_500_000));
        let deed = match crashes {
            true => Deed::Crash(highest),
            false => Deed::Stall(highest, lasts),
        };
        deeds.push((at, deed));
        at = at + lasts + chance.duration(Span::us(200_000, 3_000_000));
    }
    count
}

/// How often each kind of fault is drawn in this run.
struct Kinds([usize; KINDS]);

/// Number of kinds of faults.
const KINDS: usize = 12;

impl Kinds {
    fn draw(chance: &mut Chance) -> Kinds {
        if chance.percent(25) {
            let mut deaths = [0; KINDS];
            deaths[0] = 1;
            return Kinds(deaths);
        }
        let mut weights = [0; KINDS];
        for (index, weight) in weights.iter_mut().enumerate() {
            *weight = chance.below(match index {
                0..4 => 5,
                // What needs several things to go wrong at once is drawn more often for it.
                7 | 8 => 3,
                _ => 2,
            });
        }
        weights[0] += 1;
        Kinds(weights)
    }

    fn deed(&self, chance: &mut Chance, nodes: u8) -> Deed {
        let total = self.0.iter().sum();
        let mut drawn = chance.below(total);
        let mut kind = 0;
        while drawn >= self.0[kind] {
            drawn -= self.0[kind];
            kind += 1;
        }
        let one = target(chance, nodes);
        let other = target(chance, nodes);
        let after = if chance.percent(60) {
            1 + chance.below(40)
        } else {
            0
        };
        match kind {
            0 => Deed::Kill(one, after),
            1 => Deed::Stop(one, after, length(chance)),
            2 => Deed::Cut(one, other),
            3 => Deed::Stall(one, hang(chance)),
            4 => Deed::Freeze(one, other, chance.duration(Span::us(500, 1_500_000))),
            5 => Deed::StallAll(chance.duration(Span::us(500, 1_500_000))),
            6 => Deed::Fill(chance.duration(Span::us(500, 1_500_000))),
            7 => Deed::StopAtCommit(one, chance.duration(Span::us(100_000, 3_000_000))),
            8 => Deed::Outlive(
                one,
                chance.duration(Span::us(500, 100_000)),
                chance.duration(Span::us(20_000, 2_000_000)),
            ),
            9 => Deed::Collect(chance.percent(50)),
            10 => Deed::LosePower,
            _ if chance.percent(30) => Deed::KillAll,
            _ => Deed::Kill(one, after),
        }
    }
}

fn target(chance: &mut Chance, nodes: u8) -> Target {
    let node = NodeId(u8::try_from(chance.below(usize::from(nodes))).unwrap_or(0));
    if chance.percent(40) {
        Target::Coordinator(node)
    } else {
        Target::Node(node)
    }
}

/// How long a process gets no processor time: now and then until the supervisor kills it.
fn hang(chance: &mut Chance) -> Duration {
    if chance.percent(2) {
        Duration::from_secs(12)
    } else {
        chance.duration(Span::us(500, 1_500_000))
    }
}

/// How long a process stays stopped: now and then a minute.
fn length(chance: &mut Chance) -> Duration {
    if chance.percent(2) {
        Duration::from_secs(60)
    } else {
        chance.duration(Span::us(500, 2_000_000))
    }
}
