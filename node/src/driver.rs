//! The loop of a node: passes events to the protocol, and carries out its actions.

mod report;

use std::io;
use std::time::{Duration, Instant};

use ipc::control::{ControlError, News, NodeEnd, Received, ToSupervisor};
use ipc::unix::UnixMesh;
use protocol::event::{Action, ChildState, Event};
use protocol::node::Node;
use protocol::status::RoleName;
use protocol::time::Time;
use protocol::trace::Trace;
use serde::Serialize;
use tokio::io::unix::AsyncFd;

pub(crate) use self::report::Report;
use crate::arithmetic::Arithmetic;
use crate::event_log::{EventLog, Header};
use crate::faults::Faults;
use crate::files::{Files, Notice};
use crate::identity::name_process;
use crate::inject::{Passing, begins_election};
use crate::jobs_folder;
use crate::output::Output;

/// Maximum number of messages handled before the links are read again.
const TURN: usize = 256;
/// Maximum number of finished operations, and of file thread replies, handled in the same turn.
const TURN_OF_OTHERS: usize = 64;
/// Timers are checked after this time, or after half a heartbeat, whatever else there is to do.
pub(crate) const TIMERS_WAIT: Duration = Duration::from_millis(25);

/// Everything that a node's process has besides the protocol.
pub(crate) struct Driver {
    pub(crate) node: Node,
    pub(crate) mesh: UnixMesh,
    pub(crate) control: AsyncFd<NodeEnd>,
    pub(crate) arithmetic: Arithmetic,
    pub(crate) files: Files,
    pub(crate) output: Output,
    pub(crate) log: EventLog,
    pub(crate) header: Header,
    /// The role in this process's name.
    pub(crate) shown: Option<RoleName>,
    /// The origin of the protocol's time.
    pub(crate) origin: Instant,
    /// How long the timers wait for what else there is to do.
    pub(crate) timers_wait: Duration,
    pub(crate) report: Report,
    pub(crate) faults: Faults,
    /// What injection has to remember between steps.
    pub(crate) passing: Passing,
}

/// The event that a folder of the jobs directory was replaced.
#[derive(Serialize)]
#[serde(tag = "event", rename = "folder_replaced")]
struct FolderReplaced {
    folder: &'static str,
}

/// Why the loop ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The supervisor is gone.
    Orphaned,
    /// SIGTERM arrived.
    Terminated,
}

/// What woke the loop.
enum Wake {
    Mesh,
    Event(Event),
    Files(Notice),
    Control,
    Timer,
    Terminate,
}

impl Driver {
    /// Runs until the control link closes or SIGTERM arrives.
    ///
    /// # Errors
    ///
    /// The control link breaks, or the system refuses signals or the arithmetic thread.
    pub(crate) async fn run(mut self) -> io::Result<End> {
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let mut mail = Vec::with_capacity(TURN);
        self.report_status();
        loop {
            let wake = self.wait(&mut mail, &mut terminate).await;
            match wake {
                Wake::Terminate => {
                    self.output.mark().wait();
                    return Ok(End::Terminated);
                }
                Wake::Control => {
                    if self.read_control()? {
                        return Ok(End::Orphaned);
                    }
                }
                Wake::Event(event) => self.step(event),
                Wake::Files(notice) => self.handle_notice(notice),
                Wake::Mesh => {}
                Wake::Timer => {
                    // Messages that arrived before the timer was due are handled before it: let the
                    // links read what the system holds for them.
                    tokio::task::yield_now().await;
                }
            }
            self.handle_mail(&mut mail);
            let begun = Instant::now();
            while self.drain(&mut mail) && begun.elapsed() < self.timers_wait {
                tokio::task::yield_now().await;
                if self.read_control()? {
                    return Ok(End::Orphaned);
                }
            }
            self.fire_timers();
            if let Some(event) = self.files.check_for_hang(Instant::now()) {
                self.step(event);
            }
            self.mesh.flush();
            self.follow_up();
            self.arithmetic.check()?;
        }
    }

    async fn wait(
        &mut self,
        mail: &mut Vec<Event>,
        terminate: &mut tokio::signal::unix::Signal,
    ) -> Wake {
        let due = self
            .node
            .next_timeout()
            .map(|(due, _)| self.origin + Duration::from_nanos(due.0));
        let due = [
            due,
            self.report.due(&self.node),
            self.files.hang_check_due(),
        ]
        .into_iter()
        .flatten()
        .min();
        tokio::select! {
            biased;
            // First, so that a node in a stopping cluster does not take a peer's end for a crash.
            Ok(mut ready) = self.control.readable() => {
                // Cleared before the link is read to its end: later messages wake the loop again.
                ready.clear_ready();
                Wake::Control
            }
            _ = self.mesh.recv_many(mail, TURN) => Wake::Mesh,
            Some(products) = self.arithmetic.finished() => Wake::Event(Event::Computed { products }),
            Some(notice) = self.files.next() => Wake::Files(notice),
            _ = terminate.recv() => Wake::Terminate,
            () = sleep_until(due) => Wake::Timer,
        }
    }

