//! The nodes and the jobs.

use protocol::printable::printable;
use protocol::status::{JobState, JobStatus};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::style::{Modifier, Style, Stylize};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Row, Table, TableState};
use supervisor::control::{NodeState, NodeStatus, Role};

use super::amount;
use crate::commands::top::view::View;

/// A column of the nodes: its heading, its width, and the narrowest page that has it.
struct Column {
    heading: &'static str,
    width: u16,
    from: u16,
    cell: fn(&NodeStatus, &View) -> Text<'static>,
}

/// The first ten take 78 letters with the gaps, and the mark of the selected one two.
const COLUMNS: [Column; 11] = [
    Column {
        heading: "ID",
        width: 3,
        from: 0,
        cell: |node, _| right(node.id.to_string()),
    },
    Column {
        heading: "ROLE",
        width: 11,
        from: 0,
        cell: |node, _| role(node),
    },
    Column {
        heading: "TERM",
        width: 5,
        from: 80,
        cell: |node, _| right(of_process(node, |node| node.term.to_string())),
    },
    Column {
        heading: "STATE",
        width: 8,
        from: 0,
        cell: |node, _| state(node.state),
    },
    Column {
        heading: "PID",
        width: 8,
        from: 0,
        cell: |node, _| {
            right(
                node.pid
                    .map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            )
        },
    },
    Column {
        heading: "RESTARTS",
        width: 8,
        from: 50,
        cell: |node, _| right(node.restarts.to_string()),
    },
    Column {
        heading: "UPTIME",
        width: 7,
        from: 60,
        cell: |node, _| right(of_process(node, |node| amount::age(node.uptime_ms))),
    },
    Column {
        heading: "CPU",
        width: 5,
        from: 66,
        cell: |node, view| right(load(node, view).0),
    },
    Column {
        heading: "MEM",
        width: 6,
        from: 72,
        cell: |node, view| right(load(node, view).1),
    },
    Column {
        heading: "HELD",
        width: 6,
        from: 80,
        cell: |node, _| right(of_process(node, |node| amount::bytes(node.held_bytes))),
    },
    Column {
        heading: "PEAK",
        width: 6,
        from: 87,
        cell: |node, _| right(of_process(node, |node| amount::bytes(node.peak_held_bytes))),
    },
];

/// A heading of a part of the page.
pub(super) struct Heading(Line<'static>);

pub(super) fn heading(text: &'static str) -> Heading {
    Heading(Line::from(text.bold().underlined()))
}

impl Heading {
    pub(super) fn into_line(self) -> Line<'static> {
        self.0
    }
}

pub(super) fn nodes(frame: &mut Frame, area: Rect, view: &View) {
    let shown = || COLUMNS.iter().filter(|column| area.width >= column.from);
    let rows = view.nodes().iter().map(|node| {
        let row = Row::new(shown().map(|column| (column.cell)(node, view)));
        match node.role {
            // What was so when it was last heard of.
            _ if view.absence().is_some() => row.dim(),
            Role::Coordinator if node.state == NodeState::Running => row.bold(),
            _ => row,
        }
    });
    let headings = shown().map(|column| {
        let is_right = !matches!(column.heading, "ROLE" | "STATE");
        let side = if is_right {
            Alignment::Right
        } else {
            Alignment::Left
        };
        Text::from(column.heading.bold().underlined()).alignment(side)
    });
    let table = Table::new(rows, shown().map(|column| Constraint::Length(column.width)))
        .header(Row::new(headings))
        .highlight_symbol("> ")
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut selection = TableState::new().with_selected(view.position());
    frame.render_stateful_widget(table, area, &mut selection);
}

pub(super) fn jobs(frame: &mut Frame, area: Rect, view: &View) {
    let jobs = view.last.as_ref().map_or(&[][..], |status| &status.jobs);
    let widths = [area.width / 4, 10, 0, 17, 5];
    let taken: u16 = widths.iter().sum();
    // Four gaps.
    let bar = area.width.saturating_sub(taken.saturating_add(4));
    let room = usize::from(area.height.saturating_sub(1));
    let hidden = jobs.len().saturating_sub(room);
    let rows = jobs.iter().take(room).map(|job| job_row(job, bar));
    let title = match (jobs.len(), hidden) {
        (0, _) => "JOBS: none open".to_owned(),
        (_, 0) => "JOBS".to_owned(),
        (all, hidden) => format!("JOBS: {all}, {hidden} more than fit"),
    };
    let [first, rest] =
        ratatui::layout::Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    frame.render_widget(Line::from(title.bold().underlined()), first);
    let widths = [widths[0], widths[1], bar, widths[3], widths[4]].map(Constraint::Length);
    frame.render_widget(Table::new(rows, widths), rest);
}

fn job_row(job: &JobStatus, bar: u16) -> Row<'static> {
    let state = match job.state {
        JobState::Running => "running",
        JobState::Publishing => "publishing",
    };
    let (count, percent) = match job.total {
        0 => ("-".to_owned(), "-".to_owned()),
        total => {
            let percent = u128::from(job.done) * 100 / u128::from(total);
            (format!("{}/{total}", job.done), format!("{percent} %"))
        }
    };
    Row::new([
        Text::from(printable(&job.name).into_owned()),
        Text::from(state),
        Text::from(amount::bar(job.done, job.total, bar)),
        right(count),
        right(percent),
    ])
}

fn right(text: String) -> Text<'static> {
    Text::from(text).alignment(Alignment::Right)
}

/// What only a process has.
fn of_process(node: &NodeStatus, text: impl Fn(&NodeStatus) -> String) -> String {
    if node.pid.is_some() {
        text(node)
    } else {
        "-".to_owned()
    }
}

fn role(node: &NodeStatus) -> Text<'static> {
    if node.pid.is_none() {
        return Text::from("-");
    }
    let word = Span::from(node.role_words());
    Text::from(match node.role {
        Role::Coordinator if node.state == NodeState::Running => word.green(),
        Role::Candidate | Role::Recovering | Role::Stale => word.magenta(),
        Role::Coordinator | Role::Worker => word,
    })
}

fn state(state: NodeState) -> Text<'static> {
    let word = Span::from(state.to_string());
    Text::from(match state {
        NodeState::Running => word,
        NodeState::Stopped => word.magenta().bold(),
        NodeState::Waiting => word.red().bold(),
    })
}

/// Processor and memory.
fn load(node: &NodeStatus, view: &View) -> (String, String) {
    let loads = view.snapshot.as_ref().map(|snapshot| &snapshot.loads);
    let load = node.pid.and_then(|pid| loads?.get(&pid).copied());
    let Some(load) = load else {
        return ("-".to_owned(), "-".to_owned());
    };
    let percent = load.cpu_percent;
    let percent = percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent:.0}"));
    (percent, amount::bytes(load.resident_bytes))
}
