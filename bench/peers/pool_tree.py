"""The tree by `multiprocessing.Pool`: five processes, 64 operations to a chunk."""

import multiprocessing

from tree import WORKERS, level_by_level, multiply, serve

if __name__ == "__main__":
    with multiprocessing.Pool(WORKERS) as pool:
        serve(lambda n: level_by_level(n, lambda operations: pool.map(multiply, operations, chunksize=64)))
