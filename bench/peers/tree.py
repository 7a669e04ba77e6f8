"""The product tree for the peers in Python: the one that a cluster computes.

Leaves are four consecutive numbers, counted from the top; then, level by level, `ceil(w / 4)` groups
of `w` products, as even as possible. A peer answers each line `N FILE` on its standard input: it
computes N! with warm workers, writes it to FILE (little-endian bytes), and prints how many
operations that took, and how long.
"""

import json
import pathlib
import signal
import sys
import time

WORKERS = 5


def leaves(n):
    return [tuple(range(top, max(top - 4, 0), -1)) for top in range(n, 0, -4)]


def groups(values):
    """The values of one level, as the operands of the next."""
    width = len(values)
    count = -(-width // 4)
    return [tuple(values[i * width // count:(i + 1) * width // count]) for i in range(count)]


def multiply(values):
    """One operation: in pairs, since operands of like size are multiplied fastest."""
    values = list(values)
    while len(values) > 1:
        values = [
            values[i] * values[i + 1] if i + 1 < len(values) else values[i]
            for i in range(0, len(values), 2)
        ]
    return values[0]


def levels(n):
    """Number of operations of each level."""
    widths = [-(-n // 4)]
    while widths[-1] > 1:
        widths.append(-(-widths[-1] // 4))
    return widths


def level_by_level(n, multiply_all):
    """n!, where a function computes all operations of a level."""
    values = multiply_all(leaves(n))
    while len(values) > 1:
        values = multiply_all(groups(values))
    return values[0]


def serve(factorial):
    """Answers lines until there are no more. Asked to end earlier, it ends what it has started, too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    factorial(100)
    print("ready", flush=True)
    for line in sys.stdin:
        n, file = line.split(maxsplit=1)
        n = int(n)
        begun = time.monotonic_ns()
        product = factorial(n)
        ns = time.monotonic_ns() - begun
        pathlib.Path(file.strip()).write_bytes(product.to_bytes((product.bit_length() + 7) // 8, "little"))
        print(json.dumps({"operations": sum(levels(n)), "ns": ns}), flush=True)
