use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ipc::control::WatchMode;
use laboratory::log::Log;
use nix::sys::signal::Signal;
use protocol::id::{Incarnation, NodeId, Term};
use protocol::status::{JobState, JobStatus};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use supervisor::control::{ClusterStatus, NodeState, NodeStatus, Role, Target};

use super::*;
use crate::commands::top::events::Lines;
use crate::commands::top::load::Load;
use crate::commands::top::view::Order;
use crate::commands::top::watch::{News, Snapshot};

fn node(id: u8, role: Role, state: NodeState) -> NodeStatus {
    NodeStatus {
        id: NodeId(id),
        pid: (state != NodeState::Waiting).then_some(4_000 + i32::from(id)),
        incarnation: Incarnation(1),
        role,
        state,
        restarts: u32::from(id),
        uptime_ms: 65_000,
        term: Term(7),
        held_bytes: 44_054,
        peak_held_bytes: 50_000,
        unreachable: false,
        slow_file_ms: 0,
    }
}

fn status(nodes: u8, jobs: usize) -> ClusterStatus {
    let mut all: Vec<NodeStatus> = (0..nodes)
        .map(|id| node(id, Role::Worker, NodeState::Running))
        .collect();
    let last = usize::from(nodes) - 1;
    all[last].role = Role::Coordinator;
    all[0].state = NodeState::Stopped;
    all[1] = node(1, Role::Recovering, NodeState::Waiting);
    ClusterStatus {
        term: Term(7),
        coordinator: Some(NodeId(nodes - 1)),
        watch: WatchMode::Notify,
        nodes: all,
        jobs: (0..jobs)
            .map(|index| JobStatus {
                name: format!("job-{index}"),
                state: JobState::Running,
                done: 25,
                total: 100,
                waits: None,
            })
            .collect(),
        ignored: Vec::new(),
        ignored_more: 0,
        lost_events: 0,
        lost_why: None,
    }
}

fn snapshot(status: Result<ClusterStatus, String>) -> Snapshot {
    let mut lines = Lines::default();
    let text = br#"{"mono_ns":1,"node":5,"incarnation":6,"event":"acting"}"#;
    for event in Log::parse(text).events {
        lines.add(&event);
    }
    let load = Load {
        cpu_percent: Some(41.7),
        resident_bytes: 12 << 20,
    };
    Snapshot {
        status,
        loads: BTreeMap::from([(4_005, load)]),
        events: lines.iter().cloned().collect(),
    }
}

fn view(nodes: u8, jobs: usize) -> View {
    let mut view = View::new("/run/bullpen".to_owned());
    view.hear(News::Snapshot(snapshot(Ok(status(nodes, jobs)))));
    view
}

fn page(view: &View, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, view)).unwrap();
    let buffer = terminal.backend().buffer();
    let row = |y| {
        (0..width)
            .map(|x| buffer[(x, y)].symbol())
            .collect::<String>()
    };
    (0..height).map(|y| row(y).trim_end().to_owned()).collect()
}

fn press(view: &mut View, code: KeyCode) -> Order {
    view.press(KeyEvent::new(code, KeyModifiers::NONE))
}

#[test]
fn a_page_of_80_by_24_has_everything() {
    let page = page(&view(6, 1), 80, 24);
    assert_eq!(page[0], "bullpen  term 7, node 5 coordinates  /run/bullpen");
    assert_eq!(
        page[1],
        "   ID ROLE         TERM STATE         PID RESTARTS  UPTIME   CPU    MEM   HELD"
    );
    assert_eq!(
        page[2],
        ">   0 worker          7 stopped      4000        0   1m05s     -      -    43K"
    );
    assert_eq!(
        page[3],
        "    1 -               - waiting         -        1       -     -      -      -"
    );
    assert_eq!(
        page[7],
        "    5 coordinator     7 running      4005        5   1m05s    42    12M    43K"
    );
    assert_eq!(page[8], "JOBS");
    assert_eq!(
        page[9],
        "job-0                running    ██████░░░░░░░░░░░░░░░░░░            25/100  25 %"
    );
    assert_eq!(page[10], "EVENTS (UTC)");
    assert!(
        page[11].ends_with("         5  acts as coordinator"),
        "{}",
        page[11]
    );
    assert!(
        page[23].starts_with("q quit  ? help  k kill  s stop  c continue  K S coordinator"),
        "{}",
        page[23]
    );
}

#[test]
fn a_wide_page_has_the_peak_too() {
    let page = page(&view(6, 0), 87, 24);
    assert!(page[1].ends_with("  HELD   PEAK"), "{}", page[1]);
    assert!(page[7].ends_with("   43K    48K"), "{}", page[7]);
}

