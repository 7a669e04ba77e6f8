// What a reader does: pointer, wheel, fingers, keys, buttons, the legend, paper.

const frame = canvas.parentElement;
const fingers = new Map();
let selection = null;

function place(event) {
  const box = canvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

canvas.addEventListener("wheel", (event) => {
  const isSideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
  const turned = event.deltaY || event.deltaX;
  // There is nothing further away: the page may scroll.
  if (!isSideways && turned > 0 && isWhole()) return;
  event.preventDefault();
  if (isSideways) move((event.deltaX || event.deltaY) / 1000);
  else zoom(Math.exp(Math.max(-1, Math.min(1, turned / 300))), timeOf(place(event).x));
}, { passive: false });

canvas.addEventListener("pointerdown", (event) => {
  const at = place(event);
  fingers.set(event.pointerId, at);
  canvas.setPointerCapture(event.pointerId);
  if (event.shiftKey || at.y < layout.terms) selection = { from: at.x, to: at.x };
});

canvas.addEventListener("pointermove", (event) => {
  const at = place(event);
  const before = fingers.get(event.pointerId);
  if (!before) {
    point(at);
    return;
  }
  if (selection) {
    selection.to = at.x;
    drawSelection();
  } else if (fingers.size === 1) {
    const distance = timeOf(before.x) - timeOf(at.x);
    if (Math.abs(at.x - before.x) > 0) show(view.from + distance, view.to + distance);
  } else {
    pinch(event.pointerId, before, at);
  }
  fingers.set(event.pointerId, at);
});

function pinch(moved, before, at) {
  const other = [...fingers].find(([id]) => id !== moved)[1];
  const [old, now] = [Math.abs(before.x - other.x), Math.abs(at.x - other.x)];
  if (old > 4 && now > 4) zoom(old / now, timeOf(other.x));
}

function release(event) {
  fingers.delete(event.pointerId);
  if (!selection) return;
  const [from, to] = [selection.from, selection.to].sort((a, b) => a - b);
  selection = null;
  if (to - from > 4) show(timeOf(from), timeOf(to));
  else redraw();
}

canvas.addEventListener("pointerup", release);
canvas.addEventListener("pointercancel", release);
canvas.addEventListener("pointerleave", () => showTip(null));
canvas.addEventListener("click", (event) => point(place(event)));
canvas.addEventListener("dblclick", (event) => zoom(0.2, timeOf(place(event).x)));

function drawSelection() {
  draw();
  const c = canvas.getContext("2d");
  c.fillStyle = colours["loss-band"];
  c.fillRect(selection.from, 0, selection.to - selection.from, layout.foot);
}

/** Tells what is at a place. */
function point({ x, y }) {
  if (x < plot.left - 6 || x > plot.right + 6) {
    showTip(null);
    return;
  }
  const near = drawn
    .map((sign) => ({ sign, away: Math.hypot(sign.x - x, sign.y - y) }))
    .reduce((best, one) => (one.away < best.away ? one : best), { sign: null, away: 10 });
  const time = timeOf(x);
  if (near.sign) showTip(marksTip(near.sign.marks), x, y);
  else showTip(tipAt(x, y, time), x, y);
}

function tipAt(x, y, time) {
  if (y >= layout.reigns && y < layout.lanes) return reignTip(time);
  const lane = Math.floor((y - layout.lanes) / layout.lane);
  if (lane >= 0 && lane < data.nodes.length) {
    const strip = barOf(lane) + layout.bar;
    const index = operations && y >= strip ? operationNear(lane, x) : -1;
    return index >= 0 ? operationTip(index) : y >= barOf(lane) - 3 ? spanTip(lane, time) : null;
  }
  const row = layout.jobs === null ? -1 : Math.floor((y - layout.jobs) / layout.job);
  const slack = timeOf(x + 3) - time;
  const job = jobRows[row]?.jobs.find(({ from, to }) => from - slack <= time && time <= to + slack);
  return job ? jobTip(job) : null;
}

/** To the event after the chosen one, or before it, among those that are shown. */
function choose(step) {
  const isShown = (mark) => groupOfKind[data.marks.kind[mark]]?.shown ?? true;
  let mark = chosen ?? firstFrom(markAt, view.from) - (step > 0 ? 1 : 0);
  do mark += step;
  while (mark >= 0 && mark < markAt.length && !isShown(mark));
  if (mark < 0 || mark >= markAt.length) return;
  chosen = mark;
  if (markAt[mark] < view.from || markAt[mark] > view.to) {
    const half = (view.to - view.from) / 2;
    show(markAt[mark] - half, markAt[mark] + half);
  }
  draw();
  showTip(marksTip([mark]), xOf(markAt[mark]), barOf(laneOfLife[data.marks.life[mark]]));
}

/** To the next time without a coordinator, or the one before, with some of what is around it. */
function toLoss(step) {
  const middle = isWhole() ? (step > 0 ? -1 : data.length + 1) : (view.from + view.to) / 2;
  const centre = ({ from, to }) => (from + 2 * to) / 3;
  const isBeyond = (loss) => (centre(loss) - middle) * step > (view.to - view.from) / 1000;
  const loss = step > 0 ? failovers.find(isBeyond) : failovers.findLast(isBeyond);
  if (!loss) return;
  const half = Math.max(LEAST, (loss.to - loss.from) * 1.5);
  show(centre(loss) - half, centre(loss) + half);
}

const centre = () => (view.from + view.to) / 2;
const DEEDS = {
  "zoom-in": [["+", "="], () => zoom(0.5, centre())],
  "zoom-out": [["-"], () => zoom(2, centre())],
  earlier: [["ArrowLeft"], () => move(-0.2)],
  later: [["ArrowRight"], () => move(0.2)],
  reset: [["0", "Home"], () => show(0, whole)],
  "next-loss": [["n"], () => toLoss(1)],
  "previous-loss": [["p"], () => toLoss(-1)],
  "next-event": [["."], () => choose(1)],
  "previous-event": [[","], () => choose(-1)],
  leave: [["Escape"], () => showTip(null)],
};

for (const [name, [, deed]] of Object.entries(DEEDS)) {
  document.getElementById(name)?.addEventListener("click", deed);
}
for (const name of ["next-loss", "previous-loss"]) {
  document.getElementById(name).hidden = failovers.length === 0;
}
canvas.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const deed = Object.values(DEEDS).find(([keys]) => keys.includes(event.key));
  if (!deed) return;
  event.preventDefault();
  deed[1]();
});

