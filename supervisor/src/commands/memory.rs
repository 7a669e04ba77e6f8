//! How large a factorial, and how many digits in one job, the memory of this machine, or of this
//! container, allows.
//!
//! Measured with 6 nodes, as the most that the kernel charged to their control group: 7 MB for 10!,
//! 216 MB for 1000000! (5.6 million digits), 430 MB for 2000000! (12 million), 566 MB for 3000000!
//! (18 million), 1552 MB for 10000000! (66 million), and 322 MB for 1000000! and 1000001! in one job.
//! [`needed`] lies over these by some two thirds, and more: nodes that are started again, other jobs at the
//! same time, and the page cache want their share. With that, six jobs at once, each of the largest N
//! that 256, 512 or 1024 MiB allow, end without a kill for want of memory.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

use protocol::config::{Config, MAX_MAX_N};
use protocol::plan::most_digits;
use supervisor::control_groups;

use crate::commands::failure::Fatal;

/// Largest N where memory allows it and nothing else was asked for.
const DEFAULT_MAX_N: u32 = 10_000_000;
/// A node that has nothing to do, in bytes.
const IDLE_NODE: u64 = 10 << 20;
/// Bytes of each node for each digit of a result: the products, two digits a byte, what is on its way to or
/// from others, and what it keeps for the next numbers.
const EACH_NODE: u64 = 3;
/// Bytes more for each digit, at the two nodes together that compute the parts of the last step.
const COMPUTING: u64 = 6;
/// Most digits of one job, whatever the memory, so that all its results, two digits a byte, are far from the
/// 1 GiB that a link keeps for a peer (`ipc`: `link.rs`): one that joins is sent all that is held at once.
const MOST_DIGITS: u64 = 700_000_000;

/// A limit that is too high for the memory. Displays as one sentence with the numbers.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MemoryError {
    /// The largest N that was asked for does not fit.
    #[error(
        "--max-n {max_n} would need about {} for {nodes} nodes, and {memory}; give --max-n at most {fits}, fewer \
         --nodes, or more memory",
        mib(*needed)
    )]
    MaxN {
        /// What was asked for.
        max_n: u32,
        /// The number of nodes.
        nodes: u8,
        /// What that takes, in bytes.
        needed: u64,
        /// What there is.
        memory: Memory,
        /// The largest N that fits.
        fits: u32,
    },
    /// The factorials of `compute` do not fit.
    #[error(
        "these factorials would need about {} for {nodes} nodes, and {memory}; ask for smaller or fewer ones, \
         or give fewer --nodes or more memory",
        mib(*needed)
    )]
    Operands {
        /// The number of nodes.
        nodes: u8,
        /// What they take, in bytes.
        needed: u64,
        /// What there is.
        memory: Memory,
    },
}

/// The memory that the cluster may use. Displays as the middle of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    bytes: u64,
    limited_by: Limit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Cgroup,
    Machine,
}

/// Sets the limits of a service: the largest N, which is `asked` if it fits, or without it the
/// default, or with a warning what fits; and the digits of one job.
///
/// # Errors
///
/// What was asked for does not fit.
pub(crate) fn limit(config: &mut Config, asked: Option<u32>) -> Result<(), MemoryError> {
    let memory = Memory::find(Path::new("/"));
    config.max_n = default_max_n(asked);
    if let Some(memory) = &memory {
        let (max_n, warning) = choose(asked, config.nodes, memory)?;
        if let Some(sentence) = warning {
            tracing::warn!("{sentence}");
        }
        config.max_n = max_n;
    }
    let bytes = memory.map_or(u64::MAX, |memory| memory.bytes);
    config.max_digits = max_digits(config.nodes, bytes).max(most_digits(config.max_n));
    Ok(())
}

