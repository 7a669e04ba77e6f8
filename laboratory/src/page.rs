//! A report as one page: HTML that needs nothing but itself.
//!
//! ```text
//!   Report ─▶ lanes · reigns · jobs · marks · operations ─▶ JSON ─┐
//!          └▶ summary · histogram · tables ─▶ HTML ───────────────┼─▶ page
//!             page/page.html, page.css, *.js ─────────────────────┘
//! ```
//!
//! The analysis happens here; the page's script only draws it and lets a reader zoom in.
//! Everything from the log may be malicious: it is escaped in the page, the
//! script turns it into text and never into markup, and the page's policy allows only this very
//! script, and no requests at all.

mod clock;
mod histogram;
mod html;
mod jobs;
mod lanes;
mod lives;
mod marks;
mod operations;
mod reigns;
mod summary;
#[cfg(test)]
mod tests;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest, Sha256};

use self::clock::Clock;
use self::html::{escape, isolated};
use self::jobs::Job;
use self::lives::Lives;
use self::marks::Marks;
use self::operations::Operations;
use self::reigns::Reigns;
use crate::failovers::Failover;
use crate::log::Log;
use crate::report::Report;
use crate::verdict::Violation;

const TEMPLATE: &str = include_str!("page/page.html");
const STYLE: &str = concat!(
    include_str!("page/colours.css"),
    include_str!("page/page.css")
);
/// The parts of the script, in the order in which they need each other.
const SCRIPT: [&str; 9] = [
    include_str!("page/data.js"),
    include_str!("page/time.js"),
    include_str!("page/view.js"),
    include_str!("page/glyphs.js"),
    include_str!("page/draw.js"),
    include_str!("page/jobs.js"),
    include_str!("page/operations.js"),
    include_str!("page/words.js"),
    include_str!("page/input.js"),
];
/// More violations than this are only counted: they probably have one cause.
const MOST_VIOLATIONS: usize = 50;
/// How much is shown on both sides of an event of a violation, in seconds.
const BESIDE_S: f64 = 0.01;

/// The page of a report. It holds its data, its style and its script, and fetches nothing.
pub fn render(report: &Report) -> String {
    let log = &report.log;
    let clock = Clock::of(log);
    let lives = Lives::of(log);
    let jobs = jobs::jobs(log, clock);
    let reigns = Reigns::of(log, &report.failovers, clock, &lives);
    let cards = summary::cards(
        log,
        &report.figures,
        clock,
        &reigns,
        &jobs,
        &report.failovers,
    );
    let description = summary::description(clock, &reigns, &report.failovers, &jobs);
    let (picture, left_out) = Picture::of(report, clock, lives, reigns, jobs);

    let style = STYLE.trim_end();
    let script = format!("\"use strict\";\n(() => {{\n{}}})();\n", SCRIPT.concat());
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(&script),
        hash(style)
    );
    let begun = log.events.first().map_or("", |event| event.text("ts"));
    html::fill(
        TEMPLATE,
        &[
            ("policy", &policy),
            ("title", &escape(&report.title)),
            ("begun", &escape(begun)),
            ("badge", &badge(report.verdict.as_deref())),
            ("cards", &cards_html(&cards)),
            ("description", &escape(&description)),
            ("left_out", &sentences(&left_out)),
            ("verdict", &verdict(report.verdict.as_deref(), clock)),
            ("failovers", &failovers(&report.failovers, clock)),
            ("settings", &html::table("Settings", &report.settings)),
            ("figures", &html::table("Figures", &report.rows)),
            ("data", &html::json(&picture)),
            ("style", style),
            ("script", &script),
        ],
    )
}

/// What the script draws. Times in microseconds of the run.
#[derive(Debug, Serialize)]
struct Picture {
    /// When the first event was written.
    begun: String,
    length: u64,
    /// IDs, the highest first: the order of the lanes.
    nodes: Vec<u64>,
    /// Node, incarnation, pid.
    lives: Vec<[u64; 3]>,
    /// Node, from, to, state, life.
    spans: Vec<lanes::Span>,
    #[serde(flatten)]
    reigns: Reigns,
    jobs: Vec<Job>,
    marks: Marks,
    operations: Option<Operations>,
}

impl Picture {
    /// The picture, and sentences on what is not in it.
    fn of(
        report: &Report,
        clock: Clock,
        lives: Lives,
        reigns: Reigns,
        jobs: Vec<Job>,
    ) -> (Picture, Vec<String>) {
        let log = &report.log;
        let (marks, fewer_marks) = Marks::of(log, clock, &lives);
        let (operations, fewer_operations) = Operations::of(log, clock, &lives, &report.failovers);
        let mut left_out = missing(log);
        left_out.extend(fewer_marks);
        left_out.extend(fewer_operations);
        let picture = Picture {
            begun: log
                .events
                .first()
                .map_or("", |event| event.text("ts"))
                .to_owned(),
            length: clock.length_us(),
            nodes: lives.nodes(),
            spans: lanes::spans(log, &report.failovers, clock, &lives),
            reigns,
            jobs,
            marks,
            operations,
            lives: lives.rows,
        };
        (picture, left_out)
    }
}

