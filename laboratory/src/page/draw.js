// The picture: an axis, terms, who coordinates, a lane a node, the work and the jobs.

const canvas = document.getElementById("picture");
const overview = document.getElementById("overview");
const SMALL = "11px system-ui, sans-serif";
const BOLD = "600 12px system-ui, sans-serif";

let colours = readColours(document.documentElement);
/** Set for paper: the width of the picture, and how many pixels one of its points has. */
let paper = null;
/** Where everything stands, from top to bottom. */
let layout = null;
/** The signs that were drawn last, for those who point at one: x, y, lane, marks. */
let drawn = [];
/** The mark that was chosen, by its position; none. */
let chosen = null;
let isWaiting = false;

/** Draws soon: many changes in one frame are drawn once. */
function redraw() {
  if (isWaiting) return;
  isWaiting = true;
  requestAnimationFrame(() => {
    isWaiting = false;
    draw();
  });
}

function arrange(width) {
  const isNarrow = width < 600;
  const many = data.nodes.length > 8;
  plot.left = isNarrow ? 42 : 92;
  plot.right = width - 12;
  const y = { isNarrow, width, axis: 0, terms: 26, reigns: 46 };
  y.lanes = y.reigns + 46;
  y.lane = many ? 36 : 46;
  y.bar = many ? 12 : 16;
  y.strip = many ? 6 : 9;
  let foot = y.lanes + y.lane * data.nodes.length + 8;
  y.work = operations ? foot : null;
  foot += operations ? 46 : 0;
  y.jobs = data.jobs.length > 0 ? foot + 4 : null;
  y.job = 18;
  foot += data.jobs.length > 0 ? jobRows.length * y.job + 8 + (jobsWithoutRow.length > 0 ? 16 : 0) : 0;
  y.foot = foot + 4;
  return y;
}

/** The place of a lane's bar; its signs stand above. */
function barOf(lane) {
  return layout.lanes + layout.lane * lane + layout.lane - layout.bar - layout.strip - 4;
}

function prepare(element, width, height) {
  const scale = paper ? paper.scale : Math.max(1, window.devicePixelRatio || 1);
  const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
  if (element.width !== w || element.height !== h) {
    element.width = w;
    element.height = h;
    element.style.height = `${height}px`;
  }
  const c = element.getContext("2d");
  c.setTransform(scale, 0, 0, scale, 0, 0);
  c.fillStyle = colours.ground;
  c.fillRect(0, 0, width, height);
  c.textBaseline = "middle";
  return c;
}

function draw() {
  const width = paper ? paper.width : canvas.parentElement.clientWidth;
  if (width === 0) return;
  layout = arrange(width);
  const c = prepare(canvas, width, layout.foot);
  drawn = [];
  drawBands(c);
  drawNames(c);
  c.save();
  c.beginPath();
  c.rect(plot.left - 7, 0, plot.right - plot.left + 14, layout.foot);
  c.clip();
  drawLosses(c);
  drawReigns(c);
  data.nodes.forEach((_, lane) => drawSpans(c, lane));
  if (operations) drawOperations(c);
  drawJobs(c);
  data.nodes.forEach((_, lane) => drawMarks(c, lane));
  c.restore();
  drawOverview(width);
  sayWindow();
}

/** Ticks, and the terms as bands over the whole height. */
function drawBands(c) {
  const { found, origin } = ticks(view.from, view.to, (plot.right - plot.left) / 90);
  c.font = SMALL;
  data.terms.forEach(([from, term], index) => {
    const to = data.terms[index + 1]?.[0] ?? data.length;
    const [left, right] = [Math.max(plot.left, xOf(from)), Math.min(plot.right, xOf(to))];
    if (right <= left) return;
    if (term % 2 === 1) {
      c.fillStyle = colours.band;
      c.fillRect(left, layout.terms, right - left, layout.foot - layout.terms);
    }
    if (term > 0) label(c, term, left, right, layout.terms + 9);
  });
  c.strokeStyle = colours.line;
  c.lineWidth = 1;
  c.beginPath();
  for (const { at } of found) {
    const x = Math.round(xOf(at)) + 0.5;
    c.moveTo(x, layout.terms - 6);
    c.lineTo(x, layout.foot);
  }
  c.stroke();
  c.fillStyle = colours.text;
  c.textAlign = "center";
  for (const { at, label: words } of found) {
    const text = origin !== 0 && at === origin ? momentWords(origin) : words;
    const half = c.measureText(text).width / 2;
    const x = Math.min(plot.right - half, Math.max(plot.left + half, xOf(at)));
    c.fillText(text, x, layout.axis + 12);
  }
}

