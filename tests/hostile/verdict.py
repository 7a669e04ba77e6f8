"""What became of the files and of the service: a table, and what was wrong."""

import collections
import functools
import json
import math
import os
import re
import subprocess
import sys
import time

from inbox import DONE, FAILED, LEFT, text_of
from kinds import LIMIT, SECRET

sys.set_int_max_str_digits(0)
# So many examples of the faults that a check found.
SHOWN = 12
# What no reason and no line of the log may hold: control characters but the line feed, and marks of direction.
UNPRINTABLE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Baseline:
    """The elections of the start, once nothing more comes of it."""

    def __init__(self, service):
        self.elections = -1
        while (now := count(service)["election_started"]) != self.elections:
            self.elections = now
            time.sleep(1)


def count(service):
    return collections.Counter(event.get("event") for event in service.events())


def report(inbox, service, before):
    """Prints all, stops the service, and gives the number of checks that failed."""
    ends = inbox.find_ends()
    faults = {
        "every good job is done, once, and right": list(good_jobs(inbox, service)),
        "every hostile file ended as it may, with a text": list(hostile_files(inbox, ends)),
        "no text of reasons is long, unprintable or tells what files of others hold": list(reasons(inbox)),
        "running/ has no job files": [quoted(name) for name in os.listdir(inbox.path(b"running")) if name[:1] != b"."],
        "no election but those of the start": list(elections(service, before)),
        "no node has exited": [json.dumps(event) for event in service.events() if event.get("event") == "node_exited"],
        "nothing was killed for want of memory": ["the kernel did"] * service.killed_for_memory(),
        "the service runs, and mentions files that are no jobs": list(mentions(inbox, service)),
        "its log is printable": [repr(line) for line in service.log().splitlines() if UNPRINTABLE.search(line)],
    }
    runs = service.runs()
    # The control group ends with the service.
    peak = service.cgroup.peak()
    code = service.stop()
    faults["it stops with exit code 0"] = [] if runs and code == 0 else [f"exit code {code}"]
    table(inbox, ends, peak, service.cgroup.largest_anonymous)
    failed = 0
    for check, found in faults.items():
        failed += bool(found)
        print(f"{'FAIL' if found else 'PASS'}  {check}" + (f": {len(found)} faults" if found else ""))
        for fault in examples(found):
            print(f"      | {fault[:300]}")
    print(f"hostile: {len(faults) - failed} passed, {failed} failed, 0 skipped")
    return failed


def examples(found):
    """Some faults, of as many kinds as there are."""
    seen = collections.Counter()

    def turn(fault):
        kind = fault.split(":")[0]
        seen[kind] += 1
        return seen[kind]

    return sorted(found, key=turn)[:SHOWN]


def quoted(name):
    return ascii(name.decode(errors="surrogateescape"))


@functools.cache
def factorial(n):
    return str(math.factorial(n)).encode()


def good_jobs(inbox, service):
    published = collections.Counter(
        event.get("job") for event in service.events() if event.get("event") == "result_published")
    others = collections.Counter(
        name.split(b".")[0] for folder in (b"", b"running", b"done", b"failed")
        for name in os.listdir(inbox.path(folder)) if name.startswith(b"good-"))
    for good in inbox.goods:
        try:
            with open(inbox.path(os.fsencode(f"done/{good.name}.txt")), "rb") as file:
                text = file.read()
        except FileNotFoundError:
            yield f"{good.name}: no result"
            continue
        if text != b"%d!=%s\n" % (good.n, factorial(good.n)):
            yield f"{good.name}: {good.n}! is wrong"
        if published[good.name] != 1 or others[good.name.encode()] != 2:
            yield f"{good.name}: published {published[good.name]} times, {others[good.name.encode()]} files of it"


