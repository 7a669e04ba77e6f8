//! A turn of a process: it handles what has arrived, then its timers, then writes what it has to
//! say. A signal may hit it between any two of its actions.

use ipc::control::News;
use protocol::event::{Action, ChildState, Event};
use protocol::file::Folder;
use protocol::id::{Epoch, NodeId};
use protocol::message::Message;
use protocol::plan::OperationId;
use protocol::status::RoleName;

use super::{Cluster, Happening};
use crate::checkers::Violation;
use crate::fact::{Fact, Life, Standing, Step, Takeover, View};
use crate::job::Job;
use crate::process::{Interrupted, Process};
use crate::supervisor::Report;
use crate::wire::Awaited;

/// Most messages that are handled before the links are read again.
const TURN: usize = 256;

/// Whether the turn got to its end.
type Passed = Result<(), Interrupted>;

impl Cluster {
    pub(super) fn turn(&mut self, process: &mut Process) -> Result<Passed, Violation> {
        macro_rules! pass {
            ($result:expr) => {
                if let Err(interrupted) = $result {
                    return Ok(Err(interrupted));
                }
            };
        }
        // What the last turn was kept from.
        pass!(self.act_all(process));
        pass!(self.handle_mail(process)?);
        if process.flushed > 0 {
            pass!(self.flush(process));
        }
        pass!(self.read_control(process)?);
        // The driver takes whichever of these is ready.
        if self.chance.percent(50) {
            pass!(self.handle_results(process)?);
        }
        loop {
            self.read_links(process)?;
            if process.mail.is_empty() {
                break;
            }
            pass!(self.handle_mail(process)?);
        }
        pass!(self.handle_results(process)?);
        if let Some(event) = process.files.news(process.runs_since, self.now) {
            pass!(self.step(process, event)?);
        }
        while let Some((due, timer)) = process.node.next_timeout()
            && due <= self.now
        {
            pass!(self.step(process, Event::Timeout(timer))?);
        }
        pass!(self.flush(process));
        // It waits: only what it polls now wakes it.
        self.read_links(process)?;
        self.report(process);
        Ok(Ok(()))
    }

    /// Reads a part of what the links have brought.
    fn read_links(&mut self, process: &mut Process) -> Result<(), Violation> {
        process.awaited.clear();
        let mut events = Vec::new();
        let (now, id) = (self.now, process.life.node);
        let mut wire = self.wire(id, &mut process.awaited);
        process.mesh.poll(now, &mut wire, &mut events, TURN);
        for (place, event) in events.iter().enumerate() {
            if let Event::LinkUp { peer, .. } = *event {
                let link = self.network.dialled(id, peer);
                self.check(&Fact::LinkUp {
                    life: process.life,
                    peer,
                    place,
                    carried: link.map_or(0, |link| self.network.carried(link)),
                })?;
            }
        }
        process.mail.extend(events);
        Ok(())
    }

    /// Reads all that the supervisor has said.
    fn read_control(&mut self, process: &mut Process) -> Result<Passed, Violation> {
        let mut news = News::default();
        while process
            .control
            .front()
            .is_some_and(|&(at, _)| at <= self.now)
            && let Some((_, message)) = process.control.pop_front()
        {
            news.merge(message);
        }
        if news.stopping {
            process.mail.push_back(Event::Stopping);
        }
        if news.was_stopped {
            process.mail.push_back(Event::WasStopped);
        }
        for hint in news.hints(process.node.coordinator()) {
            if hint.state == ChildState::Gone {
                let (now, id) = (self.now, process.life.node);
                let mut nobody = Awaited::default();
                let mut wire = self.wire(id, &mut nobody);
                process
                    .mesh
                    .peer_gone(now, &mut wire, hint.node, hint.incarnation);
            }
            process.mail.push_back(Event::Hint {
                peer: hint.node,
                incarnation: hint.incarnation,
                state: hint.state,
            });
        }
        if let Some(deaths) = news.deaths {
            process.mail.push_back(Event::Deaths(deaths));
        }
        if news.start {
            process.mail.push_back(Event::Start);
        }
        if news.inbox_changed {
            process.mail.push_back(Event::InboxChanged);
        }
        self.handle_mail(process)
    }

    fn handle_mail(&mut self, process: &mut Process) -> Result<Passed, Violation> {
        while let Some(event) = process.mail.pop_front() {
            if let Err(interrupted) = self.step(process, event)? {
                return Ok(Err(interrupted));
            }
        }
        Ok(Ok(()))
    }

    fn handle_results(&mut self, process: &mut Process) -> Result<Passed, Violation> {
        while process
            .computed
            .front()
            .is_some_and(|&(at, _)| at <= self.now)
            && let Some((_, products)) = process.computed.pop_front()
        {
            process.mail.push_back(Event::Computed { products });
        }
        while process
            .replies
            .front()
            .is_some_and(|&(at, _)| at <= self.now)
            && let Some((_, reply)) = process.replies.pop_front()
        {
            process.mail.push_back(reply);
        }
        self.handle_mail(process)
    }