/** Words in the middle of what is seen of a bar, if they fit. */
function label(c, words, left, right, y, colour = colours.text) {
  const text = String(words);
  if (right - left < 9 || c.measureText(text).width > right - left - 4) return false;
  c.textAlign = "center";
  c.fillStyle = colour;
  c.fillText(text, (left + right) / 2, y);
  return true;
}

function drawNames(c) {
  const x = plot.left - 10;
  c.textAlign = "right";
  c.fillStyle = colours.faint;
  c.font = SMALL;
  const say = (long, short, y) => c.fillText(layout.isNarrow ? short : long, x, y);
  say("term", "term", layout.terms + 9);
  say("coordinator", "coor.", layout.reigns + 28);
  if (layout.work !== null) say("operations", "ops", layout.work + 26);
  if (layout.jobs !== null) say("jobs", "jobs", layout.jobs + 9);
  c.font = BOLD;
  c.fillStyle = colours.text;
  data.nodes.forEach((node, lane) => {
    say(`node ${node}`, String(node), barOf(lane) + layout.bar / 2);
  });
}

/** Each time without a coordinator, over all lanes, so that cause and effect are on one line. */
function drawLosses(c) {
  for (const { from, to, kind } of data.absences) {
    if (kind !== "failover" || to < view.from || from > view.to) continue;
    const [left, right] = [Math.max(plot.left, xOf(from)), Math.min(plot.right, xOf(to))];
    c.fillStyle = colours["loss-band"];
    c.fillRect(left, layout.reigns + 18, Math.max(1.5, right - left), layout.foot - layout.reigns - 18);
  }
}

function drawReigns(c) {
  const [top, height] = [layout.reigns + 18, 20];
  c.font = BOLD;
  for (const [from, to, life] of data.reigns) {
    const [left, right] = [Math.max(plot.left, xOf(from)), Math.min(plot.right, xOf(to))];
    if (right < plot.left || left > plot.right) continue;
    c.fillStyle = colours.coordinator;
    c.fillRect(left, top, Math.max(0.5, right - left), height);
    const [node] = data.lives[life];
    const colour = colours["on-coordinator"];
    label(c, `node ${node}`, left, right, top + height / 2, colour) || label(c, node, left, right, top + height / 2, colour);
  }
  c.font = SMALL;
  let free = plot.left;
  for (const { from, to, kind } of data.absences) {
    if (to < view.from || from > view.to) continue;
    const isLoss = kind === "failover";
    const [left, right] = [Math.max(plot.left, xOf(from)), Math.min(plot.right, xOf(to))];
    const wide = Math.max(isLoss ? 3 : 1.5, right - left);
    c.fillStyle = isLoss ? colours.loss : kind === "handover" ? colours.handover : colours.line;
    // A loss stands out by its height too.
    c.fillRect(left, isLoss ? top - 4 : top, wide, isLoss ? height + 8 : height);
    const why = { failover: "no coordinator", handover: "hand-over", start: "start" }[kind];
    if (why) label(c, why, left, right, top + height / 2, isLoss ? colours["on-loss"] : colours["on-handover"]);
    if (!isLoss) continue;
    const words = `\u2717 ${lengthWords(to - from)}`;
    const half = c.measureText(words).width / 2;
    const middle = Math.min(plot.right - half, Math.max(plot.left + half, left + wide / 2));
    if (middle - half < free) continue;
    free = middle + half + 6;
    c.textAlign = "center";
    c.fillStyle = colours.bad;
    c.fillText(words, middle, layout.reigns + 7);
  }
}

