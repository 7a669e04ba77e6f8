// The jobs: a bar each, in as few rows as they fit into.

/** Rows for the jobs: each takes the first row that is free, and those that find none are counted. */
const MOST_JOB_ROWS = 12;
const jobRows = [];
const jobsWithoutRow = [];
for (const job of data.jobs) {
  const ends = [...job.accepted, job.published, job.done, job.rejected].filter((at) => at !== null);
  job.from = Math.min(...ends);
  // Without an end in the log it is open to the end.
  job.to = job.done ?? data.length;
  const isFree = (room) => (last) => last.to + room <= job.from;
  // With room for a name if there can be.
  let row = jobRows.findIndex(isFree(data.length / 12));
  if (row < 0 && jobRows.length < MOST_JOB_ROWS) {
    row = jobRows.length;
    jobRows.push({ to: 0, jobs: [] });
  }
  if (row < 0) row = jobRows.findIndex(isFree(0));
  if (row < 0) {
    jobsWithoutRow.push(job);
  } else {
    jobRows[row].to = job.to;
    jobRows[row].jobs.push(job);
  }
}

function drawJobs(c) {
  if (layout.jobs === null) return;
  c.font = SMALL;
  jobRows.forEach(({ jobs }, row) => {
    const y = layout.jobs + row * layout.job;
    jobs.forEach((job, index) => {
      const next = jobs[index + 1];
      if (job.to >= view.from && job.from <= view.to) drawJob(c, job, y, next ? xOf(next.from) : plot.right);
    });
  });
  if (jobsWithoutRow.length > 0) {
    c.fillStyle = colours.faint;
    c.textAlign = "left";
    const words = `and ${jobsWithoutRow.length} more jobs at the same time, which the table has`;
    c.fillText(words, plot.left, layout.jobs + jobRows.length * layout.job + 7);
  }
}

function drawJob(c, job, y, room) {
  const [left, right] = [Math.max(plot.left, xOf(job.from)), Math.min(plot.right, xOf(job.to))];
  const wide = Math.max(2, right - left);
  const bad = job.rejected !== null;
  c.fillStyle = bad ? colours.bad : colours.job;
  c.fillRect(left, y, wide, layout.job - 4);
  c.fillStyle = colours["on-job"];
  // Each coordinator that took it over.
  for (const at of job.accepted.slice(1)) {
    if (at >= view.from && at <= view.to && wide > 12) c.fillRect(xOf(at) - 0.75, y + layout.job - 8, 1.5, 4);
  }
  const end = bad ? "\u2717" : job.done !== null ? "\u2713" : "\u2026";
  const words = `${isolate(job.name)} ${end}`;
  const length = c.measureText(words).width + 8;
  const inside = length < right - left;
  if (!inside && left + wide + length > room) return;
  c.textAlign = "left";
  c.fillStyle = inside ? colours["on-job"] : colours.text;
  c.fillText(words, inside ? left + 5 : left + wide + 4, y + layout.job / 2 - 2);
}

/** A name of any direction, which does not turn what stands beside it, and is not too long. */
function isolate(name) {
  const letters = Array.from(name);
  const cut = letters.length > 24 ? `${letters.slice(0, 23).join("")}\u2026` : name;
  return `\u2068${cut}\u2069`;
}
