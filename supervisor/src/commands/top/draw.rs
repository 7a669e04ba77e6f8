//! One page: what is so, from top to bottom by what matters most.

mod amount;
mod table;

#[cfg(test)]
mod tests;

use humantime::format_rfc3339_millis;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Stylize;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};

use super::view::View;

/// Draws the page. Nothing is told by colour alone, and no background is set, so that it is
/// readable on any.
pub(super) fn draw(frame: &mut Frame, view: &View) {
    let nodes = u16::try_from(view.nodes().len()).unwrap_or(u16::MAX);
    let jobs = view.last.as_ref().map_or(0, |status| status.jobs.len());
    let jobs = u16::try_from(jobs).unwrap_or(u16::MAX);
    let areas = areas(frame.area(), nodes, jobs);
    frame.render_widget(Paragraph::new(header(view)), areas.header);
    if view.nodes().is_empty() {
        let why = view.absence().unwrap_or("no nodes");
        let text = format!("{why}\n\nIt is shown here when it comes; q leaves.");
        let all = areas.nodes.union(areas.events);
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), all);
    } else {
        table::nodes(frame, areas.nodes, view);
        table::jobs(frame, areas.jobs, view);
        events(frame, areas.events, view);
    }
    frame.render_widget(Paragraph::new(footer(view)), areas.footer);
    if view.help {
        help(frame);
    }
}

/// Where what stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Areas {
    header: Rect,
    nodes: Rect,
    jobs: Rect,
    events: Rect,
    footer: Rect,
}

/// The nodes come first, with a line for their heading; then a job at the least, and three events.
/// What is left over goes to the jobs up to half of it, and then to the events.
fn areas(area: Rect, nodes: u16, jobs: u16) -> Areas {
    let inner = area.height.saturating_sub(2);
    let wanted = nodes.saturating_add(1);
    // Events and jobs need two and four lines, with their headings.
    let for_nodes = wanted.min(inner.saturating_sub(6).max(inner / 2));
    let rest = inner.saturating_sub(for_nodes);
    let for_jobs = jobs.max(1).saturating_add(1).min((rest / 2).max(2));
    let [header, nodes, jobs, events, footer] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(for_nodes),
        Constraint::Length(for_jobs),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(area);
    Areas {
        header,
        nodes,
        jobs,
        events,
        footer,
    }
}

fn header(view: &View) -> Line<'static> {
    let mut spans = vec!["bullpen".bold()];
    if let Some(status) = &view.last {
        spans.push(format!("  term {}, ", status.term).into());
        let coordinator = status.who_coordinates("no coordinator now");
        match (view.absence(), status.coordinator) {
            (Some(_), _) => spans.push("it does not answer".bold().red()),
            (None, Some(_)) => spans.push(coordinator.into()),
            (None, None) => spans.push(coordinator.bold().red()),
        }
    }
    spans.push(format!("  {}", view.place).into());
    Line::from(spans)
}

/// Those that nobody can do without come first: a narrow page cuts the others off.
const KEYS: [(&str, &str); 8] = [
    ("q", "quit"),
    ("?", "help"),
    ("k", "kill"),
    ("s", "stop"),
    ("c", "continue"),
    ("K S", "coordinator"),
    ("C", "all"),
    ("↑↓", "select"),
];

/// What became of the last order, for a while, and the keys.
fn footer(view: &View) -> Line<'static> {
    if let (Some(why), false) = (view.absence(), view.nodes().is_empty()) {
        return Line::from(why.to_owned().bold());
    }
    let mut spans: Vec<Span> = Vec::new();
    if let Some((message, _)) = &view.message {
        spans.push(format!("{message}  ").bold());
    }
    for (key, what) in KEYS {
        spans.push(key.reversed());
        spans.push(format!(" {what}  ").into());
    }
    Line::from(spans)
}

fn events(frame: &mut Frame, area: Rect, view: &View) {
    let [heading, area] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    frame.render_widget(table::heading("EVENTS (UTC)").into_line(), heading);
    let all = view
        .snapshot
        .as_ref()
        .map_or(&[][..], |snapshot| &snapshot.events);
    let shown = &all[all.len().saturating_sub(usize::from(area.height))..];
    let lines = shown.iter().map(|line| {
        let at = format_rfc3339_millis(line.at).to_string();
        let time = at.get(11..23).unwrap_or_default().to_owned();
        let who = format!("{:>8}", line.who());
        Line::from(vec![
            time.into(),
            "  ".into(),
            who.bold(),
            format!("  {}", line.what()).into(),
        ])
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}

const HELP: [&str; 12] = [
    "up, down, 0-9      select a node",
    "k  s  c            kill, stop, continue it",
    "K  S               kill, stop the coordinator",
    "C                  continue all that are stopped",
    "q, Esc, Ctrl-C     leave; the cluster goes on",
    "",
    "TERM   highest term that the node knows",
    "CPU    of one core, %;  MEM  resident memory",
    "HELD   products in its copy of the checkpoint;",
    "PEAK   the most of them in its life",
    "STATE  running, stopped, waiting for its restart",
    "               any key closes this",
];

fn help(frame: &mut Frame) {
    let area = frame.area();
    let page = area.centered(
        Constraint::Length(50.min(area.width)),
        Constraint::Length(14.min(area.height)),
    );
    frame.render_widget(Clear, page);
    let text: Vec<Line> = HELP.iter().map(|&line| Line::from(line)).collect();
    let block = Block::bordered().title(" Keys and columns ");
    frame.render_widget(Paragraph::new(text).block(block), page);
}