function drawSpans(c, lane) {
  const top = barOf(lane);
  c.font = SMALL;
  let last = { x: -1, state: -1 };
  for (const { from, to, state } of spansOfLane[lane]) {
    if (to < view.from || from > view.to) continue;
    const [left, right] = [Math.max(plot.left, xOf(from)), Math.min(plot.right, xOf(to))];
    if (STATES[state] === "dead") {
      c.strokeStyle = colours.dead;
      c.lineWidth = 1.5;
      c.setLineDash([2, 4]);
      c.beginPath();
      c.moveTo(left, top + layout.bar / 2);
      c.lineTo(right, top + layout.bar / 2);
      c.stroke();
      c.setLineDash([]);
      label(c, "dead", left, right, top + layout.bar / 2 - 8, colours.dead);
      continue;
    }
    // Where many are on one pixel, one of each state is enough.
    if (right - last.x < 0.3 && state === last.state) continue;
    last = { x: right, state };
    const isCoordinator = STATES[state] === "coordinator";
    c.fillStyle = colours.fills[state];
    const [y, height] = isCoordinator ? [top - 2, layout.bar + 4] : [top, layout.bar];
    c.fillRect(left, y, Math.max(0.7, right - left), height);
    if (right - left < 20) continue;
    const colour = isCoordinator ? colours["on-coordinator"] : colours["on-worker"];
    if (["worker", "coordinator"].includes(STATES[state])) {
      label(c, STATES[state], left, right, top + layout.bar / 2 + 0.5, colour) ||
        label(c, isCoordinator ? "C" : "", left, right, top + layout.bar / 2 + 0.5, colour);
    } else {
      plate(c, STATES[state], left, right, top + layout.bar / 2 + 0.5);
    }
  }
}

/** Words on a ground of their own, where a pattern would make them hard to read. */
function plate(c, words, left, right, y) {
  const wide = c.measureText(words).width + 6;
  if (wide > right - left - 4) return;
  c.fillStyle = colours.ground;
  c.fillRect((left + right - wide) / 2, y - 6, wide, 12);
  label(c, words, left, right, y);
}

/** The marks of a lane. Where several would cover each other, the most telling one is drawn. */
function drawMarks(c, lane) {
  const y = barOf(lane) - 10;
  const radius = 5;
  const own = marksOfLane[lane];
  let group = null;
  const flush = () => {
    if (group) drawGroup(c, group, y, radius, lane);
  };
  for (let index = lowerMark(own, view.from); index < own.length; index++) {
    const mark = own[index];
    if (markAt[mark] > view.to) break;
    const kind = data.marks.kind[mark];
    if (!groupOfKind[kind]?.shown) continue;
    const x = xOf(markAt[mark]);
    if (group && x - group.begin < 2.4 * radius) {
      group.marks.push(mark);
      if (kind < group.kind) Object.assign(group, { kind, x });
    } else {
      flush();
      group = { x, begin: x, kind, marks: [mark] };
    }
  }
  flush();
}

function lowerMark(own, time) {
  let [low, high] = [0, own.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (markAt[own[middle]] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

function drawGroup(c, { x, kind, marks }, y, radius, lane) {
  const group = groupOfKind[kind];
  // What befell a node stands out from what all of them do about it.
  drawSign(c, group, x, y, group.isSmall ? radius * 0.7 : radius, colours);
  if (marks.includes(chosen)) {
    c.strokeStyle = colours.text;
    c.strokeRect(x - radius - 3, y - radius - 3, 2 * radius + 6, 2 * radius + 6);
  }
  drawn.push({ x, y, lane, marks });
}

/** The whole run, small, and where the window is in it. */
function drawOverview(width) {
  const height = 14;
  const c = prepare(overview, width, height);
  const x = (time) => plot.left + (time / whole) * (plot.right - plot.left);
  c.fillStyle = colours.coordinator;
  for (const [from, to] of data.reigns) c.fillRect(x(from), 4, Math.max(0.3, x(to) - x(from)), 6);
  c.fillStyle = colours.loss;
  for (const { from, to } of failovers) c.fillRect(x(from), 2, Math.max(1.5, x(to) - x(from)), 10);
  c.strokeStyle = colours.text;
  c.lineWidth = 1.5;
  c.strokeRect(x(view.from), 1, Math.max(3, x(view.to) - x(view.from)), height - 2);
}
