//! The wild kind of seeds: storms of faults with microseconds between them, pauses between nothing and
//! twenty seconds, latencies beyond what suspicion waits for, hints that come late or not at all, and
//! people who save their files again. The jobs are short, so that a seed is cheap.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use protocol::config::{Config, Preemption};
use protocol::plan::most_digits;
use protocol::time::Time;

use super::{Deed, Kinds, Saving, Scenario, config, digits, surroundings, target};
use crate::chance::{Chance, Span};
use crate::cluster::Surroundings;
use crate::job::Job;

/// Largest factorial of a job.
const MAX_N: u64 = 80;
/// Most jobs that are dropped, beside those that are saved again.
const MOST_JOBS: usize = 5;

impl Scenario {
    /// What a wild seed decides.
    pub(super) fn wild(seed: u64) -> Scenario {
        let mut chance = Chance::new(seed);
        let calm = Surroundings {
            memory_kills: seed % 8 == 7,
            ..surroundings(&mut chance)
        };
        let config = wild_config(&mut chance, &calm);
        let surroundings = wild_surroundings(&mut chance, &calm, config.suspect_after);
        let faults = 20 + chance.below(61);
        let mut jobs = Vec::new();
        let mut deeds = storm(&mut chance, &config, faults, &mut jobs);
        let saves = add_saves(&mut chance, &mut deeds);
        let is_tight = chance.percent(40);
        let largest = jobs.iter().map(digits).max();
        Scenario {
            config: Config {
                small_text: chance.pick(&[0, 100, 10_000]),
                max_digits: match is_tight {
                    true => largest.max(Some(most_digits(5))).unwrap_or_default(),
                    false => u64::MAX,
                },
                ..config
            },
            lag: Duration::from_micros(surroundings.supervision.to_us + surroundings.latency.to_us),
            surroundings,
            calm,
            // Shorter than the time for which a file must hold still where no lease tells.
            writer_pause: chance.duration(Span::us(1, 400_000)),
            jobs,
            deeds,
            faults: faults + saves,
            stops_early: chance.percent(5),
            seed: chance.fork(),
        }
    }
}

fn wild_config(chance: &mut Chance, calm: &Surroundings) -> Config {
    let standard = config(chance, calm);
    Config {
        nodes: u8::try_from(chance.between(2, 9)).unwrap_or(2),
        operation_deadline: if chance.percent(60) {
            standard.suspect_after
        } else {
            standard.operation_deadline
        },
        attempts: chance.pick(&[1, 2, 10, 10, 1_000]),
        preemption: chance.pick(&[
            Preemption::Graceful,
            Preemption::Immediate,
            Preemption::Never,
        ]),
        ..standard
    }
}

fn wild_surroundings(
    chance: &mut Chance,
    calm: &Surroundings,
    suspect_after: Duration,
) -> Surroundings {
    let suspicion = u64::try_from(suspect_after.as_micros()).unwrap_or(500_000);
    Surroundings {
        latency: chance.pick(&[
            calm.latency,
            calm.latency,
            Span::us(1_000, suspicion),
            Span::us(suspicion / 4, suspicion * 3 / 2),
        ]),
        file_call: chance.pick(&[calm.file_call, calm.file_call, Span::us(20, 1_000_000)]),
        supervision: chance.pick(&[
            calm.supervision,
            Span::us(20, 100_000),
            Span::us(1_000, 3_000_000),
        ]),
        restarts_at_once: chance.percent(50),
        ..calm.clone()
    }
}

/// So many faults, with jobs between them.
fn storm(
    chance: &mut Chance,
    config: &Config,
    faults: usize,
    jobs: &mut Vec<Job>,
) -> Vec<(Time, Deed)> {
    let pace = chance.pick(&[
        Span::us(1, 20),
        Span::us(1, 1_000),
        Span::us(1, 20_000),
        Span::us(1, 1_000_000),
    ]);
    let pause = chance.pick(&[
        Span::us(10, 1_000),
        Span::us(10, 200_000),
        Span::us(10, 2_000_000),
        Span::us(10, 20_000_000),
    ]);
    let gap = chance.pick(&[Span::us(1_000, 50_000), Span::us(10_000, 1_000_000)]);
    let kinds = Kinds::draw(chance);
    let mut deeds = Vec::new();
    let mut at = Time(0) + Duration::from_millis(chance.pick(&[0, 100, 1_500, 1_500]));
    for fault in 0..faults {
        if fault == 0 || chance.percent(8) && jobs.len() < MOST_JOBS {
            let number = jobs.len();
            jobs.push(job(chance, number));
            let parts = 1 + chance.below(3);
            let deed = match chance.percent(30) {
                true => Deed::Write(number, parts),
                false => Deed::Drop(number),
            };
            deeds.push((at, deed));
        }
        at = at + chance.duration(pace);
        let deed = match chance.percent(4) {
            true => Deed::LoseHints(Duration::ZERO),
            false => kinds.deed(chance, config.nodes),
        };
        deeds.push((at, lasting(deed, chance, pause)));
        // A storm of microseconds comes in gusts: else it would end before anybody can answer it.
        if chance.percent(15) {
            at = at + chance.duration(gap);
        }
    }
    if chance.percent(15) {
        let lasts = chance.duration(Span::us(100_000, 9_000_000));
        deeds.push((at, Deed::HangFiles(target(chance, config.nodes), lasts)));
    }
    deeds
}

/// The same, for another time.
fn lasting(mut deed: Deed, chance: &mut Chance, pause: Span) -> Deed {
    match &mut deed {
        Deed::Stop(_, _, lasts)
        | Deed::StopAtCommit(_, lasts)
        | Deed::Outlive(_, _, lasts)
        | Deed::Stall(_, lasts)
        | Deed::StallAll(lasts)
        | Deed::Freeze(_, _, lasts)
        | Deed::Fill(lasts)
        | Deed::LoseHints(lasts) => *lasts = chance.duration(pause),
        _ => {}
    }
    deed
}

