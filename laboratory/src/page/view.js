// The window: which part of the run is shown, and where a moment of it stands.

/** Closer than this nothing is to be seen: the clock of the picture counts microseconds. */
const LEAST = 20;
const whole = Math.max(LEAST, data.length);
const view = { from: 0, to: whole };

/** Where the picture's time begins and ends, in pixels of the canvas; set by the layout. */
const plot = { left: 0, right: 0 };

function xOf(time) {
  return plot.left + ((time - view.from) / (view.to - view.from)) * (plot.right - plot.left);
}

function timeOf(x) {
  return view.from + ((x - plot.left) / (plot.right - plot.left)) * (view.to - view.from);
}

/** Shows a time, as far as there is one. */
function show(from, to) {
  const length = Math.min(whole, Math.max(LEAST, to - from));
  const middle = (from + to) / 2;
  const begin = Math.min(whole - length, Math.max(0, middle - length / 2));
  view.from = begin;
  view.to = begin + length;
  redraw();
  rememberSoon();
}

/** Shows less time, or more, and keeps a moment where it is. */
function zoom(factor, time) {
  const length = Math.min(whole, Math.max(LEAST, (view.to - view.from) * factor));
  const share = (time - view.from) / (view.to - view.from);
  const from = time - share * length;
  show(from, from + length);
}

/** Moves by a part of what is shown. */
function move(part) {
  const distance = (view.to - view.from) * part;
  show(view.from + distance, view.to + distance);
}

function isWhole() {
  return view.to - view.from >= whole;
}

// The window stands in the address, as #from=1.2&to=1.5 in seconds, so that it can be passed on.

let remembering = 0;

function rememberSoon() {
  clearTimeout(remembering);
  remembering = setTimeout(() => {
    const seconds = (us) => (us / 1e6).toFixed(6);
    const address = isWhole() ? "#" : `#from=${seconds(view.from)}&to=${seconds(view.to)}`;
    history.replaceState(null, "", address);
  }, 200);
}

function showAddress() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const [from, to] = ["from", "to"].map((name) => parseFloat(wanted.get(name)) * 1e6);
  if (to > from) show(from, to);
}
