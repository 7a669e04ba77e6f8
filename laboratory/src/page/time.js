// Times in words, and where the axis has its ticks.

const MICRO = "\u00b5s";
const MINUS = "\u2212";

/** A length of time, with as many digits as a reader wants. */
function lengthWords(us) {
  if (us < 1e3) return `${Math.round(us)} ${MICRO}`;
  if (us < 1e5) return `${(us / 1e3).toFixed(1)} ms`;
  if (us < 1e6) return `${Math.round(us / 1e3)} ms`;
  if (us < 1e8) return `${(us / 1e6).toFixed(2)} s`;
  return `${Math.floor(us / 6e7)} min ${Math.round((us % 6e7) / 1e6)} s`;
}

/** A moment of the run, to the microsecond. */
function momentWords(us) {
  return `${(us / 1e6).toFixed(6)} s`;
}

/** The distance of ticks: 1, 2 or 5 times a power of ten, so that about `wanted` fit. */
function tickDistance(us, wanted) {
  const rough = us / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const distance = [1, 2, 5, 10].find((step) => step * power >= rough) * power;
  return Math.max(1, distance);
}

/**
 * The label of a tick in seconds. Looked at closely, all digits before the changing ones would be
 * the same: then it is the distance from the moment that stands at the left of the axis.
 */
function tickLabel(us, distance, origin) {
  if (origin === 0) {
    const digits = Math.max(0, Math.ceil(6 - Math.log10(distance) - 1e-9));
    return `${(us / 1e6).toFixed(digits)} s`;
  }
  const away = us - origin;
  if (away === 0) return "0";
  const sign = away < 0 ? MINUS : "+";
  const size = Math.abs(away);
  return distance < 1e3 ? `${sign}${size} ${MICRO}` : `${sign}${size / 1e3} ms`;
}

/** The ticks of a window, and the moment from which they are counted (0: the start of the run). */
function ticks(from, to, wanted) {
  const distance = tickDistance(to - from, wanted);
  const first = Math.ceil(from / distance) * distance;
  // Six digits behind the point, of which the last change, are hard to read.
  const origin = distance < 1e4 && from > 1e6 ? first : 0;
  const found = [];
  for (let at = first; at <= to; at += distance) {
    found.push({ at, label: tickLabel(at, distance, origin) });
  }
  return { found, origin };
}