overview.addEventListener("pointerdown", (event) => {
  const time = ((place(event).x - plot.left) / (plot.right - plot.left)) * whole;
  const half = (view.to - view.from) / 2;
  show(time - half, time + half);
});

/** The states, to be read, and the kinds of events, to be shown and hidden. */
function makeLegend() {
  const legend = document.getElementById("legend");
  const swatch = (paint) => {
    const element = document.createElement("canvas");
    [element.width, element.height] = [36, 32];
    const c = element.getContext("2d");
    c.scale(2, 2);
    paint(c);
    return element;
  };
  const states = STATES.filter((_, state) => data.spans.some((span) => span[3] === state)).map((name) => {
    const item = document.createElement("span");
    item.className = "state";
    item.append(swatch((c) => paintState(c, STATES.indexOf(name))), name);
    return item;
  });
  const kinds = new Set(data.absences.map(({ kind }) => kind));
  const absences = [["failover", "loss", "no coordinator"], ["handover", "handover", "hand-over"]];
  for (const [kind, colour, words] of absences.filter(([kind]) => kinds.has(kind))) {
    const item = document.createElement("span");
    item.className = "state";
    item.append(swatch((c) => paintAbsence(c, kind, colours[colour])), words);
    states.push(item);
  }
  const present = new Set(data.marks.kind);
  const groups = GROUPS.filter((group) => group.kinds.some((kind) => present.has(kindOf.get(kind))));
  const toggles = groups.map((group) => {
    const button = document.createElement("button");
    button.setAttribute("aria-pressed", group.shown);
    button.append(swatch((c) => drawSign(c, group, 9, 8, 5, colours)), group.name);
    button.addEventListener("click", () => {
      group.shown = !group.shown;
      button.setAttribute("aria-pressed", group.shown);
      redraw();
    });
    return button;
  });
  legend.replaceChildren(...states, ...toggles);
}

function paintAbsence(c, kind, colour) {
  c.fillStyle = colour;
  if (kind === "failover") c.fillRect(7, 1, 4, 14);
  else c.fillRect(8, 3, 2, 10);
}

function paintState(c, state) {
  if (colours.fills[state]) {
    c.fillStyle = colours.fills[state];
    c.fillRect(1, 3, 16, 10);
    return;
  }
  c.strokeStyle = colours.dead;
  c.lineWidth = 1.5;
  c.setLineDash([2, 3]);
  c.beginPath();
  c.moveTo(1, 8);
  c.lineTo(17, 8);
  c.stroke();
}

function recolour() {
  colours = readColours(document.documentElement);
  makeLegend();
  draw();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
addEventListener("beforeprint", () => {
  paper = { width: 1000, scale: 3 };
  document.documentElement.classList.add("paper");
  recolour();
});
addEventListener("afterprint", () => {
  paper = null;
  document.documentElement.classList.remove("paper");
  recolour();
});
addEventListener("hashchange", showAddress);
new ResizeObserver(redraw).observe(frame);
document.getElementById("list").addEventListener("toggle", list);

makeLegend();
showAddress();
draw();
// For those who wait for the picture, such as a test.
Object.assign(document.documentElement.dataset, { ready: "true", marks: markAt.length });
