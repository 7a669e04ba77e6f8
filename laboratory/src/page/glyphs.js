// The signs for events. Each has a shape of its own, so that none is known by its colour alone.

/** Kinds that are shown and hidden together: a sign, its colour, and what it means. */
const GROUPS = [
  { name: "killed", kinds: ["node_exited"], colour: "bad", sign: "cross" },
  { name: "stopped", kinds: ["node_stopped"], colour: "stop", sign: "pause" },
  { name: "continued", kinds: ["node_continued"], colour: "stop", sign: "play" },
  { name: "injected fault", kinds: ["fault_injected"], colour: "bad", sign: "bolt" },
  { name: "election starts", kinds: ["election_started"], colour: "vote", sign: "diamond", isSmall: true },
  { name: "election won", kinds: ["election_won"], colour: "vote", sign: "diamond-full" },
  { name: "acts as coordinator", kinds: ["acting"], colour: "good", sign: "up" },
  { name: "steps down", kinds: ["stepped_down"], colour: "good", sign: "down" },
  { name: "refuses a stale act", kinds: ["stale_refused"], colour: "bad", sign: "refused", isSmall: true },
  { name: "stood still", kinds: ["gap"], colour: "stop", sign: "wave" },
  { name: "operation to another worker", kinds: ["operation_reassigned"], colour: "work", sign: "turn", isSmall: true },
  { name: "operation computed again", kinds: ["operation_recomputed"], colour: "work", sign: "turn-full" },
  { name: "values differ", kinds: ["values_differ"], colour: "bad", sign: "alarm" },
  { name: "product done", kinds: ["product_done"], colour: "work", sign: "dot", isSmall: true },
  { name: "process starts", kinds: ["node_spawned", "started"], colour: "plain", sign: "ring", isSmall: true },
  { name: "ends by itself", kinds: ["node_exited by itself"], colour: "plain", sign: "square", isSmall: true },
  { name: "follows a coordinator", kinds: ["following"], colour: "plain", sign: "tick", off: true },
  { name: "links between nodes", kinds: ["peer_up", "peer_down"], colour: "plain", sign: "link", off: true },
  { name: "other", kinds: ["other"], colour: "plain", sign: "dot" },
];

const groupOfKind = data.marks.kinds.map((name) =>
  GROUPS.find((group) => group.kinds.includes(name)),
);
for (const group of GROUPS) group.shown = !group.off;

const path = (points) => (c, x, y, r) => {
  c.beginPath();
  points.forEach(([dx, dy], index) => {
    if (dx === null) return;
    const isNew = index === 0 || points[index - 1][0] === null;
    if (isNew) c.moveTo(x + dx * r, y + dy * r);
    else c.lineTo(x + dx * r, y + dy * r);
  });
};
const BREAK = [null, null];
const circle = (c, x, y, r) => {
  c.beginPath();
  c.arc(x, y, r, 0, 2 * Math.PI);
};
const filled = (shape) => (c, x, y, r) => {
  shape(c, x, y, r);
  c.closePath();
  c.fill();
};
const lined = (shape, isClosed) => (c, x, y, r) => {
  shape(c, x, y, r);
  if (isClosed) c.closePath();
  c.stroke();
};

