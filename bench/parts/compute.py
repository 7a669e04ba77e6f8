"""The whole computation, from the start of the process to the last digit, against GMP; its start."""

import subprocess
import time

from . import common
from .cluster import Run

GOALS = {100_000: 0.45, 1_000_000: 0.33, 10_000_000: 0.25}
START_N = 100_000


def seconds_of(command):
    """From the start of a process to its end, its output in a file."""
    output = common.SCRATCH / "library-output"
    with open(output, "wb") as file:
        begun = time.monotonic()
        subprocess.run(command, stdout=file, check=True)
        seconds = time.monotonic() - begun
    return seconds, output


def measure(rounds, large_rounds):
    common.heading("The whole computation: `bullpen compute N` against a process that uses GMP, or FLINT")
    print(f"Start of the process to its end, the digits in a file. {common.gmp_says('version')}: `fac(N)` and `digits()`;")
    print(f"{common.FLINT}: `fmpz.fac_ui(N)` and `str()`; one thread each.\n")
    rows = []
    for n, goal in GOALS.items():
        ours, theirs, flint = [], [], []
        count = large_rounds if n > 1_000_000 else rounds
        common.line_hash(n)
        for _ in range(count):
            with Run(n) as run:
                ours.append(run.seconds())
                common.check_line(n, run.output, "bullpen")
            for times, command in ((theirs, common.gmp("digits", n)), (flint, common.flint(n))):
                seconds, output = seconds_of(command)
                times.append(seconds)
                common.check_line(n, output, command[0])
        ratio = common.median(ours) / common.median(theirs)
        times = (common.figure(1e3 * common.median(times)) for times in (ours, theirs, flint))
        rows.append((f"{n:,}", *times, f"{ratio:.2f}", f"at most {goal}", count))
    common.table(("N", "bullpen ms", "GMP ms", "FLINT ms", "bullpen / GMP", "goal", "rounds"), rows)
    itemise(rounds)


def itemise(rounds):
    """Prints when what happens, from the start of the process to its end."""
    untraced = [moments(START_N) for _ in range(rounds)]
    # A first product is on record only where operations are traced, which delays all that is behind it.
    traced = [moments(START_N, "--trace-operations") for _ in range(rounds)]
    names = [
        ("first node `started`", "first started"),
        ("last node `started`", "last started"),
        ("`election_won`", "election_won"),
        ("`acting`", "acting"),
        ("`job_accepted`", "job_accepted"),
        ("`product_done`", "product_done"),
        ("text written and committed: `result_published`", "result_published"),
        ("text has its name: `job_done`", "job_done"),
        ("exit, digits printed", "exit"),
    ]
    rows = [(common.median([run[key] for run in untraced]), name, key) for name, key in names]
    accepted = next(moment for moment, _, key in rows if key == "job_accepted")
    until_first = common.median([run["first completed"] - run["job_accepted"] for run in traced])
    rows.append((accepted + until_first, "first product (as long after `job_accepted` as where operations are traced)", ""))
    rows.sort()
    print(f"The start, itemised at N = {START_N:,}; ms after the start of the process. {common.rounds(rounds)}.\n")
    steps = [0, *(moment for moment, _, _ in rows)]
    common.table(("moment", "ms", "since the one before", "goal"), [
        (name, f"{moment:.1f}", f"{moment - before:.1f}", "at most 20" if key == "acting" else "")
        for before, (moment, name, key) in zip(steps, rows)
    ])


def moments(n, *options):
    """Milliseconds after the start of the process, by what happened."""
    names = ("started", "election_won", "acting", "job_accepted", "completed", "product_done", "result_published", "job_done")
    with Run(n, *options) as run:
        common.check_line(n, run.output, "bullpen")
        after = {}
        for event in run.events(*names):
            moment = (event["mono_ns"] - run.begun_ns) / 1e6
            after.setdefault(f"first {event['event']}", moment)
            after[f"last {event['event']}"] = moment
            after[event["event"]] = moment
        after["exit"] = (run.ended_ns - run.begun_ns) / 1e6
        return after
