//! What comes of what happens.

use std::collections::VecDeque;

use bytes::Bytes;
use protocol::event::{Action, ChildState, Event};
use protocol::file::{FileCall, FileReply, Folder, Probe};
use protocol::id::NodeId;
use protocol::message::{Message, Product};
use protocol::node::Node;
use protocol::plan::Kind;
use protocol::time::Time;

use super::choice::Choice;
use super::state::{Direction, Item, ModelState, Process, Shared};
use crate::fact::{Life, Step, View};

/// Every step happens at this moment: nothing is ever late, and everything may be.
pub(super) const NOW: Time = Time(1);
/// The job that is there: 4! has two leaves, 2 and 2 · 3, and a step, 2 · (2 · 6).
const JOB: &[u8] = b"4!\n";

impl ModelState {
    /// Lets happen what can, until nothing can but computing and what goes wrong.
    pub(super) fn run_smoothly(&mut self) {
        let mut choices = Vec::new();
        loop {
            choices.clear();
            self.smooth_choices(&mut choices);
            match choices.first() {
                Some(&choice) => self.make(choice),
                None => return,
            }
        }
    }

    /// Lets all products of primes be computed that a job needs, smoothly.
    pub(super) fn multiply_primes(&mut self) {
        let multiplies = |process: &Shared<Process>| {
            let operation = process.running.as_ref()?.computing.front()?;
            (operation.kind == Kind::Multiply).then_some(process.life.node)
        };
        while let Some(id) = self.processes.iter().find_map(multiplies) {
            self.make(Choice::Compute(id));
            self.run_smoothly();
        }
    }

    /// Lets one thing happen.
    pub(super) fn make(&mut self, choice: Choice) {
        match choice {
            Choice::Crash(_) => {}
            _ => self.wake(choice.mover()),
        }
        match choice {
            Choice::Arrive { from, to } => self.arrive(from, to),
            Choice::Begin(id) => {
                self.change(id, |running| running.started = true);
                self.step(id, Event::Start);
            }
            Choice::Hint { to, about } => self.tell(to, about),
            Choice::Compute(id) => {
                let mut products = Vec::new();
                self.change(id, |running| {
                    let operation = running.computing.pop_front();
                    products.extend(operation.map(|operation| Product {
                        operation,
                        value: Bytes::from_static(b"1"),
                    }));
                });
                self.step(id, Event::Computed { products });
            }
            Choice::Fire(id, timer) => {
                self.timeouts -= 1;
                self.step(id, Event::Timeout(timer));
            }
            Choice::Crash(id) => self.crash(id),
            Choice::Restart(id) => self.give_birth(id),
            Choice::Pause { id, told } => {
                self.pauses -= 1;
                self.set_paused(id, true);
                self.wake(told);
                self.tell(told, id);
            }
            Choice::Resume { id, told } => {
                self.wake(told);
                self.tell(told, id);
            }
        }
        self.forget();
    }

    fn arrive(&mut self, from: Life, to: NodeId) {
        let direction = Direction { to, from };
        let Some(link) = self.links.get_mut(&direction) else {
            return;
        };
        let item = link.change(VecDeque::pop_front);
        if link.is_empty() {
            self.links.remove(&direction);
        }
        let Some(item) = item else {
            return;
        };
        let event = event_of(from, item);
        let is_up = matches!(event, Event::LinkUp { .. });
        let present = self.process(from.node);
        if is_up && present.life == from && present.running.is_some() {
            self.change(to, |running| {
                running.linked.insert(from.node);
            });
        }
        self.step(to, event);
        if is_up {
            self.void_mail(to, from);
        }
    }

    fn tell(&mut self, to: NodeId, about: NodeId) {
        self.hints.remove(&(to, about));
        self.step(to, self.hint_of(about));
        self.void_mail(to, self.process(about).life);
    }

    /// What the supervisor has to tell of a node.
    pub(super) fn hint_of(&self, about: NodeId) -> Event {
        let process = self.process(about);
        Event::Hint {
            peer: about,
            incarnation: process.life.incarnation,
            state: match &process.running {
                None => ChildState::Gone,
                Some(running) if running.paused => ChildState::Stopped,
                Some(_) => ChildState::Running,
            },
        }
    }

