//! The two threads of a process beside its loop: arithmetic, and calls on the jobs directory.

use protocol::event::Event;
use protocol::file::{FileCall, FileReply};
use protocol::time::Time;

use super::{Cluster, Happening};
use crate::chance::Span;
use crate::checkers::Violation;
use crate::directory::{CallStage, Change, Step};
use crate::fact::{Fact, Life};
use crate::file_thread::{Decided, Turn};
use crate::process::{Held, Interrupt, Process};

/// Between a thread and the loop of its process.
const HAND_OVER: Span = Span::us(1, 60);

impl Cluster {
    pub(super) fn begin_arithmetic(&mut self, process: &mut Process) {
        let span = self.surroundings.computing;
        if let Some(time) = process.arithmetic.begin(&mut self.chance, span) {
            let happening = Happening::Arithmetic(process.life);
            self.agenda.enter(self.now + time, happening);
        }
    }

    pub(super) fn arithmetic_done(&mut self, life: Life) {
        if !self.is_life(life) {
            return;
        }
        let Some(mut process) = self.processes[usize::from(life.node.0)].take() else {
            return;
        };
        if process.runs(self.now) {
            let products = process.arithmetic.finish();
            let at = self.now + self.chance.duration(HAND_OVER);
            process.computed.push_back((at, products));
            self.owe_turn(life.node, at);
            self.begin_arithmetic(&mut process);
        } else {
            process.held_up.push(Held::Arithmetic);
        }
        self.processes[usize::from(life.node.0)] = Some(process);
    }

    /// Lets the file thread take its next request.
    pub(super) fn look_at_files(&mut self, process: &mut Process) {
        loop {
            match process.files.look(process.node.highest(), self.now) {
                Turn::Nothing => return,
                Turn::Refused(reply) => self.reply(process, reply),
                Turn::Decided => {
                    let at = self.now + self.chance.duration(self.surroundings.file_call);
                    self.agenda.enter(at, Happening::File(process.life));
                    if process.stops_at_commit && process.files.is_at_commit() {
                        process.stops_at_commit = false;
                        process.interrupt = Some(Interrupt {
                            after: 0,
                            kills: false,
                        });
                        self.halt(process);
                    }
                    return;
                }
            }
        }
    }

    /// The moment of a call has come, however long ago it was decided on.
    pub(super) fn make_call(&mut self, life: Life) -> Result<(), Violation> {
        let (now, hangs_until) = (self.now, self.disk_hangs_until);
        let Some(process) = self
            .process(life.node)
            .filter(|process| process.life == life)
        else {
            return Ok(());
        };
        if !process.runs(now) {
            process.held_up.push(Held::File);
            return Ok(());
        }
        let answers_at = process.files.hangs_until.max(hangs_until);
        if now < answers_at {
            self.agenda.enter(answers_at, Happening::File(life));
            return Ok(());
        }
        let highest = process.node.highest();
        let known = Some(highest);
        let Some(mut decided) = process.files.take_decided() else {
            return Ok(());
        };
        // Looked at once more: writing may have taken long.
        if let Step::Seal { part, .. } = &decided.step
            && decided.epoch < highest
        {
            decided.step = Step::GiveUp { path: part.clone() };
        }
        self.check(&Fact::Called {
            life,
            epoch: decided.epoch,
            highest: decided.highest,
            known,
        })?;
        let made = self.make_step(life, decided.step)?;
        let Some(mut process) = self.processes[usize::from(life.node.0)].take() else {
            return Ok(());
        };
        match made {
            CallStage::Done(reply) => {
                let Decided { epoch, tag, .. } = decided;
                let event = Event::FileDone { epoch, tag, reply };
                if decided.is_synced {
                    self.reply_when_synced(&mut process, event);
                } else {
                    self.reply(&mut process, event);
                }
                self.look_at_files(&mut process);
            }
            CallStage::Next(step) => {
                decided.step = step;
                decided.since = now;
                process.files.go_on(decided);
                let at = self.now + self.chance.duration(self.surroundings.file_call);
                self.agenda.enter(at, Happening::File(life));
            }
        }
        self.processes[usize::from(life.node.0)] = Some(process);
        Ok(())
    }

    /// The process is killed while its file thread is at a call: the call may still be made, a
    /// part of it, or nothing.
    pub(super) fn make_last_call(&mut self, process: &mut Process) -> Result<(), Violation> {
        let Some(decided) = process.files.take_decided() else {
            return Ok(());
        };
        let mut next = Some(decided.step);
        while let Some(step) = next.take().filter(|_| self.chance.percent(60)) {
            self.check(&Fact::Called {
                life: process.life,
                epoch: decided.epoch,
                highest: decided.highest,
                known: None,
            })?;
            if let CallStage::Next(step) = self.make_step(process.life, step)? {
                next = Some(step);
            }
        }
        Ok(())
    }

    fn make_step(&mut self, life: Life, step: Step) -> Result<CallStage, Violation> {
        let quiet = matches!(
            step,
            Step::Call(
                FileCall::List(_) | FileCall::Probe(_) | FileCall::Exist(_) | FileCall::Sync(_)
            )
        );
        let read = match &step {
            Step::Call(FileCall::Read { path, .. }) => {
                let file = self.directory.get(path).cloned();
                file.map(|file| (path.clone(), file))
            }
            _ => None,
        };
        let mut changes = std::mem::take(&mut self.changes);
        let text = self.record.is_on().then(|| format!("{step:?}"));
        let made = self
            .directory
            .make(life, step, &mut self.chance, &mut changes);
        if let Some(text) = text {
            let text = || format!("[directory] {text} = {made:?}");
            self.record
                .enter(self.now, Some(life.node), None, quiet, text);
        }
        for change in &changes {
            self.changed(Some(life), change)?;
        }
        changes.clear();
        self.changes = changes;
        if let Some((path, file)) = read
            && let CallStage::Done(FileReply::Content(_)) = &made
        {
            self.check(&Fact::Read {
                by: life,
                path: &path,
                file: &file,
            })?;
        }
        Ok(made)
    }

    /// Something changed in the jobs directory: the checkers look, and the
    /// supervisor is told by what watches the inbox.
    pub(crate) fn changed(&mut self, by: Option<Life>, change: &Change) -> Result<(), Violation> {
        self.check(&Fact::Changed {
            at: self.now,
            by,
            change,
        })?;
        if by.is_none() {
            self.directory.synced();
        }
        if self.surroundings.mount.events && change.may_drop() {
            let at = self.now + self.chance.duration(self.surroundings.supervision);
            self.agenda.enter(at, Happening::Dropped);
        }
        Ok(())
    }

    fn reply(&mut self, process: &mut Process, reply: Event) {
        let at = self.now + self.chance.duration(HAND_OVER);
        process.last_reply = process.last_reply.max(at);
        self.reply_at(process, process.last_reply, reply);
    }

    /// The disk takes as long as some calls do.
    fn reply_when_synced(&mut self, process: &mut Process, reply: Event) {
        let waits = |cluster: &mut Self| cluster.chance.duration(cluster.surroundings.file_call);
        let begun = self.now.max(self.disk_hangs_until);
        let at = begun + waits(self) + waits(self) + waits(self);
        self.reply_at(process, at, reply);
    }

    fn reply_at(&mut self, process: &mut Process, at: Time, reply: Event) {
        let place = process.replies.partition_point(|&(other, _)| other <= at);
        process.replies.insert(place, (at, reply));
        self.owe_turn(process.life.node, at);
    }
}