def hostile_files(inbox, ends):
    for file, place in ends:
        about = f"{file.kind}: {quoted(file.name)}"
        if file.end not in file.ends:
            yield f"{about} is in {file.end}, expected {' or '.join(sorted(file.ends))}"
        elif file.end != LEFT:
            text = inbox.path(os.path.join(file.end.encode(), text_of(place[1])))
            if not os.path.exists(text):
                yield f"{about} is in {file.end} without a text"
            elif os.path.getsize(text) == 0:
                yield f"{about} is in {file.end} with an empty text"
            elif file.end == DONE and not answers(inbox.path(os.path.join(b"done", place[1])), text):
                yield f"{about} has a wrong result"


def answers(job, text):
    """Whether a text has the value of each line of a job; of what was appended after the commit it need not."""
    with open(job, encoding="utf-8-sig") as file:
        lines = [line.strip() for line in file]
    numbers = [int(line.removesuffix("!")) for line in lines if line and not line.startswith("#")]
    if sum(numbers) > 50_000_000:
        return False
    with open(text, "rb") as file:
        results = list(file)
    return 0 < len(results) <= len(numbers) and all(
        result == b"%d!=%s\n" % (n, factorial(n)) for n, result in zip(numbers, results))


def reasons(inbox):
    for name in os.listdir(inbox.path(b"failed")):
        if not name.endswith(b".txt"):
            continue
        with open(inbox.path(os.path.join(b"failed", name)), "rb") as file:
            text = file.read()
        if len(text) > LIMIT:
            yield f"failed/{quoted(name)} has {len(text)} bytes"
        if SECRET in text or b"root:" in text:
            yield f"failed/{quoted(name)} tells what somebody else's file holds"
        if UNPRINTABLE.search(text.decode(errors="replace")):
            yield f"failed/{quoted(name)} has control characters or marks of direction"


def elections(service, before):
    started = [event for event in service.events() if event.get("event") == "election_started"]
    for event in started[before.elections:]:
        yield " ".join(f"{key}={event.get(key)}" for key in ("ts", "node", "term", "why"))


def mentions(inbox, service):
    """The names that are no jobs are in the status, the first hundred of them."""
    try:
        status = json.loads(service.ask("status", "--json"))
    except (ValueError, subprocess.SubprocessError):
        yield "it does not answer"
        return
    if "ignored" not in status:
        yield "status --json has no `ignored`"
        return
    silent = (b"~", b".tmp", b".part", b".bak")
    left = {os.fsdecode(file.name) for file in inbox.files
            if file.kind == "name that does not end in .job" and not file.name.endswith(silent)}
    missing = left - set(status["ignored"])
    if len(missing) > status.get("ignored_more", 0):
        yield f"not mentioned: {', '.join(sorted(missing)[:3])}"


def table(inbox, ends, peak, anonymous):
    rows = collections.defaultdict(collections.Counter)
    for file, _ in ends:
        rows[file.kind].update({"files": 1, "bytes": file.bytes, file.end: 1})
    for kind, number in inbox.removed.items():
        rows[kind].update({"files": number, "removed": number})
    columns = ("files", "bytes", DONE, FAILED, LEFT, "removed", "running", "nowhere")
    print(f"\n{'kind':32}" + "".join(f"{column:>12}" for column in columns))
    for kind, row in sorted(rows.items()):
        print(f"{kind:32}" + "".join(f"{row[column]:>12,}" if row[column] else f"{'-':>12}" for column in columns))
    times = sorted(time for good in inbox.goods if (time := took(inbox, good)) is not None)
    mib = lambda bytes: f"{bytes / (1 << 20):.0f} MiB"
    print(f"\ngood jobs: {len(times)} of {len(inbox.goods)} done" + (
        f", in {times[len(times) // 2]:.2f} s at the median, {times[-1]:.2f} s at most" if times else ""))
    print(f"memory: {mib(peak)} at the peak, and {mib(anonymous)} at most without the page cache\n")


def took(inbox, good):
    """Seconds from the drop until the text got its name, which is its last change."""
    try:
        return os.stat(inbox.path(os.fsencode(f"done/{good.name}.txt"))).st_ctime - good.dropped
    except FileNotFoundError:
        return None
