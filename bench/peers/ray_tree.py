"""The tree by Ray: five workers, each operation a task, its operands references to objects."""

import logging
import os

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"

import ray

from tree import WORKERS, leaves, groups, multiply, serve

ray.init(
    num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR,
    object_store_memory=256 << 20, _node_ip_address="127.0.0.1",
)


@ray.remote
def operation(*values):
    return multiply(values)


def factorial(n):
    values = [operation.remote(*numbers) for numbers in leaves(n)]
    while len(values) > 1:
        values = [operation.remote(*references) for references in groups(values)]
    return ray.get(values[0])


serve(factorial)
ray.shutdown()
