//! `bullpen metrics`: what the cluster did and does, for Prometheus.
//!
//! ```text
//!   control socket ── status ──▶ gauges ───┐
//!   events.jsonl ───── tail ───▶ counters ─┴─▶ text, once or at each scrape
//! ```
//!
//! A client like `status`: nothing of it runs in the supervisor or in a node.

mod families;
mod serve;
mod takeover;

use std::path::{Path, PathBuf};

use laboratory::tail::{Found, Tail};
use supervisor::control::ClusterStatus;
use supervisor::run_dir;
use supervisor::signals::Signals;

use crate::commands::cli::MetricsArgs;
use crate::commands::client;
use crate::commands::failure::{Failure, Fatal, INTERRUPTED};
use crate::commands::metrics::families::Families;
use crate::commands::results;
use crate::commands::visit;

/// Why metrics cannot be had. Displays as one sentence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MetricsError {
    /// They cannot be made into text.
    #[error("cannot make the metrics: {0}")]
    Encode(#[from] prometheus::Error),
    /// The event log is there and cannot be read.
    #[error("cannot read the event log {}: {error}", path.display())]
    Log {
        /// The log.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}; choose another address with --listen")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// The service cannot run.
    #[error("cannot serve the metrics: {0}")]
    Serve(std::io::Error),
}

impl Fatal for MetricsError {}

/// Prints the metrics once, or serves them until a signal ends it.
///
/// # Errors
///
/// Once: no cluster answers. Served: the address cannot be listened on.
pub(crate) fn run(args: &MetricsArgs, mut signals: Signals) -> Result<(), Failure> {
    signals.end_at_once(if args.listen.is_some() {
        0
    } else {
        INTERRUPTED
    });
    let run_dir = run_dir::chosen(args.run_dir.as_deref());
    visit::visit(&run_dir)?;
    if let Some(address) = args.listen {
        match serve::run(address, Collector::new(&run_dir)?)? {}
    }
    let mut collector = Collector::new(&run_dir)?;
    let status = collector.collect()??;
    Ok(results::say(&collector.text(Some(&status))?)?)
}

/// Keeps the counters of a run up to date.
#[derive(Debug)]
struct Collector {
    run_dir: PathBuf,
    log: PathBuf,
    tail: Tail,
    families: Families,
}

impl Collector {
    fn new(run_dir: &Path) -> Result<Collector, MetricsError> {
        let log = run_dir.join(node::event_log::FILE_NAME);
        Ok(Collector {
            run_dir: run_dir.to_owned(),
            tail: Tail::whole(&log),
            log,
            families: Families::new()?,
        })
    }

    fn status(&self) -> Result<ClusterStatus, Failure> {
        Ok(client::status(&self.run_dir)?)
    }

    /// Counts what was added to the event log, and asks for the present state; an inner error where
    /// no cluster answers, or where its run directory is not to be believed, and nothing in it is read.
    ///
    /// In this order, so that the state is never older than the counters: no process is shown as
    /// coordinator whose end is counted.
    fn collect(&mut self) -> Result<Result<ClusterStatus, Failure>, MetricsError> {
        match visit::visit(&self.run_dir) {
            Ok(Some(visited)) => visited.act_as_owner(),
            Ok(None) => {}
            Err(error) => return Ok(Err(error.into())),
        }
        self.count()?;
        let status = self.status();
        // The state may be of a run that began meanwhile, whose counters are its own.
        let begun = self.tail.has_successor();
        if begun.map_err(|error| self.unreadable(error))? {
            self.count()?;
        }
        Ok(status)
    }

    fn count(&mut self) -> Result<(), MetricsError> {
        let mut result = Ok(());
        let families = &mut self.families;
        let read = self.tail.read(|found| match found {
            Found::Anew => match Families::new() {
                Ok(new) => *families = new,
                Err(error) => result = Err(error),
            },
            Found::Event(event) => families.count(&event),
        });
        read.map_err(|error| self.unreadable(error))?;
        Ok(result?)
    }

    fn unreadable(&self, error: std::io::Error) -> MetricsError {
        MetricsError::Log {
            path: self.log.clone(),
            error,
        }
    }

    /// All metrics, as they were collected; the state is none where no cluster answers.
    fn text(&mut self, status: Option<&ClusterStatus>) -> Result<String, MetricsError> {
        self.families.show(status);
        Ok(self.families.encode()?)
    }
}
