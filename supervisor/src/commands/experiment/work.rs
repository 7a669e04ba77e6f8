//! The work of an experiment: job files, so that there is always some.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use laboratory::job_files;
use laboratory::verdict::Dropped;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::commands::operands;
use crate::commands::submit::SubmitError;
use crate::commands::submit::drop_file::drop_file;
use crate::commands::submit::folder::JobsFolder;

/// How many large factorials are open at once.
const LARGE: usize = 2;
const LARGE_NAME: &str = "large";
const SMALL_NAME: &str = "small";
/// A small job comes about so often, while no more than these are open: a busy disk may take long.
const SMALL: usize = 10;
const SMALL_EVERY: Duration = Duration::from_millis(500);
/// What small jobs ask for: those with a case of their own, and some of one or a few operations.
const SMALL_ONES: [u32; 10] = [0, 1, 2, 3, 4, 5, 10, 20, 52, 100];

/// Drops jobs while it is asked to.
#[derive(Debug)]
pub(super) struct Work {
    jobs: PathBuf,
    n: u32,
    rng: StdRng,
    /// The jobs that were dropped.
    dropped: Vec<Dropped>,
    small_at: Instant,
}

impl Work {
    /// Work for a jobs directory, up to n!.
    pub(super) fn new(jobs: &Path, n: u32, seed: u64) -> Work {
        Work {
            jobs: jobs.to_owned(),
            n,
            // Not the sequence of the faults: how many jobs there are is not up to chance alone.
            rng: StdRng::seed_from_u64(!seed),
            dropped: Vec::new(),
            small_at: Instant::now(),
        }
    }

    /// Drops what is lacking.
    ///
    /// # Errors
    ///
    /// The directory does not take it.
    pub(super) fn top_up(&mut self) -> Result<(), SubmitError> {
        for _ in self.open(LARGE_NAME)..LARGE {
            let n = self.rng.random_range(self.n / 2..=self.n);
            self.drop_job(LARGE_NAME, &[n])?;
        }
        if Instant::now() >= self.small_at && self.open(SMALL_NAME) < SMALL {
            self.small_at = Instant::now() + SMALL_EVERY;
            let count = self.rng.random_range(1..=5);
            let choose = |_| SMALL_ONES[self.rng.random_range(0..SMALL_ONES.len())].min(self.n);
            let numbers: Vec<u32> = (0..count).map(choose).collect();
            self.drop_job(SMALL_NAME, &numbers)?;
        }
        Ok(())
    }

    /// The jobs that were dropped.
    pub(super) fn dropped(&self) -> &[Dropped] {
        &self.dropped
    }

    /// How many jobs of a kind have not ended.
    fn open(&self, kind: &str) -> usize {
        let running = job_files::names(&self.jobs.join("running"));
        let open = job_files::dropped(&self.jobs).into_iter().chain(running);
        open.filter(|name| {
            name.strip_suffix(".job")
                .is_some_and(|name| name.ends_with(kind))
        })
        .count()
    }

    fn drop_job(&mut self, kind: &str, numbers: &[u32]) -> Result<(), SubmitError> {
        // A coordinator that takes over opens the jobs in the order of their names: so that none has
        // to wait for all that come after it, that is the order in which they were dropped.
        let name = format!("{:06}-{kind}", self.dropped.len() + 1);
        let jobs =
            JobsFolder::open(&self.jobs).map_err(|error| SubmitError::drop(&self.jobs, error))?;
        let dropped = drop_file(&jobs, &name, &operands::job_text(numbers))?;
        self.dropped.push(Dropped::new(dropped.name, dropped.text));
        Ok(())
    }
}