const diamond = path([[0, -1], [1, 0], [0, 1], [-1, 0]]);
const SIGNS = {
  cross: lined(path([[-0.8, -0.8], [0.8, 0.8], BREAK, [0.8, -0.8], [-0.8, 0.8]])),
  pause: lined(path([[-0.45, -0.8], [-0.45, 0.8], BREAK, [0.45, -0.8], [0.45, 0.8]])),
  play: filled(path([[-0.7, -0.9], [0.9, 0], [-0.7, 0.9]])),
  bolt: filled(path([[0.3, -1.1], [-0.7, 0.2], [-0.1, 0.2], [-0.3, 1.1], [0.7, -0.2], [0.1, -0.2]])),
  diamond: lined(diamond, true),
  "diamond-full": filled(diamond),
  up: filled(path([[0, -1], [1, 0.8], [-1, 0.8]])),
  down: lined(path([[0, 0.9], [0.9, -0.7], [-0.9, -0.7]]), true),
  refused: (c, x, y, r) => {
    lined(circle)(c, x, y, r * 0.9);
    lined(path([[-0.6, 0.6], [0.6, -0.6]]))(c, x, y, r);
  },
  wave: lined(path([[-1, 0.4], [-0.5, -0.5], [0, 0.4], [0.5, -0.5], [1, 0.4]])),
  turn: lined(path([[-0.9, 0.7], [-0.9, -0.3], [0.8, -0.3], BREAK, [0.3, -0.9], [0.9, -0.3], [0.3, 0.3]])),
  "turn-full": (c, x, y, r) => {
    c.beginPath();
    c.arc(x, y, r * 0.8, -0.2 * Math.PI, 1.4 * Math.PI);
    c.stroke();
    filled(path([[0.2, -1.2], [0.2, -0.3], [-0.6, -0.8]]))(c, x, y, r);
  },
  alarm: lined(path([[-0.4, -1], [-0.4, 0.3], BREAK, [-0.4, 0.8], [-0.4, 1], BREAK, [0.4, -1], [0.4, 0.3], BREAK, [0.4, 0.8], [0.4, 1]])),
  square: filled(path([[-0.6, -0.6], [0.6, -0.6], [0.6, 0.6], [-0.6, 0.6]])),
  dot: filled((c, x, y, r) => circle(c, x, y, r * 0.6)),
  ring: lined((c, x, y, r) => circle(c, x, y, r * 0.6)),
  tick: lined(path([[0, -0.7], [0, 0.7]])),
  link: lined(path([[-0.8, 0], [0.8, 0], BREAK, [-0.8, -0.4], [-0.8, 0.4], BREAK, [0.8, -0.4], [0.8, 0.4]])),
};

/** Draws the sign of a group. */
function drawSign(c, group, x, y, r, colours) {
  c.strokeStyle = c.fillStyle = colours[group.colour];
  c.lineWidth = r < 4 ? 1.4 : 1.8;
  c.lineCap = c.lineJoin = "round";
  SIGNS[group.sign](c, x, y, r);
}

/** A pattern for a state that is not known by its colour alone. */
function hatch(colour, back, strokes) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const c = tile.getContext("2d");
  c.fillStyle = back;
  c.fillRect(0, 0, 8, 8);
  c.strokeStyle = colour;
  c.lineWidth = 1.5;
  c.beginPath();
  for (const [x1, y1, x2, y2] of strokes) {
    c.moveTo(x1, y1);
    c.lineTo(x2, y2);
  }
  c.stroke();
  return c.createPattern(tile, "repeat");
}

const DIAGONAL = [[-2, 2, 2, -2], [-2, 10, 10, -2], [6, 10, 10, 6]];
const UPRIGHT = [[2, 0, 2, 8], [6, 0, 6, 8]];
const DOTS = [[2, 2, 3, 2], [6, 6, 7, 6]];

/** The colours of the style sheet, for the canvas; those on paper are the light ones. */
function readColours(element) {
  const style = getComputedStyle(element);
  const colours = {};
  for (const name of ["ground", "text", "faint", "line", "band", "worker", "candidate", "recovering", "coordinator",
    "on-coordinator", "on-worker", "stopped", "dead", "loss", "on-loss", "loss-band", "handover", "on-handover", "load", "job", "on-job", "good", "bad",
    "stop", "vote", "work", "plain"]) {
    colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
  colours.fills = [
    colours.worker,
    hatch(colours["on-worker"], colours.candidate, DIAGONAL),
    hatch(colours.faint, colours.recovering, DIAGONAL),
    colours.coordinator,
    hatch(colours.ground, colours.stopped, UPRIGHT),
    null,
    hatch(colours.ground, colours.stopped, DOTS),
  ];
  return colours;
}