    /// Handles waiting events; returns whether there may be more, since one read takes only a part of a link.
    fn drain(&mut self, mail: &mut Vec<Event>) -> bool {
        self.mesh.try_recv_many(mail, TURN);
        self.handle_mail(mail);
        let mut others = 0;
        while others < TURN_OF_OTHERS
            && let Some(products) = self.arithmetic.try_finished()
        {
            others += 1;
            self.step(Event::Computed { products });
        }
        let mut notices = 0;
        while notices < TURN_OF_OTHERS
            && let Some(notice) = self.files.try_next()
        {
            notices += 1;
            self.handle_notice(notice);
        }
        self.mesh.flush();
        self.mesh.has_more() || others == TURN_OF_OTHERS || notices == TURN_OF_OTHERS
    }

    fn handle_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Reply(event) => self.step(event),
            Notice::Replaced(folder) => {
                let folder = jobs_folder::name(folder);
                tracing::warn!(
                    "the folder {folder} of the jobs directory was replaced; the new folder is used from now on"
                );
                self.log.write(&self.header, &FolderReplaced { folder });
                self.report_lost_events();
            }
        }
    }

    fn handle_mail(&mut self, mail: &mut Vec<Event>) {
        for event in mail.drain(..) {
            self.step(event);
        }
    }

    fn fire_timers(&mut self) {
        let now = self.now();
        while let Some((due, timer)) = self.node.next_timeout()
            && due <= now
        {
            self.step(Event::Timeout(timer));
        }
    }

    fn step(&mut self, event: Event) {
        let injecting = !self.faults.none();
        if injecting {
            self.inject_before(&event);
        }
        let actions = self.node.step(self.now(), event);
        let peak = self.report.peak_held_bytes.max(self.node.held_bytes());
        self.report.peak_held_bytes = peak;
        let highest = self.node.highest();
        self.files.fence(highest);
        self.mesh.set_highest(highest);
        // Events are logged before anything follows from them.
        self.record(&actions);
        let began_election = injecting && begins_election(&actions);
        for mut action in actions {
            if injecting {
                match self.inject_at(action) {
                    Some(rest) => action = rest,
                    None => continue,
                }
            }
            self.act(action);
        }
        if injecting {
            self.inject_after(began_election);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Send { to, message } => self.mesh.send(&to, &message),
            Action::Compute { operation, task } => self.arithmetic.compute(operation, task),
            Action::CancelCompute => {
                self.passing.cancel();
                self.arithmetic.cancel();
            }
            Action::File { epoch, tag, call } => {
                self.files.call(epoch, tag, call, self.output.mark());
            }
            Action::Log { lines } => self.output.write(lines),
            Action::Trace { trace, .. } => {
                self.report.job_ended |= matches!(trace, Trace::JobDone { .. });
            }
            Action::Warn(sentence) => tracing::warn!("{sentence}"),
        }
    }

    fn record(&mut self, actions: &[Action]) {
        let mut traces: Vec<&Trace> = Vec::new();
        for action in actions {
            if let Action::Trace { role, term, trace } = action {
                if (self.header.role, self.header.term) != (Some(*role), *term) {
                    self.log.write_all_lines(&self.header, &traces);
                    traces.clear();
                    self.header.role = Some(*role);
                    self.header.term = *term;
                }
                traces.push(trace);
            }
        }
        self.log.write_all_lines(&self.header, &traces);
        self.report_lost_events();
    }

    /// Reads all messages of the supervisor; returns whether it is gone.
    fn read_control(&mut self) -> io::Result<bool> {
        let mut news = News::default();
        loop {
            match self.control.get_ref().receive().map_err(io_error)? {
                Received::Closed => return Ok(true),
                Received::Empty => break,
                Received::Message(message) => news.merge(message),
            }
        }
        if news.stopping {
            self.step(Event::Stopping);
        }
        if news.reopen_log {
            self.log.reopen();
        }
        if news.bind_again {
            self.bind_again();
        }
        if news.was_stopped {
            self.step(Event::WasStopped);
        }
        for hint in news.hints(self.node.coordinator()) {
            if hint.node == self.header.node {
                continue;
            }
            if hint.state == ChildState::Gone {
                self.mesh.peer_gone(hint.node, hint.incarnation);
            }
            self.step(Event::Hint {
                peer: hint.node,
                incarnation: hint.incarnation,
                state: hint.state,
            });
        }
        if let Some(deaths) = news.deaths {
            self.step(Event::Deaths(deaths));
        }
        if news.start {
            self.step(Event::Start);
        }
        if news.inbox_changed {
            self.step(Event::InboxChanged);
        }
        Ok(false)
    }

    /// Binds the socket again and reports the result; after a failure the supervisor asks again.
    fn bind_again(&mut self) {
        let report = match self.mesh.bind_again() {
            Ok(()) => ToSupervisor::Bound,
            Err(error) => ToSupervisor::Trouble(error.to_string()),
        };
        self.notify_supervisor(&report);
    }

    /// Renames the process after a change of role, and reports to the supervisor.
    fn follow_up(&mut self) {
        let role = self.node.role();
        if self.shown.replace(role) != Some(role) {
            name_process(self.header.node, role);
            if role == RoleName::Coordinator {
                self.arithmetic.stop();
            }
        }
        self.report_status();
    }

    fn now(&self) -> Time {
        Time(u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

fn io_error(error: ControlError) -> io::Error {
    io::Error::other(error)
}
