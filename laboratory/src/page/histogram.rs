//! How long failovers took, as a picture: a row a cause, over a common logarithmic axis.

use std::collections::BTreeMap;

use super::html::escape;
use super::summary::milliseconds;
use crate::failovers::{Cause, Failover};

const WIDTH: f64 = 720.0;
/// Where the axis begins and ends.
const LEFT: f64 = 96.0;
const RIGHT: f64 = WIDTH - 150.0;
const ROW: f64 = 64.0;
const BAR: f64 = 44.0;
const BINS_A_DECADE: f64 = 8.0;

/// An SVG element; nothing for no failovers.
pub(super) fn svg(failovers: &[Failover]) -> String {
    let mut rows: BTreeMap<&Cause, Vec<f64>> = BTreeMap::new();
    for failover in failovers {
        // A logarithm needs something above nothing: a microsecond.
        let ms = failover.ms.max(0.001);
        rows.entry(&failover.cause).or_default().push(ms);
    }
    let Some(axis) = Axis::of(rows.values().flatten().copied()) else {
        return String::new();
    };
    let counts: Vec<Vec<usize>> = rows.values().map(|row| axis.count(row)).collect();
    let most = counts.iter().flatten().copied().max().unwrap_or(1);

    let height = ROW * rows.len() as f64 + 34.0;
    let mut svg = format!(
        "<svg class=\"histogram\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"How long failovers took, by cause; the table below has the numbers\">\n"
    );
    svg.push_str(&axis.lines(ROW * rows.len() as f64));
    for (index, (cause, row)) in rows.iter_mut().enumerate() {
        row.sort_by(f64::total_cmp);
        let foot = ROW * (index as f64 + 1.0) - 8.0;
        svg.push_str(&bars(&axis, &counts[index], most, foot));
        svg.push_str(&words(&escape(&cause.to_string()), row, foot));
    }
    svg.push_str("</svg>\n");
    svg
}

/// Bins of equal width on a logarithmic scale, over whole decades of milliseconds.
struct Axis {
    first_decade: f64,
    decades: f64,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Option<Axis> {
        let least = values.clone().reduce(f64::min)?;
        let greatest = values.reduce(f64::max)?;
        let first_decade = least.log10().floor();
        let decades = (greatest.log10().floor() + 1.0 - first_decade).max(1.0);
        Some(Axis {
            first_decade,
            decades,
        })
    }

    fn bins(&self) -> usize {
        (self.decades * BINS_A_DECADE) as usize
    }

    fn count(&self, values: &[f64]) -> Vec<usize> {
        let mut counts = vec![0; self.bins()];
        for value in values {
            let bin = (value.log10() - self.first_decade) * BINS_A_DECADE;
            let last = counts.len() - 1;
            counts[(bin.max(0.0) as usize).min(last)] += 1;
        }
        counts
    }

    /// The milliseconds at which a bin begins.
    fn begin(&self, bin: usize) -> f64 {
        10_f64.powf(self.first_decade + bin as f64 / BINS_A_DECADE)
    }

    fn x(&self, bin: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * bin / (self.decades * BINS_A_DECADE)
    }

    fn lines(&self, foot: f64) -> String {
        let mut lines = String::new();
        for decade in 0..=self.decades as usize {
            let bin = decade as f64 * BINS_A_DECADE;
            let (x, y) = (self.x(bin), foot + 16.0);
            let label = milliseconds_short(self.begin(bin as usize));
            lines.push_str(&format!(
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"6\" y2=\"{foot:.1}\"/>\
                 <text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{label}</text>\n"
            ));
        }
        lines
    }
}

/// A decade of milliseconds.
fn milliseconds_short(ms: f64) -> String {
    if ms < 0.999 {
        format!("{:.0} µs", ms * 1_000.0)
    } else if ms < 999.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{:.0} s", ms / 1_000.0)
    }
}

fn bars(axis: &Axis, counts: &[usize], most: usize, foot: f64) -> String {
    let mut bars = format!(
        "<line class=\"base\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{foot:.1}\" y2=\"{foot:.1}\"/>\n"
    );
    for (bin, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let (x, end) = (axis.x(bin as f64), axis.x(bin as f64 + 1.0));
        let height = BAR * count as f64 / most as f64;
        let (from, to) = (axis.begin(bin), axis.begin(bin + 1));
        bars.push_str(&format!(
            "<rect class=\"bar\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\">\
             <title>{count} of {} to {}</title></rect>\n",
            x + 0.5,
            foot - height,
            (end - x - 1.0).max(1.0),
            milliseconds(from),
            milliseconds(to),
        ));
    }
    bars
}

/// The name of a row, how many it holds, its median and its greatest value, of sorted values.
fn words(name: &str, sorted: &[f64], foot: f64) -> String {
    // Of an even number, the mean of the two in the middle.
    let median = (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0;
    let greatest = sorted.last().copied().unwrap_or(median);
    let count = sorted.len();
    let (name_y, count_y) = (foot - 22.0, foot - 6.0);
    format!(
        "<text class=\"name\" x=\"{name_x}\" y=\"{name_y:.1}\" text-anchor=\"end\">{name}</text>\
         <text x=\"{name_x}\" y=\"{count_y:.1}\" text-anchor=\"end\">{count} ×</text>\
         <text x=\"{words_x}\" y=\"{name_y:.1}\">median {}</text>\
         <text x=\"{words_x}\" y=\"{count_y:.1}\">longest {}</text>\n",
        milliseconds(median),
        milliseconds(greatest),
        name_x = LEFT - 10.0,
        words_x = RIGHT + 12.0,
    )
}
