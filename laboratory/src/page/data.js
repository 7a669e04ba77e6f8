// The data of the run. Times are microseconds from its first event.

const data = JSON.parse(document.getElementById("data").textContent);

const STATES = ["worker", "candidate", "recovering", "coordinator", "stopped", "dead", "stalled"];
const laneOfNode = new Map(data.nodes.map((node, lane) => [node, lane]));
const laneOfLife = data.lives.map(([node]) => laneOfNode.get(node));

/** Times from the distances between them. */
function times(distances) {
  const at = new Float64Array(distances.length);
  let last = 0;
  distances.forEach((distance, index) => {
    last += distance;
    at[index] = last;
  });
  return at;
}

const markAt = times(data.marks.after);
const kindOf = new Map(data.marks.kinds.map((name, kind) => [name, kind]));

/** Marks by lane, each a list of positions in the order of time. */
const marksOfLane = data.nodes.map(() => []);
data.marks.life.forEach((life, mark) => marksOfLane[laneOfLife[life]].push(mark));

/** Spans by lane, in the order of time. */
const spansOfLane = data.nodes.map(() => []);
for (const [node, from, to, state, life] of data.spans) {
  spansOfLane[laneOfNode.get(node)].push({ from, to, state, life });
}

const failovers = data.absences.filter((absence) => absence.kind === "failover");

const operations = data.operations;
const operationAt = operations ? times(operations.after) : new Float64Array(0);
/** No operation took longer: where to begin to look for those that reach into a window. */
const longestOperation = operations
  ? operations.took.reduce((longest, took) => Math.max(longest, took), 0)
  : 0;

/** The first position in sorted times that is not before a time. */
function firstFrom(sorted, time) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
