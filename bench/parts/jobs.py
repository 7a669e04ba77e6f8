"""Job files: how long one takes from drop to result, and how many a second go through."""

import time

from . import common
from .cluster import Service

TEXT, RESULT = "10!\n", "10!=3628800\n"
DROPS, FLOOD = 200, 10_000
GOAL_P50_MS, GOAL_P99_MS, GOAL_JOBS = 5, 30, 1_000
# A flood that is not through by then has lost jobs.
FLOOD_LIMIT = 300


def check(service, name):
    text = service.result(name).read_text()
    if text != RESULT:
        raise common.Wrong(f"{name}.txt has {text!r}")


def latencies(service, prefix):
    """Milliseconds from the rename into the inbox until the result has its name, one job after the other."""
    taken = []
    for index in range(DROPS):
        name = f"{prefix}-{index}"
        begun = service.drop(name, TEXT)
        taken.append((service.done.wait(f"{name}.txt") - begun) / 1e6)
        check(service, name)
    return taken


def flood(service):
    """Seconds from the first of many renames until the last result has its name, and the renames' own."""
    # On the same file system and outside of the inbox, so that nothing but renames is between them.
    outside = service.jobs.parent / "outside"
    outside.mkdir()
    names = {f"flood-{index}" for index in range(FLOOD)}
    for name in names:
        (outside / name).write_text(TEXT)
    begun = time.monotonic()
    for name in names:
        (outside / name).rename(service.jobs / f"{name}.job")
    dropped = time.monotonic() - begun
    waiting = {f"{name}.txt" for name in names}
    while waiting:
        found = service.done.read(limit=FLOOD_LIMIT)
        # The queue of inotify is limited: what it lost, the folder shows.
        waiting.difference_update(found or [path.name for path in (service.jobs / "done").iterdir()])
        if not found and waiting:
            raise common.Wrong(f"{len(waiting)} of {FLOOD:,} jobs have no result after {FLOOD_LIMIT} s")
        # Seldom, so that who measures is not the load.
        time.sleep(0.01)
    taken = time.monotonic() - begun
    for name in names:
        check(service, name)
    return taken, dropped


def measure(_rounds):
    common.heading("Job files: from drop to result")
    with Service() as service:
        kind = common.file_system(service.jobs)
        latencies(service, "before")
        taken = latencies(service, "single")
        seconds, dropped = flood(service)
    print(f"10! each, options as they come, syncs included, on {kind}; from the rename into the inbox until `done/NAME.txt` is there.")
    print(f"{DROPS} drops one after the other, after as many that are not counted; then {FLOOD:,} at once (the renames took {dropped:.2f} s).\n")
    p50, p99 = common.at(taken, 0.5), common.at(taken, 0.99)
    common.table(("", "measured", "goal"), [
        ("one job, p50", f"{p50:.2f} ms", f"at most {GOAL_P50_MS} ms"),
        ("one job, p99", f"{p99:.2f} ms", f"at most {GOAL_P99_MS} ms"),
        ("one job, maximum", f"{max(taken):.2f} ms", ""),
        (f"{FLOOD:,} jobs at once", f"{FLOOD / seconds:,.0f} jobs a second", f"at least {GOAL_JOBS:,}"),
    ])
