//! What is on the screen, and what keys do to it.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use protocol::id::NodeId;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use supervisor::control::{ClusterStatus, NodeStatus, Target};

use super::watch::{News, Snapshot};

/// How long it takes to read what became of an order.
const READING: Duration = Duration::from_secs(5);

/// Everything that a page is drawn from.
#[derive(Debug)]
pub(super) struct View {
    /// The latest; none before the first.
    pub(super) snapshot: Option<Snapshot>,
    /// The last state that was known, which is shown while the cluster does not answer.
    pub(super) last: Option<ClusterStatus>,
    /// The node that keys are about.
    pub(super) selected: NodeId,
    /// What became of the last order, in one sentence, and when that was told.
    pub(super) message: Option<(String, Instant)>,
    /// The keys and columns are explained on top of the rest.
    pub(super) help: bool,
    /// The run directory.
    pub(super) place: String,
}

/// What a key asks for beyond a change of the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Nothing.
    None,
    /// A signal for nodes.
    Signal(Target, Signal),
    /// The end.
    Quit,
}

impl View {
    pub(super) fn new(place: String) -> View {
        View {
            snapshot: None,
            last: None,
            selected: NodeId(0),
            message: None,
            help: false,
            place,
        }
    }

    /// The nodes, by ID; none before the first answer.
    pub(super) fn nodes(&self) -> &[NodeStatus] {
        self.last.as_ref().map_or(&[], |status| &status.nodes)
    }

    /// Why nothing is known of the cluster now, if it is so.
    pub(super) fn absence(&self) -> Option<&str> {
        match &self.snapshot {
            Some(snapshot) => snapshot.status.as_ref().err().map(String::as_str),
            None => Some("asking …"),
        }
    }

    /// Takes in what the watching thread says.
    pub(super) fn hear(&mut self, news: News) {
        match news {
            News::Signalled(sentence) => self.message = Some((sentence, Instant::now())),
            News::Snapshot(snapshot) => {
                if let Ok(status) = &snapshot.status {
                    self.last = Some(status.clone());
                }
                self.snapshot = Some(snapshot);
                self.move_selection(0);
            }
        }
    }

    /// Forgets what was told long enough ago to have been read.
    pub(super) fn pass(&mut self, now: Instant) {
        let is_new = |at: Instant| now.saturating_duration_since(at) < READING;
        self.message.take_if(|(_, at)| !is_new(*at));
    }

    /// Does what a key asks for.
    pub(super) fn press(&mut self, key: KeyEvent) -> Order {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'C' | 'd' | 'D') if control => return Order::Quit,
            _ if control => return Order::None,
            KeyCode::Char('q' | 'Q') => return Order::Quit,
            // Whoever looks for a way out of the help does not want to leave.
            _ if self.help => self.help = false,
            KeyCode::Esc => return Order::Quit,
            KeyCode::Char('?' | 'h') => self.help = true,
            KeyCode::Up => self.move_selection(-1),
            KeyCode::Down => self.move_selection(1),
            KeyCode::Char(digit @ '0'..='9') => self.select(digit),
            KeyCode::Char('k') => return self.about_selected(Signal::SIGKILL),
            KeyCode::Char('s') => return self.about_selected(Signal::SIGSTOP),
            KeyCode::Char('c') => return self.about_selected(Signal::SIGCONT),
            KeyCode::Char('K') => return Order::Signal(Target::Coordinator, Signal::SIGKILL),
            KeyCode::Char('S') => return Order::Signal(Target::Coordinator, Signal::SIGSTOP),
            // A stopped coordinator is replaced, and then no longer the coordinator.
            KeyCode::Char('C') => return Order::Signal(Target::All, Signal::SIGCONT),
            _ => {}
        }
        Order::None
    }

    /// The position of the selected node in the list.
    pub(super) fn position(&self) -> Option<usize> {
        let mut nodes = self.nodes().iter();
        nodes.position(|node| node.id == self.selected)
    }

    fn about_selected(&self, signal: Signal) -> Order {
        Order::Signal(Target::Node(self.selected), signal)
    }

    fn select(&mut self, digit: char) {
        let id = digit.to_digit(10).and_then(|id| u8::try_from(id).ok());
        if let Some(id) = id.map(NodeId)
            && self.nodes().iter().any(|node| node.id == id)
        {
            self.selected = id;
        }
    }

    /// Moves within the list, and into it if the selected node is not there any more.
    fn move_selection(&mut self, by: isize) {
        let last = self.nodes().len().saturating_sub(1);
        let position = self.position().unwrap_or(0).saturating_add_signed(by);
        if let Some(node) = self.nodes().get(position.min(last)) {
            self.selected = node.id;
        }
    }
}
