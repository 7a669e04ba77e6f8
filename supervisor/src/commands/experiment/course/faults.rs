//! The fault of a round: who gets the signal, and how it is known that it came.

use laboratory::log::{Event, now_ns};
use nix::sys::signal::Signal;
use protocol::id::NodeId;
use supervisor::control::{Answer, Request, Signalled, Target};

use super::waits::{LOOK_EVERY, Stop};
use super::{AGREE_WITHIN, Course, THERE_WITHIN};
use crate::commands::cli::experiment::TargetArg;
use crate::commands::client::{self, ControlError};
use crate::commands::experiment::draws::Draw;

impl Course<'_> {
    /// Sends a signal to whom it is meant for; a stop is followed by its end. False if there is
    /// nobody, for too long.
    pub(super) fn fault(&mut self, draw: Draw) -> Result<bool, Stop> {
        let since = now_ns();
        let Some(victims) = self.strike(draw)? else {
            return Ok(false);
        };
        let happened = |name: &'static str, pid: i32| {
            move |event: &Event| {
                event.process().as_raw() == pid
                    && (event.name() == name || event.name() == "node_exited")
            }
        };
        let name = match draw.signal {
            Signal::SIGKILL => "node_exited",
            _ => "node_stopped",
        };
        for victim in &victims {
            self.await_turn(since, AGREE_WITHIN, happened(name, victim.pid))?;
        }
        if draw.signal == Signal::SIGKILL {
            self.ended.kills += victims.len();
            return Ok(true);
        }
        self.ended.stops += victims.len();
        let coordinated = self.view.beliefs.coordinator();
        if draw.until_replaced && victims.len() < usize::from(self.settings.config.nodes) {
            // Of a stopped worker nothing comes, so the time is limited.
            let is_other =
                move |event: &Event| event.name() == "acting" && Some(event.node()) != coordinated;
            self.await_turn(since, self.settings.config.suspect_after * 2, is_other)?;
        }
        self.pass(draw.stop)?;
        let since = now_ns();
        for victim in &victims {
            // It may have died meanwhile, by a fault of its own.
            self.send(vec![Target::Node(victim.id)], Signal::SIGCONT)?;
            self.await_turn(since, AGREE_WITHIN, happened("node_continued", victim.pid))?;
        }
        Ok(true)
    }

    /// Sends the signal, as soon as there is somebody whom it is meant for.
    fn strike(&mut self, draw: Draw) -> Result<Option<Vec<Signalled>>, Stop> {
        let end = self.signals.now() + THERE_WITHIN;
        loop {
            let targets = self.targets(draw);
            let reached = self.send(targets, draw.signal)?;
            if reached.is_some() || self.signals.now() >= end {
                return Ok(reached);
            }
            self.pass(LOOK_EVERY)?;
        }
    }

    fn targets(&self, draw: Draw) -> Vec<Target> {
        let coordinator = self.view.beliefs.coordinator();
        let one =
            |ids: Vec<u8>| Vec::from_iter(draw.one_of(&ids).map(|id| Target::Node(NodeId(id))));
        let all = 0..self.settings.config.nodes;
        match self.settings.target {
            TargetArg::Coordinator => vec![Target::Coordinator],
            TargetArg::All => vec![Target::All],
            TargetArg::Any => one(all.collect()),
            TargetArg::Worker => one(all.filter(|&id| Some(id.into()) != coordinator).collect()),
        }
    }

    /// Lets the supervisor send a signal; nothing if there is nobody to get it now.
    fn send(
        &mut self,
        targets: Vec<Target>,
        signal: Signal,
    ) -> Result<Option<Vec<Signalled>>, Stop> {
        let request = Request::Signal {
            targets,
            signal: signal.as_str().to_owned(),
        };
        match client::ask(self.cluster.run_dir(), &request) {
            Ok(Answer::Signalled(reached)) => Ok(Some(reached)),
            Ok(Answer::Nothing(_)) => Ok(None),
            Ok(other) => Err(ControlError::unexpected(&other).into()),
            Err(error) => {
                // It may have ended just now, which says more.
                self.look()?;
                Err(error.into())
            }
        }
    }
}
