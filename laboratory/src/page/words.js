// What is said of the picture: the tip at the pointer, the window, the table.

const tip = document.getElementById("tip");
const MOST_LINES = 12;
const MOST_ROWS = 200;

function markWords(mark) {
  const [node] = data.lives[data.marks.life[mark]];
  return `node ${node} ${data.marks.words[data.marks.detail[mark]]}`;
}

/** All that the log tells of an event, but what is said already. */
function markFields(mark) {
  const [, incarnation, pid] = data.lives[data.marks.life[mark]];
  const term = data.marks.term[mark];
  const own = Object.entries(data.marks.details[data.marks.detail[mark]]).map(
    ([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`,
  );
  const head = [data.marks.kinds[data.marks.kind[mark]].split(" ")[0], `incarnation ${incarnation}`];
  if (pid > 0) head.push(`pid ${pid}`);
  if (term >= 0) head.push(`term ${term}`);
  return [...head, ...own].join(" \u00b7 ");
}

function marksTip(marks) {
  const lines = [];
  for (const mark of marks.slice(0, MOST_LINES)) {
    lines.push([momentWords(markAt[mark]), markWords(mark)]);
    if (marks.length <= 3) lines.push(["", markFields(mark)]);
  }
  if (marks.length > MOST_LINES) lines.push(["", `and ${marks.length - MOST_LINES} more; look closer to see them`]);
  return lines;
}

function spanTip(lane, time) {
  const span = spansOfLane[lane].find(({ from, to }) => from <= time && time <= to);
  if (!span) return null;
  const [node, incarnation, pid] = data.lives[span.life];
  return [
    [`node ${node}`, STATES[span.state]],
    ["", `${momentWords(span.from)} to ${momentWords(span.to)}: ${lengthWords(span.to - span.from)}`],
    ["", `incarnation ${incarnation}${pid > 0 ? ` \u00b7 pid ${pid}` : ""}`],
  ];
}

function operationTip(index) {
  const [n, kind] = operations.factorials[operations.factorial[index]];
  const from = operationAt[index];
  const lines = [
    [`${n}!`, operations.words[index]],
    ["", `${kind}, level ${operations.level[index]}, index ${operations.index[index]}`],
    [momentWords(from), `begun by node ${data.lives[operations.worker[index]][0]}`],
  ];
  const after = (us, words) => us >= 0 && lines.push([lengthWords(us), words]);
  after(operations.waited[index], "after its assignment");
  after(operations.took[index], "of computing");
  after(operations.sent[index], "from there to the checkpoint");
  return lines;
}

function reignTip(time) {
  const slack = ((view.to - view.from) / (plot.right - plot.left)) * 3;
  const absence = data.absences.find(({ from, to }) => from - slack <= time && time <= to + slack);
  if (absence) {
    const why = { failover: "coordinator lost", handover: "handed over", start: "start", other: "no coordinator" };
    const lines = [[why[absence.kind], `nobody acts for ${lengthWords(absence.to - absence.from)}`]];
    if (absence.cause) lines.push(["", absence.cause]);
    lines.push(["", `from ${momentWords(absence.from)}`]);
    return lines;
  }
  const reign = data.reigns.find(([from, to]) => from <= time && time <= to);
  if (!reign) return null;
  const [from, to, life, term] = reign;
  return [
    [`node ${data.lives[life][0]}`, `coordinates in epoch ${term}.${data.lives[life][0]}`],
    ["", `${momentWords(from)} to ${momentWords(to)}: ${lengthWords(to - from)}`],
  ];
}

function jobTip(job) {
  const lines = [["job", job.name]];
  const at = (time, words) => time !== null && time !== undefined && lines.push([momentWords(time), words]);
  at(job.accepted[0], "accepted");
  if (job.accepted.length > 1) lines.push(["", `taken over ${job.accepted.length - 1} times by another coordinator`]);
  at(job.rejected, "rejected");
  at(job.published, "published");
  at(job.done, "done");
  if (job.done === null) lines.push(["", "not done when the log ends"]);
  return lines;
}

/** Shows lines of a name and words at a place of the picture; hides the tip for none. */
function showTip(lines, x, y) {
  tip.hidden = !lines;
  if (!lines) return;
  tip.replaceChildren(
    ...lines.map(([name, words]) => {
      const line = document.createElement("p");
      const strong = document.createElement("b");
      const text = document.createElement("bdi");
      strong.textContent = name;
      text.textContent = words;
      line.append(strong, name ? " " : "", text);
      return line;
    }),
  );
  const frame = canvas.parentElement;
  const left = Math.max(0, Math.min(x + 14, frame.clientWidth - tip.offsetWidth - 4));
  const below = y + canvas.offsetTop + 18;
  const isLow = below + tip.offsetHeight > frame.clientHeight && y > tip.offsetHeight + 18;
  tip.style.left = `${left}px`;
  tip.style.top = `${isLow ? y + canvas.offsetTop - tip.offsetHeight - 12 : below}px`;
}

function sayWindow() {
  const words = `${momentWords(view.from)} to ${momentWords(view.to)}: ${lengthWords(view.to - view.from)}`;
  const output = document.getElementById("window");
  if (output.textContent !== words) output.textContent = words;
  listSoon();
}

let listing = 0;

function listSoon() {
  clearTimeout(listing);
  listing = setTimeout(list, 150);
}

/** The marks of the window that are shown, as a table. */
function list() {
  if (!document.getElementById("list").open) return;
  const first = firstFrom(markAt, view.from);
  const rows = [];
  let more = 0;
  for (let mark = first; mark < markAt.length && markAt[mark] <= view.to; mark++) {
    const group = groupOfKind[data.marks.kind[mark]];
    // The jobs have no sign in a lane, and are always told.
    if (group && !group.shown) continue;
    if (rows.length < MOST_ROWS) rows.push(rowOf(mark));
    else more += 1;
  }
  document.getElementById("rows").replaceChildren(...rows);
  document.getElementById("more").textContent =
    more > 0 ? `${more} more: look closer to see them here.` : "";
}

function rowOf(mark) {
  const row = document.createElement("tr");
  const [node] = data.lives[data.marks.life[mark]];
  const texts = [momentWords(markAt[mark]), node, data.marks.words[data.marks.detail[mark]], markFields(mark)];
  for (const text of texts) {
    const cell = document.createElement("td");
    const isolated = document.createElement("bdi");
    isolated.textContent = text;
    cell.append(isolated);
    row.append(cell);
  }
  return row;
}
