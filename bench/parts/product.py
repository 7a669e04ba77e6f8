"""The tree of all numbers against the same in one process and one thread, in binary, with the same library."""

import json
import subprocess

from . import common
from .cluster import Run

SIZES = (100_000, 1_000_000)
GOAL_N, GOAL_RATIO, GOAL_SPEED = 1_000_000, 1.5, 500_000


def tree(n):
    """Operations and seconds of the tree in one process."""
    product = common.SCRATCH / "tree-product"
    output = subprocess.run([common.TREE, str(n), product], stdout=subprocess.PIPE, check=True).stdout
    common.check_product(n, product, "one process")
    product.unlink()
    said = json.loads(output)
    return said["operations"], said["ns"] / 1e9


def measure(rounds):
    common.heading("The product tree: the cluster with `--plan tree` against the same tree in one process and thread, in binary")
    print("The cluster from `job_accepted` to `product_done` (the first `assigned` follows within the turn; it is on record")
    print("only where operations are traced, which costs). No digits, no start in either.\n")
    rows = []
    for n in SIZES:
        ours, theirs = [], []
        for _ in range(rounds):
            with Run(n, "--plan", "tree") as run:
                ours.append(run.product_seconds())
                common.check_line(n, run.output, "bullpen")
            operations, seconds = tree(n)
            theirs.append(seconds)
        seconds = common.median(ours)
        ratio = seconds / common.median(theirs)
        goals = (f"at most {GOAL_RATIO}", f"{GOAL_SPEED:,}") if n == GOAL_N else ("", "")
        rows.append((
            f"{n:,}", f"{operations:,}", common.figure(1e3 * seconds), common.figure(1e3 * common.median(theirs)),
            f"{ratio:.2f}", goals[0], f"{operations / seconds:,.0f}", goals[1], rounds,
        ))
    columns = ("n", "operations", "cluster ms", "one process ms", "ratio", "goal", "operations a second", "goal", "rounds")
    common.table(columns, rows)