fn job(chance: &mut Chance, number: usize) -> Job {
    let file = if chance.percent(40) {
        "dup.job".to_owned()
    } else {
        format!("job{number}.job")
    };
    let mut content = format!("# {number}\n");
    if chance.percent(5) {
        content += "abc\n";
    }
    for _ in 0..chance.between(1, 2) {
        content += &format!("{}!\n", chance.between(0, MAX_N));
    }
    Job {
        file,
        content: Bytes::from(content),
    }
}

/// People who save their files again, soon after they dropped them. Returns how often.
fn add_saves(chance: &mut Chance, deeds: &mut Vec<(Time, Deed)>) -> usize {
    if !chance.percent(50) {
        return 0;
    }
    let soon = chance.pick(&[
        Span::us(1, 500),
        Span::us(50, 20_000),
        Span::us(1_000, 1_500_000),
    ]);
    let dropped = deeds.iter().filter_map(|(at, deed)| match deed {
        Deed::Drop(job) | Deed::Write(job, _) => Some((*at, *job)),
        _ => None,
    });
    let dropped: BTreeSet<(Time, usize)> = dropped.collect();
    let before = deeds.len();
    for (mut at, job) in dropped {
        for _ in 0..chance.below(4) {
            at = at + chance.duration(soon);
            let saving = chance.pick(&[Saving::InPlace, Saving::RenamedOver]);
            deeds.push((at, Deed::SaveAgain(job, saving)));
        }
    }
    deeds.len() - before
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The wild seeds of a batch.
    fn drawn() -> Vec<Scenario> {
        let seeds = (0..4_000).filter(|&seed| Scenario::is_wild(seed));
        seeds.map(Scenario::new).collect()
    }

    /// Asserts that a range is kept, and that some come close to either end of it.
    fn spans<T: PartialOrd + Copy + std::fmt::Debug>(
        found: &[T],
        [least, low, high, most]: [T; 4],
    ) {
        assert!(found.iter().all(|&one| one >= least && one <= most));
        assert!(found.iter().any(|&one| one <= low), "none up to {low:?}");
        assert!(found.iter().any(|&one| one >= high), "none from {high:?}");
    }

    #[test]
    fn half_of_all_seeds_are_wild() {
        assert_eq!(drawn().len(), 2_000);
    }

    #[test]
    fn the_cluster_and_its_surroundings_go_to_their_extremes() {
        let all = drawn();
        let of = |get: fn(&Scenario) -> u64| all.iter().map(get).collect::<Vec<u64>>();
        spans(&of(|one| one.config.nodes.into()), [2, 2, 9, 9]);
        spans(&of(|one| one.config.attempts.into()), [1, 1, 1_000, 1_000]);
        spans(
            &of(|one| one.surroundings.file_call.to_us),
            [1, 1_000, 1_000_000, 1_000_000],
        );
        spans(
            &of(|one| one.surroundings.supervision.to_us),
            [1, 1_000, 3_000_000, 3_000_000],
        );
        let suspicion = |one: &Scenario| one.config.suspect_after.as_micros();
        let latency = |one: &Scenario| u128::from(one.surroundings.latency.to_us);
        assert!(all.iter().any(|one| latency(one) == suspicion(one)));
        assert!(all.iter().any(|one| latency(one) > suspicion(one)));
        let is_short = |one: &&Scenario| one.config.operation_deadline == one.config.suspect_after;
        assert!(all.iter().filter(is_short).count() * 2 >= all.len());
        for kind in [
            Preemption::Graceful,
            Preemption::Immediate,
            Preemption::Never,
        ] {
            let of_kind = all.iter().filter(|one| one.config.preemption == kind);
            assert!(of_kind.count() * 4 >= all.len());
        }
        assert!(all.iter().any(|one| one.surroundings.restarts_at_once));
        assert!(all.iter().all(|one| one.config.validate() == Ok(())));
    }

    #[test]
    fn storms_have_microseconds_between_faults_and_pauses_of_any_length() {
        let all = drawn();
        let faults: Vec<usize> = all
            .iter()
            .map(|one| one.deeds.iter().filter(|(_, deed)| is_fault(deed)).count())
            .collect();
        spans(&faults, [20, 21, 80, 81]);
        let close = |one: &Scenario| {
            let close = one.deeds.windows(2);
            let close = close.filter(|two| two[1].0.since(two[0].0) <= Duration::from_micros(20));
            close.count() >= 20
        };
        assert!(all.iter().any(close));
        let stops = all.iter().flat_map(|one| &one.deeds);
        let stops = stops.filter_map(|(_, deed)| match deed {
            Deed::Stop(_, _, lasts) => Some(*lasts),
            _ => None,
        });
        let (us, s) = (Duration::from_micros, Duration::from_secs);
        spans(
            &stops.collect::<Vec<Duration>>(),
            [us(10), us(20), s(15), us(20_000_001)],
        );
        for wanted in [Saving::InPlace, Saving::RenamedOver] {
            let is_it =
                |deed: &Deed| matches!(deed, Deed::SaveAgain(_, saving) if *saving == wanted);
            let mut deeds = all.iter().flat_map(|one| &one.deeds);
            assert!(deeds.any(|(_, deed)| is_it(deed)));
        }
    }

    fn is_fault(deed: &Deed) -> bool {
        !matches!(deed, Deed::Drop(_) | Deed::Write(..) | Deed::SaveAgain(..))
    }
}