#[test]
fn a_small_page_keeps_the_selected_node_the_jobs_and_the_keys() {
    let mut view = view(16, 40);
    for _ in 0..20 {
        press(&mut view, KeyCode::Down);
    }
    let page = page(&view, 60, 15);
    let text = page.join("\n");
    assert!(text.contains(">  15 coordinator"), "{text}");
    assert!(text.contains("JOBS: 40,"), "{text}");
    assert!(text.contains("job-0"), "{text}");
    assert!(text.contains("acts as coordinator"), "{text}");
    assert!(page[14].contains("quit"), "{text}");
    assert!(page[14].contains("K S coordinator"), "{text}");
}

#[test]
fn no_size_is_too_small_or_too_large() {
    for nodes in [2, 16] {
        let mut view = view(nodes, 300);
        for help in [false, true] {
            view.help = help;
            for width in [1, 2, 7, 20, 49, 61, 71, 79, 200, 500] {
                for height in [1, 2, 3, 5, 8, 13, 21, 100] {
                    page(&view, width, height);
                }
            }
        }
    }
}

#[test]
fn a_cluster_that_is_not_there_is_waited_for_in_words() {
    let mut view = View::new("/run/bullpen".to_owned());
    page(&view, 80, 24);
    view.hear(News::Snapshot(snapshot(Err("no bullpen runs".to_owned()))));
    let text = page(&view, 80, 24).join("\n");
    assert!(
        text.contains("no bullpen runs\n\nIt is shown here when it comes"),
        "{text}"
    );

    view.hear(News::Snapshot(snapshot(Ok(status(6, 0)))));
    let text = page(&view, 80, 24).join("\n");
    assert!(text.contains("JOBS: none open"), "{text}");

    view.hear(News::Snapshot(snapshot(Err("no bullpen runs".to_owned()))));
    let text = page(&view, 80, 24);
    assert!(text[0].contains("it does not answer"), "{}", text[0]);
    assert_eq!(text[23], "no bullpen runs");
}

#[test]
fn keys_select_and_signal() {
    let mut view = view(12, 0);
    let signal = |id, signal| Order::Signal(Target::Node(NodeId(id)), signal);
    assert_eq!(
        press(&mut view, KeyCode::Char('k')),
        signal(0, Signal::SIGKILL)
    );
    press(&mut view, KeyCode::Char('9'));
    press(&mut view, KeyCode::Down);
    press(&mut view, KeyCode::Down);
    press(&mut view, KeyCode::Down);
    assert_eq!(
        press(&mut view, KeyCode::Char('s')),
        signal(11, Signal::SIGSTOP)
    );
    press(&mut view, KeyCode::Up);
    assert_eq!(
        press(&mut view, KeyCode::Char('c')),
        signal(10, Signal::SIGCONT)
    );
    let coordinator = |signal| Order::Signal(Target::Coordinator, signal);
    assert_eq!(
        press(&mut view, KeyCode::Char('K')),
        coordinator(Signal::SIGKILL)
    );
    assert_eq!(
        press(&mut view, KeyCode::Char('S')),
        coordinator(Signal::SIGSTOP)
    );
    let all = Order::Signal(Target::All, Signal::SIGCONT);
    assert_eq!(press(&mut view, KeyCode::Char('C')), all);
}

#[test]
fn what_became_of_an_order_is_shown_for_a_while() {
    let mut view = view(6, 0);
    view.hear(News::Signalled("SIGKILL sent to node 5".to_owned()));
    let told = Instant::now();
    view.pass(told + Duration::from_secs(4));
    assert!(page(&view, 80, 24)[23].starts_with("SIGKILL sent to node 5  q quit"));
    view.pass(told + Duration::from_secs(6));
    assert!(page(&view, 80, 24)[23].starts_with("q quit"));
}

#[test]
fn q_escape_and_control_c_leave_and_the_help_is_closed_first() {
    let mut view = view(6, 0);
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(view.press(control_c), Order::Quit);
    assert_eq!(press(&mut view, KeyCode::Char('q')), Order::Quit);
    assert_eq!(press(&mut view, KeyCode::Esc), Order::Quit);
    press(&mut view, KeyCode::Char('?'));
    let text = page(&view, 60, 15).join("\n");
    assert!(text.contains("kill, stop the coordinator"), "{text}");
    assert!(text.contains("any key closes this"), "{text}");
    // With the help open a key that would signal does nothing but close it.
    assert_eq!(press(&mut view, KeyCode::Char('K')), Order::None);
    assert!(!view.help);
}