/// Checks that factorials fit together, as those of one job are kept until all are done.
///
/// # Errors
///
/// They do not fit.
pub(crate) fn check(numbers: &[u32], nodes: u8) -> Result<(), MemoryError> {
    let distinct: BTreeSet<u32> = numbers.iter().copied().collect();
    let needed = needed(nodes, distinct.into_iter().map(most_digits).sum());
    match Memory::find(Path::new("/")) {
        Some(memory) if needed > memory.bytes => Err(MemoryError::Operands {
            nodes,
            needed,
            memory,
        }),
        _ => Ok(()),
    }
}

/// The largest N without regard to memory.
pub(crate) fn default_max_n(asked: Option<u32>) -> u32 {
    asked.unwrap_or(DEFAULT_MAX_N)
}

fn choose(
    asked: Option<u32>,
    nodes: u8,
    memory: &Memory,
) -> Result<(u32, Option<String>), MemoryError> {
    let max_n = default_max_n(asked);
    let needed = needed(nodes, most_digits(max_n));
    if needed <= memory.bytes {
        return Ok((max_n, None));
    }
    let fits = largest(nodes, memory.bytes);
    if asked.is_some() {
        return Err(MemoryError::MaxN {
            max_n,
            nodes,
            needed,
            memory: memory.clone(),
            fits,
        });
    }
    let warning = format!(
        "the largest N is {fits}, not {DEFAULT_MAX_N}, which would need about {} for {nodes} nodes: {memory}; \
         larger ones are rejected",
        mib(needed)
    );
    Ok((fits, Some(warning)))
}

impl Fatal for MemoryError {}

/// Bytes that a cluster needs to compute results of `digits` digits and keep them.
fn needed(nodes: u8, digits: u64) -> u64 {
    let nodes = u64::from(nodes);
    nodes * (IDLE_NODE + EACH_NODE * digits) + COMPUTING * digits
}

/// The largest N that fits into `bytes`; 0 if the nodes alone do not.
fn largest(nodes: u8, bytes: u64) -> u32 {
    let fits = |n: u64| u32::try_from(n).is_ok_and(|n| needed(nodes, most_digits(n)) <= bytes);
    u32::try_from(last_that(MAX_MAX_N.into(), fits)).unwrap_or(MAX_MAX_N)
}

/// The most digits that fit into `bytes` together.
fn max_digits(nodes: u8, bytes: u64) -> u64 {
    last_that(MOST_DIGITS, |digits| needed(nodes, digits) <= bytes)
}

/// The last number up to `limit` that fits, where all below it do; 0 if none does.
fn last_that(limit: u64, fits: impl Fn(u64) -> bool) -> u64 {
    let (mut last, mut too_large) = (0, limit + 1);
    while too_large - last > 1 {
        let middle = last + (too_large - last) / 2;
        if fits(middle) {
            last = middle;
        } else {
            too_large = middle;
        }
    }
    last
}

impl Memory {
    /// The least of the machine's memory and the limits of this process's control groups and
    /// their ancestors, versions 1 and 2. `root` is `/`, or in a test a likeness of it.
    fn find(root: &Path) -> Option<Memory> {
        let machine = fs::read_to_string(root.join("proc/meminfo"))
            .ok()
            .and_then(|text| {
                let line = text
                    .lines()
                    .find_map(|line| line.strip_prefix("MemTotal:"))?;
                let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
                Some((kilobytes * 1_024, Limit::Machine))
            });
        let groups = control_groups::memory_limits(root).into_iter();
        let all = groups.map(|bytes| (bytes, Limit::Cgroup)).chain(machine);
        let (bytes, limited_by) = all.min_by_key(|(bytes, _)| *bytes)?;
        Some(Memory { bytes, limited_by })
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = mib(self.bytes);
        match self.limited_by {
            Limit::Cgroup => write!(f, "the control group (container) allows {amount}"),
            Limit::Machine => write!(f, "the machine has {amount}"),
        }
    }
}

/// An amount as a person reads it, in whole MiB.
fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

#[cfg(test)]
mod tests;