    fn step(&mut self, process: &mut Process, event: Event) -> Result<Passed, Violation> {
        self.steps += 1;
        let life = process.life;
        let before = View::of(&process.node);
        let refused = is_refused(&event, before) || self.is_of_the_dead(&event);
        let copy = refused.then(|| process.node.clone());
        if self.record.is_on() {
            let (from, minor) = origin(&event);
            let text = || format!("{event:?}");
            self.record
                .enter(self.now, Some(life.node), from, minor, text);
        }
        let seen = event.clone();
        let actions = process.node.step(self.now, event);
        process.mesh.set_highest(process.node.highest());
        if self.record.is_on() {
            for action in &actions {
                let minor = is_minor_action(action);
                let text = || format!("    {}", describe(action));
                self.record
                    .enter(self.now, Some(life.node), None, minor, text);
            }
        }
        let node = &process.node;
        let held = || node.held().map(|(id, _)| id).collect();
        let step = Step {
            at: self.now,
            runs_since: process.runs_since,
            life,
            event: &seen,
            before,
            after: View::of(node),
            actions: &actions,
            unchanged: copy.map(|copy| copy == *node),
            held: &held,
        };
        self.check(&Fact::Step(&step))?;
        if step.before.acting != step.after.acting
            && let Some(epoch) = step.after.acting
        {
            let held = held();
            self.took_over(life, epoch, &held)?;
        }
        process.unwritten.extend(self.event_log.of_step(&actions));
        process.todo.extend(actions);
        Ok(self.act_all(process))
    }

    fn took_over(
        &mut self,
        life: Life,
        epoch: Epoch,
        held: &[OperationId],
    ) -> Result<(), Violation> {
        let others = self.alive().filter(|process| process.runs(self.now));
        let standing = |process: &Process| Standing {
            life: process.life,
            highest: process.node.highest(),
            held: process.node.held().map(|(id, _)| id).collect(),
        };
        let others: Vec<Standing> = others.map(standing).collect();
        let jobs = self.directory.files().iter();
        let running =
            jobs.filter(|(path, file)| path.folder == Folder::Running && file.job.is_some());
        let needed = running.filter_map(|(_, file)| Job::numbers(&file.content));
        let needed = needed.flatten().collect();
        self.check(&Fact::Acts(&Takeover {
            at: self.now,
            life,
            epoch,
            held,
            others: &others,
            needed: &needed,
        }))
    }

    /// Whether an event is a message of a life that is over.
    fn is_of_the_dead(&mut self, event: &Event) -> bool {
        match event {
            Event::Received {
                from, incarnation, ..
            } => {
                let slot = self.supervisor.slot(*from);
                *incarnation < slot.incarnation || slot.state == ChildState::Gone
            }
            _ => false,
        }
    }

    fn act_all(&mut self, process: &mut Process) -> Passed {
        self.write_events(process)?;
        while !process.todo.is_empty() {
            process.pass()?;
            if let Some(action) = process.todo.pop_front() {
                self.act(process, action);
            }
        }
        Ok(())
    }

    fn act(&mut self, process: &mut Process, action: Action) {
        match action {
            Action::Send { to, message } => {
                let (now, id) = (self.now, process.life.node);
                let mut nobody = Awaited::default();
                let mut wire = self.wire(id, &mut nobody);
                process.mesh.send(now, &mut wire, &to, &message);
            }
            Action::Compute { operation, task } => {
                process.arithmetic.ask(operation, task);
                self.begin_arithmetic(process);
            }
            Action::CancelCompute => process.arithmetic.cancel(),
            Action::File { epoch, tag, call } => {
                process.files.ask(epoch, tag, call);
                self.look_at_files(process);
            }
            Action::Log { lines } => {
                let text =
                    |line: &bytes::Bytes| String::from_utf8_lossy(line).trim_end().to_owned();
                self.lines.extend(lines.iter().map(text));
            }
            Action::Trace { .. } | Action::Warn(_) => {}
        }
    }

    /// Writes to one peer after the other; a signal may come in between.
    fn flush(&mut self, process: &mut Process) -> Passed {
        while process.flushed < self.config.nodes {
            process.pass()?;
            let (now, id) = (self.now, process.life.node);
            let mut nobody = Awaited::default();
            let mut wire = self.wire(id, &mut nobody);
            process
                .mesh
                .flush_to(now, &mut wire, NodeId(process.flushed));
            process.flushed += 1;
        }
        process.flushed = 0;
        Ok(())
    }

    fn report(&mut self, process: &mut Process) {
        let report = Report {
            highest: process.node.highest(),
            coordinates: process.node.role() == RoleName::Coordinator,
            charged: process.node.deaths_charged(),
        };
        if process.reported.replace(report) != Some(report) {
            let at = self.now + self.chance.duration(self.surroundings.supervision);
            process.last_report = process.last_report.max(at);
            let happening = Happening::Report(process.life, report);
            self.agenda.enter(process.last_report, happening);
        }
    }
}

/// Whether an event is a message that the fence must hold back.
fn is_refused(event: &Event, before: View) -> bool {
    match event {
        Event::Received { message, .. } => message
            .authority()
            .is_some_and(|epoch| epoch < before.highest),
        _ => false,
    }
}

fn origin(event: &Event) -> (Option<NodeId>, bool) {
    match event {
        Event::Received { from, message, .. } => (Some(*from), is_minor(message)),
        Event::Alive { from, .. } => (Some(*from), true),
        Event::Timeout(protocol::timer::Timer::Heartbeat) => (None, true),
        _ => (None, false),
    }
}

fn is_minor(message: &Message) -> bool {
    matches!(message, Message::Heartbeat { .. } | Message::Pulse { .. })
}

fn is_minor_action(action: &Action) -> bool {
    matches!(action, Action::Send { message, .. } if is_minor(message))
}

/// An action, as the trace shows it; nothing for what only fills it.
fn describe(action: &Action) -> String {
    match action {
        Action::Send { to, message } => {
            let to: Vec<String> = to.iter().map(ToString::to_string).collect();
            format!("→ {}: {message:?}", to.join(","))
        }
        Action::Trace { trace, .. } => format!("* {trace:?}"),
        Action::File { epoch, tag, call } => format!("file {epoch} {tag:?} {call:?}"),
        Action::Compute { operation, .. } => format!("compute {operation:?}"),
        Action::Warn(sentence) => format!("warns: {sentence}"),
        other => format!("{other:?}"),
    }
}
