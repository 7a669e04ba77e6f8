// Traced operations: as counts from afar, one by one from close.

/** More are not drawn one by one. */
const MOST_BOXES = 600;
/** With no more than so many, the way of each is drawn: assigned, computed, checkpointed. */
const MOST_WAYS = 150;
const BIN = 3;

function drawOperations(c) {
  const first = firstFrom(operationAt, view.from - longestOperation);
  const last = firstFrom(operationAt, view.to);
  const isCounted = operations.counts !== null && !areAllNear();
  const bins = isCounted ? countsByBin() : binsOf(first, last);
  const most = Math.max(1, ...bins.map((row) => row.reduce((most, count) => Math.max(most, count), 0)));
  const areBoxes = !isCounted && last - first <= MOST_BOXES;
  drawWork(c, bins, areBoxes);
  if (areBoxes) {
    drawBoxes(c, first, last);
  } else {
    data.nodes.forEach((_, lane) => drawStrip(c, lane, bins[lane], most));
  }
}

/** Whether all operations of the window are known one by one: it is near a failover. */
function areAllNear() {
  const margin = operations.margin_us;
  if (margin === null) return false;
  return failovers.some(({ from, to }) => view.from >= from - margin && view.to <= to + margin);
}

function emptyBins() {
  const count = Math.ceil((plot.right - plot.left) / BIN) + 1;
  return data.nodes.map(() => new Float64Array(count));
}

/** Finished operations by lane and by bin of some pixels. */
function binsOf(first, last) {
  const bins = emptyBins();
  for (let index = first; index < last; index++) {
    const took = operations.took[index];
    const at = operationAt[index] + took;
    if (took < 0 || at < view.from || at > view.to) continue;
    bins[laneOfLife[operations.worker[index]]][Math.floor((xOf(at) - plot.left) / BIN)] += 1;
  }
  return bins;
}

function countsByBin() {
  const bins = emptyBins();
  const { slice_us: slice, rows } = operations.counts;
  const [first, last] = [Math.floor(view.from / slice), Math.ceil(view.to / slice)];
  rows.forEach((row, lane) => {
    for (let index = first; index < Math.min(last, row.length); index++) {
      // A slice that is wider than a bin is spread over all that it covers.
      const from = Math.max(0, Math.floor((xOf(index * slice) - plot.left) / BIN));
      const to = Math.max(from + 1, Math.floor((xOf((index + 1) * slice) - plot.left) / BIN));
      for (let bin = from; bin < Math.min(to, bins[lane].length); bin++) {
        bins[lane][bin] += row[index] / (to - from);
      }
    }
  });
  return bins;
}

function drawStrip(c, lane, bins, most) {
  const foot = barOf(lane) + layout.bar + layout.strip + 2;
  c.fillStyle = colours.load;
  bins.forEach((count, bin) => {
    if (count === 0) return;
    const height = Math.max(1, (layout.strip * count) / most);
    c.fillRect(plot.left + bin * BIN, foot - height, BIN, height);
  });
}

/** All nodes together: whether the work goes on. */
function drawWork(c, bins, areFew) {
  const sums = bins[0].map((_, bin) => bins.reduce((sum, row) => sum + row[bin], 0));
  const most = sums.reduce((most, sum) => Math.max(most, sum), 0);
  const [top, height] = [layout.work + 8, 32];
  c.fillStyle = colours.load;
  sums.forEach((sum, bin) => {
    const high = most > 0 ? (height * sum) / most : 0;
    if (sum > 0) c.fillRect(plot.left + bin * BIN, top + height - Math.max(1, high), BIN, Math.max(1, high));
  });
  c.strokeStyle = colours.line;
  c.strokeRect(plot.left, top + height + 0.5, plot.right - plot.left, 0);
  if (most === 0) return;
  const binLength = ((view.to - view.from) / (plot.right - plot.left)) * BIN;
  const number = (count) => Math.round(count).toLocaleString("en");
  const words = areFew
    ? `${number(sums.reduce((all, sum) => all + sum, 0))} done`
    : `up to ${number((most / binLength) * 1e6)} a second`;
  c.font = SMALL;
  const wide = c.measureText(words).width + 8;
  c.fillStyle = colours.ground;
  c.globalAlpha = 0.85;
  c.fillRect(plot.left, top - 5, wide, 13);
  c.globalAlpha = 1;
  c.fillStyle = colours.text;
  c.textAlign = "left";
  c.fillText(words, plot.left + 4, top + 2);
}

function drawBoxes(c, first, last) {
  const seen = [];
  c.fillStyle = colours.load;
  for (let index = first; index < last; index++) {
    const took = Math.max(0, operations.took[index]);
    const from = operationAt[index];
    if (from + took < view.from) continue;
    seen.push(index);
    const top = barOf(laneOfLife[operations.worker[index]]) + layout.bar + 2;
    const left = Math.max(plot.left, xOf(from));
    const right = Math.min(plot.right, xOf(from + took));
    c.fillRect(left, top, Math.max(1.2, right - left), layout.strip);
  }
  if (seen.length <= MOST_WAYS) for (const index of seen) drawWay(c, index);
}

/** From the coordinator to the worker, and back into the checkpoint. */
function drawWay(c, index) {
  const y = (life) => barOf(laneOfLife[life]) + layout.bar + 2 + layout.strip / 2;
  const there = y(operations.worker[index]);
  const from = operationAt[index];
  const to = from + Math.max(0, operations.took[index]);
  c.strokeStyle = colours.load;
  c.lineWidth = 0.8;
  c.beginPath();
  if (operations.waited[index] >= 0) {
    c.moveTo(xOf(from - operations.waited[index]), y(operations.by[index]));
    c.lineTo(xOf(from), there);
  }
  if (operations.sent[index] >= 0) {
    c.moveTo(xOf(to), there);
    c.lineTo(xOf(to + operations.sent[index]), y(operations.into[index]));
  }
  c.stroke();
}

/** The operation that a place of a lane shows, if they are drawn one by one; -1 if none. */
function operationNear(lane, x) {
  const first = firstFrom(operationAt, view.from - longestOperation);
  const last = firstFrom(operationAt, view.to);
  if (last - first > MOST_BOXES) return -1;
  let [best, distance] = [-1, 4];
  for (let index = first; index < last; index++) {
    if (laneOfLife[operations.worker[index]] !== lane) continue;
    const left = xOf(operationAt[index]);
    const right = xOf(operationAt[index] + Math.max(0, operations.took[index]));
    const away = Math.max(left - x, x - right, 0);
    if (away < distance) [best, distance] = [index, away];
  }
  return best;
}