    fn crash(&mut self, id: NodeId) {
        self.crashes -= 1;
        let life = self.process(id).life;
        let running = None;
        self.set_process(id, Process { life, running });
        self.links.retain(|direction, _| direction.to != id);
        self.hints.retain(|&(to, _)| to != id);
        self.monitor.change(|monitor| monitor.died(life));
        let others: Vec<NodeId> = self.nodes().map(|(other, _)| other.node).collect();
        for other in others {
            self.carry(life, other, Item::Down);
            self.change(other, |running| {
                running.linked.remove(&id);
            });
        }
        self.owe_hints_of(id);
    }

    /// A process that is about to do something is not stopped any more.
    fn wake(&mut self, id: NodeId) {
        let running = self.process(id).running.as_ref();
        if running.is_some_and(|running| running.paused) {
            self.set_paused(id, false);
        }
    }

    fn set_paused(&mut self, id: NodeId, paused: bool) {
        self.change(id, |running| running.paused = paused);
        self.owe_hints_of(id);
    }

    /// One step of a node, and those that answer its looks at the jobs directory.
    fn step(&mut self, id: NodeId, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let process = self.process(id);
            let life = process.life;
            let Some(running) = &process.running else {
                return;
            };
            let mut node = Node::clone(&running.node);
            let before = View::of(&node);
            let actions = node.step(NOW, event.clone());
            let unchanged = matches!(event, Event::Received { .. }).then(|| node == *running.node);
            let step = Step {
                runs_since: NOW,
                at: NOW,
                life,
                event: &event,
                before,
                after: View::of(&node),
                actions: &actions,
                unchanged,
                held: &|| node.held().map(|(id, _)| id).collect(),
            };
            self.monitor.change(|monitor| monitor.see(&step));
            let highest = node.highest();
            self.change(id, |running| running.node = Shared::new(node));
            for action in actions {
                match action {
                    Action::File { epoch, tag, call } if epoch >= highest => {
                        let reply = answer(&call, self.has_job);
                        events.extend(reply.map(|reply| Event::FileDone { epoch, tag, reply }));
                    }
                    action => self.perform(life, action),
                }
            }
        }
    }

    fn perform(&mut self, life: Life, action: Action) {
        match action {
            Action::Send {
                message: Message::Pulse { .. },
                ..
            } => {}
            Action::Send { to, message } => {
                for to in to {
                    if self.is_linked(life.node, to) {
                        self.carry(life, to, Item::Message(message.clone()));
                    }
                }
            }
            Action::Compute { operation, .. } => {
                self.change(life.node, |running| running.computing.push_back(operation));
            }
            // The first has begun.
            Action::CancelCompute => {
                self.change(life.node, |running| running.computing.truncate(1))
            }
            _ => {}
        }
    }

    fn is_linked(&self, from: NodeId, to: NodeId) -> bool {
        let sender = self.process(from).running.as_ref();
        sender.is_some_and(|sender| sender.linked.contains(&to))
    }
}

/// What it is to a node that this arrives.
pub(super) fn event_of(from: Life, item: Item) -> Event {
    let (peer, incarnation) = (from.node, from.incarnation);
    match item {
        Item::Up(highest) => Event::LinkUp {
            peer,
            incarnation,
            highest,
        },
        Item::Message(message) => Event::Received {
            from: peer,
            incarnation,
            message,
        },
        Item::Down => Event::LinkDown { peer, incarnation },
    }
}

/// What a look at the jobs directory finds; a change never ends.
fn answer(call: &FileCall, has_job: bool) -> Option<FileReply> {
    Some(match call {
        FileCall::List(Folder::Running) if has_job => FileReply::Listed(vec![b"four.job".to_vec()]),
        FileCall::List(_) => FileReply::Listed(Vec::new()),
        FileCall::Probe(_) => FileReply::Probed(Probe::Complete),
        FileCall::Read { .. } => FileReply::Content(Bytes::from_static(JOB)),
        FileCall::Room { .. } => FileReply::Ok,
        _ => return None,
    })
}
