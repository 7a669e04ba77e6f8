//! The thread that asks: what is so, what happened, and on demand that nodes be signalled.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use laboratory::tail::{Found, Tail};
use nix::sys::signal::Signal;
use protocol::printable::printable;
use supervisor::control::{Answer, ClusterStatus, Request, Target};

use super::events::{Line, Lines};
use super::load::{Load, Meter};
use crate::commands::client;
use crate::commands::visit;

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(200);
/// Of an event log that is there already only its end is of interest.
const LAST_BYTES: u64 = 256 << 10;

/// What is known of the cluster.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    /// Its state, or why none is known, in one sentence.
    pub(super) status: Result<ClusterStatus, String>,
    /// By pid.
    pub(super) loads: BTreeMap<i32, Load>,
    /// Oldest first.
    pub(super) events: Vec<Line>,
}

/// What the thread says.
#[derive(Clone, Debug)]
pub(super) enum News {
    /// The cluster was looked at.
    Snapshot(Snapshot),
    /// What became of a signal, in one sentence.
    Signalled(String),
}

/// The thread's other end. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Observer {
    pub(super) news: Receiver<News>,
    orders: Sender<(Target, Signal)>,
}

impl Observer {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(super) fn start(run_dir: &Path) -> io::Result<Observer> {
        let (tell, news) = mpsc::channel();
        let (orders, ordered) = mpsc::channel();
        let watcher = Watcher::new(run_dir);
        let body = move || watcher.run(&tell, &ordered);
        thread::Builder::new()
            .name("watch".to_owned())
            .spawn(body)?;
        Ok(Observer { news, orders })
    }

    /// Has nodes signalled; what became of it is news.
    pub(super) fn signal(&self, target: Target, signal: Signal) {
        // The thread lives as long as this does.
        let _ = self.orders.send((target, signal));
    }
}

/// Looks at a cluster.
#[derive(Debug)]
pub(super) struct Watcher {
    run_dir: PathBuf,
    tail: Tail,
    lines: Lines,
    meter: Meter,
}

impl Watcher {
    pub(super) fn new(run_dir: &Path) -> Watcher {
        let log = run_dir.join(node::event_log::FILE_NAME);
        Watcher {
            run_dir: run_dir.to_owned(),
            tail: Tail::last(&log, LAST_BYTES),
            lines: Lines::default(),
            meter: Meter::default(),
        }
    }

    fn run(mut self, tell: &Sender<News>, ordered: &Receiver<(Target, Signal)>) {
        while tell.send(News::Snapshot(self.look())).is_ok() {
            match ordered.recv_timeout(INTERVAL) {
                Ok((target, signal)) => {
                    let told = self.signal(target, signal);
                    let told = printable(&told).into_owned();
                    let _ = tell.send(News::Signalled(told));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// The cluster as it is now.
    pub(super) fn look(&mut self) -> Snapshot {
        let status = match client::ask(&self.run_dir, &Request::Status) {
            Ok(Answer::Status(status)) => Ok(status),
            Ok(other) => Err(format!(
                "the supervisor gave an answer that does not fit: {other:?}"
            )),
            Err(error) => Err(error.to_string()),
        }
        .map_err(|sentence| printable(&sentence).into_owned());
        if visit::visit(&self.run_dir).is_ok() {
            let lines = &mut self.lines;
            // A log that cannot be read leaves the events out, and nothing else.
            let _ = self.tail.read(|found| {
                if let Found::Event(event) = found {
                    lines.add(&event);
                }
            });
        }
        let nodes = status.as_ref().map_or(&[][..], |status| &status.nodes);
        Snapshot {
            loads: self.meter.read(nodes, Instant::now()),
            events: self.lines.iter().cloned().collect(),
            status,
        }
    }

    fn signal(&self, target: Target, signal: Signal) -> String {
        let request = Request::Signal {
            targets: vec![target],
            signal: signal.as_str().to_owned(),
        };
        match client::ask(&self.run_dir, &request) {
            Ok(Answer::Signalled(all)) => {
                let who = all
                    .iter()
                    .map(|one| format!("node {} (pid {}, {})", one.id, one.pid, one.role.word()));
                let who = if all.len() > 2 {
                    format!("{} nodes", all.len())
                } else {
                    who.collect::<Vec<_>>().join(", ")
                };
                format!("{signal} sent to {who}")
            }
            Ok(Answer::Nothing(sentence)) => sentence,
            Ok(other) => format!("the supervisor gave an answer that does not fit: {other:?}"),
            Err(error) => error.to_string(),
        }
    }
}
