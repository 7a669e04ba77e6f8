"""The tree by Dask distributed: five processes of one thread, the whole graph handed in at once."""

import logging

from distributed import Client, LocalCluster

from tree import WORKERS, leaves, groups, multiply, serve


def operation(*values):
    return multiply(values)


def graph(n, run):
    """The tree as a graph of tasks, and the name of its root. Names of another run would be known."""
    tasks, names = {}, []
    for index, numbers in enumerate(leaves(n)):
        names.append(f"{run}-0-{index}")
        tasks[names[-1]] = (operation, *numbers)
    level = 0
    while len(names) > 1:
        level += 1
        operands, names = groups(names), []
        for index, group in enumerate(operands):
            names.append(f"{run}-{level}-{index}")
            tasks[names[-1]] = (operation, *group)
    return tasks, names[0]


def main():
    cluster = LocalCluster(
        n_workers=WORKERS, threads_per_worker=1, processes=True, host="127.0.0.1",
        dashboard_address=None, silence_logs=logging.ERROR,
    )
    runs = iter(range(1 << 30))
    with cluster, Client(cluster) as client:
        serve(lambda n: client.get(*graph(n, f"run{next(runs)}")))


if __name__ == "__main__":
    main()
