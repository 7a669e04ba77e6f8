//! What the nodes' processes use.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use laboratory::processes::{self, Usage};
use nix::unistd::Pid;
use supervisor::control::NodeStatus;

/// The kernel counts processor time in hundredths of a second, so a share needs a while.
const SPAN: Duration = Duration::from_secs(1);

/// What a process uses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Load {
    /// Processor time in hundredths of one core's, over the last second; none in the first.
    pub(super) cpu_percent: Option<f64>,
    /// Memory in use.
    pub(super) resident_bytes: u64,
}

/// Watches processes.
#[derive(Debug, Default)]
pub(super) struct Meter {
    known: BTreeMap<i32, Known>,
}

#[derive(Debug)]
struct Known {
    at: Instant,
    usage: Usage,
    cpu_percent: Option<f64>,
}

impl Meter {
    /// The load of each process, by pid. What is gone is forgotten.
    pub(super) fn read(&mut self, nodes: &[NodeStatus], now: Instant) -> BTreeMap<i32, Load> {
        let pids: Vec<i32> = nodes.iter().filter_map(|node| node.pid).collect();
        self.known.retain(|pid, _| pids.contains(pid));
        let load = |pid: i32| {
            let usage = processes::usage(Pid::from_raw(pid))?;
            Some((pid, self.take(pid, usage, now)))
        };
        pids.into_iter().filter_map(load).collect()
    }

    fn take(&mut self, pid: i32, usage: Usage, now: Instant) -> Load {
        let known = self.known.entry(pid).or_insert(Known {
            at: now,
            usage,
            cpu_percent: None,
        });
        let span = now.saturating_duration_since(known.at);
        if span >= SPAN {
            let used = usage.cpu.saturating_sub(known.usage.cpu);
            let percent = used.as_secs_f64() / span.as_secs_f64() * 100.0;
            *known = Known {
                at: now,
                usage,
                cpu_percent: Some(percent),
            };
        }
        Load {
            cpu_percent: known.cpu_percent,
            resident_bytes: usage.resident_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_known_after_a_second() {
        let mut meter = Meter::default();
        let begin = Instant::now();
        let usage = |ms| Usage {
            cpu: Duration::from_millis(ms),
            resident_bytes: 7,
        };
        let mut after = |ms, used| meter.take(1, usage(used), begin + Duration::from_millis(ms));
        assert_eq!(after(0, 50).cpu_percent, None);
        assert_eq!(after(500, 60).cpu_percent, None);
        assert_eq!(after(2_000, 1_050).cpu_percent, Some(50.0));
        assert_eq!(after(2_500, 1_550).cpu_percent, Some(50.0));
        assert_eq!(after(3_000, 1_550).cpu_percent, Some(50.0));
        assert_eq!(after(4_000, 1_550).cpu_percent, Some(0.0));
    }
}