/// Why events are missing, as far as the log tells.
fn missing(log: &Log) -> Vec<String> {
    let mut why = Vec::new();
    match log.torn.len() {
        0 => {}
        1 => why.push("1 line of the log is torn, so an event may be missing".to_owned()),
        torn => why.push(format!(
            "{torn} lines of the log are torn, so events may be missing"
        )),
    }
    if log.lost > 0 {
        why.push("the log could not be written at times, so events are missing".to_owned());
    }
    if log.is_cut {
        why.push("the first files of the log are gone, so the run began earlier".to_owned());
    }
    why
}

fn hash(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text.as_bytes()))
}

fn badge(verdict: Option<&[Violation]>) -> String {
    match verdict {
        None => String::new(),
        Some([]) => "<p class=\"badge sound\">✓ sound</p>".to_owned(),
        Some([_]) => "<p class=\"badge broken\">✗ 1 violation</p>".to_owned(),
        Some(violations) => {
            format!(
                "<p class=\"badge broken\">✗ {} violations</p>",
                violations.len()
            )
        }
    }
}

fn verdict(verdict: Option<&[Violation]>, clock: Clock) -> String {
    let Some(violations) = verdict else {
        return String::new();
    };
    let shown = violations.iter().take(MOST_VIOLATIONS);
    let mut words: String = shown.map(|violation| article(violation, clock)).collect();
    if violations.is_empty() {
        words.push_str("<p>Sound: every invariant held.</p>\n");
    }
    if violations.len() > MOST_VIOLATIONS {
        let more = violations.len() - MOST_VIOLATIONS;
        words.push_str(&format!("<p>And {more} more.</p>\n"));
    }
    format!("<section id=\"verdict\"><h2>Verdict</h2>\n{words}</section>\n")
}

fn article(violation: &Violation, clock: Clock) -> String {
    let events: String = violation
        .events
        .iter()
        .map(|event| {
            let line = escape(&event.to_string());
            let at = clock.us(event.at()) as f64 / 1e6;
            let (from, to) = ((at - BESIDE_S).max(0.0), at + BESIDE_S);
            format!(
                "<li><a href=\"#from={from:.6}&amp;to={to:.6}\"><code dir=\"ltr\">{line}</code></a></li>\n"
            )
        })
        .collect();
    format!(
        "<article class=\"violation\"><h3>{} {}</h3>\n<ul>\n{events}</ul></article>\n",
        escape(violation.invariant),
        isolated(&violation.message)
    )
}

fn cards_html(cards: &[(String, String)]) -> String {
    let cards = cards.iter().map(|(name, value)| {
        format!(
            "<div><dt>{}</dt><dd>{}</dd></div>\n",
            escape(name),
            escape(value)
        )
    });
    cards.collect()
}

fn sentences(left_out: &[String]) -> String {
    let sentences = left_out
        .iter()
        .map(|sentence| format!("<li>{}</li>\n", escape(sentence)));
    let sentences: String = sentences.collect();
    if sentences.is_empty() {
        return sentences;
    }
    format!("<ul class=\"left-out\">\n{sentences}</ul>")
}

fn failovers(failovers: &[Failover], clock: Clock) -> String {
    if failovers.is_empty() {
        return String::new();
    }
    let rows: String = failovers
        .iter()
        .map(|failover| failover_row(failover, clock))
        .collect();
    format!(
        "<section id=\"failovers\"><h2>How long it was without a coordinator</h2>\n\
         <p>From the moment that the coordinator was lost to the moment that the next one acts; the axis is logarithmic.</p>\n\
         {}<details><summary>All {} failovers</summary>\n<table class=\"events\">\n\
         <thead><tr><th>at</th><th>lost</th><th>cause</th><th>next</th><th>without</th></tr></thead>\n\
         <tbody>\n{rows}</tbody></table></details></section>\n",
        histogram::svg(failovers),
        failovers.len()
    )
}

fn failover_row(failover: &Failover, clock: Clock) -> String {
    let at = clock.us(failover.at_ns) as f64 / 1e6;
    let length = failover.ms / 1_000.0;
    // Room on both sides, to show the causes and the effects.
    let (from, to) = ((at - length).max(0.0), at + 2.5 * length);
    format!(
        "<tr><td><a href=\"#from={from:.6}&amp;to={to:.6}\">{at:.3} s</a></td><td>node {}</td>\
         <td>{}{}</td><td>node {}</td><td>{}</td></tr>\n",
        failover.node,
        escape(&failover.cause.to_string()),
        if failover.injected { " (injected)" } else { "" },
        failover.successor,
        summary::milliseconds(failover.ms)
    )
}
