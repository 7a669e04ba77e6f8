"""Memory: the nodes' proportional set sizes at their peak, and what the checkpoint holds."""

import json
import math
import subprocess
import time

from . import common
from .cluster import Memory, Run, Service
from .peers import operations

GOALS_MB = {1_000_000: 120, 10_000_000: 900}
FRONTIER_SIZES = (10_000, 100_000, 1_000_000)
HELD_SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
# Nodes report what they hold twice a second.
REPORTED_WITHIN = 5
MB = 1e6


def peak(n, *options):
    """The peak of a computation; also samples a long one no more than some thousand times."""
    memory = Memory(interval=0.01 if n <= 1_000_000 else 0.05)
    with Run(n, *options, watch=memory) as run:
        common.check_line(n, run.output, "bullpen")
    return memory


def measure(rounds, frontier_sizes=FRONTIER_SIZES):
    common.heading("Memory")
    print("Sum of the nodes' proportional set sizes (PSS) at its peak, sampled from `/proc/PID/smaps_rollup`.\n")
    rows = []
    for n, goal in GOALS_MB.items():
        peaks = [peak(n) for _ in range(rounds if n <= 1_000_000 else 1)]
        summed, largest = (common.median([getattr(p, of) for p in peaks]) / MB for of in ("sum", "largest"))
        rows.append((f"{n:,}", f"{summed:,.0f}", f"{largest:,.0f}", f"at most {goal:,}", f"{sum(p.samples for p in peaks):,}"))
    common.table(("N", "all nodes, MB", "the largest node, MB", "goal, MB", "samples"), rows)
    print("What a node holds in its copy of the checkpoint at its peak, as `bullpen status --json` tells: products, and parts of")
    print("large ones.\n")
    rows = []
    for n in HELD_SIZES:
        most, result = held(n), factorial_bytes(n)
        rows.append((f"{n:,}", f"{most / MB:.3f}", f"{result / MB:.3f}", f"{most / result:.2f}"))
    common.table(("n", "most bytes, MB", "n! itself, MB", "times n!"), rows)
    print("By `--plan tree`, replayed from the `checkpointed` events of a traced run: products that no held one covers, each with")
    print("the bytes that its numbers multiply to.")
    print("A traced run of 10,000,000! writes gigabytes of events: `--frontier 10000000` asks for it.\n")
    rows = []
    for n in frontier_sizes:
        count, size, result = frontier(n)
        rows.append((f"{n:,}", f"{count:,}", f"{size / MB:.3f}", f"{result / MB:.3f}", f"{size / result:.2f}"))
    common.table(("n", "most products", "most bytes, MB", "n! itself, MB", "times n!"), rows)


def factorial_bytes(n):
    return math.ceil(math.lgamma(n + 1) / math.log(2) / 8)


def held(n):
    """The most bytes that any node has held of n!."""
    with Service() as service:
        service.drop("one", f"{n}!\n")
        service.done.wait("one.txt", limit=300)
        common.check_line(n, service.result("one"), "bullpen")
        end = time.monotonic() + REPORTED_WITHIN
        command = [common.BULLPEN, "status", "--json", "--run-dir", service.run_dir]
        while True:
            nodes = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["nodes"]
            peaks = [node["peak_held_bytes"] for node in nodes]
            if all(peaks) or time.monotonic() >= end:
                return max(peaks)
            time.sleep(0.1)


def frontier(n):
    """Most products and most bytes that the checkpoint held, and the bytes of n!."""
    widths = [-(-n // 4)]
    while widths[-1] > 1:
        widths.append(-(-widths[-1] // 4))

    def first(level, index):
        """The first leaf below operation `index` of a level; for one past the last, one past the last leaf."""
        for below in range(level, 0, -1):
            index = index * widths[below - 1] // widths[below]
        return index

    def size(level, index):
        """Bytes of a product of consecutive numbers, by the logarithm of the factorial."""
        top, bottom = n - 4 * first(level, index), max(n - 4 * first(level, index + 1), 0)
        return math.ceil((math.lgamma(top + 1) - math.lgamma(bottom + 1)) / math.log(2) / 8)

    held, total, seen, most_products, most_bytes = {}, 0, 0, 0, 0
    with Run(n, "--plan", "tree", "--trace-operations") as run:
        common.check_line(n, run.output, "bullpen")
        for event in run.events("checkpointed"):
            op = event["op"]
            if op["kind"] != "multiply":
                continue
            level, index = op["level"], op["index"]
            seen += 1
            held[level, index] = size(level, index)
            total += held[level, index]
            if level > 0:
                children = range(index * widths[level - 1] // widths[level], (index + 1) * widths[level - 1] // widths[level])
                total -= sum(held.pop((level - 1, child), 0) for child in children)
            most_products, most_bytes = max(most_products, len(held)), max(most_bytes, total)
    if seen != operations(n):
        raise common.Wrong(f"{seen} multiplications of {n}! were checkpointed, the tree has {operations(n)}")
    return most_products, most_bytes, size(len(widths) - 1, 0)
