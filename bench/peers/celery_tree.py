"""The tree by Celery with Redis: five processes of one worker, Redis on a Unix socket.

Level by level, the operations of a level as one group: what a chord would do, without its counting.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

from celery import Celery, group

from tree import WORKERS, level_by_level, multiply, serve

HERE = pathlib.Path(__file__).resolve().parent


def operation(values):
    """Products travel as bytes: Celery describes arguments and results as text, integers in full."""
    product = multiply(value if isinstance(value, int) else int.from_bytes(value, "little") for value in values)
    return product.to_bytes((product.bit_length() + 7) // 8, "little")


def application(socket):
    url = f"redis+socket://{socket}"
    app = Celery("tree", broker=url, backend=url)
    app.conf.update(
        task_serializer="pickle", result_serializer="pickle", accept_content=["pickle"], result_accept_content=["pickle"],
        worker_prefetch_multiplier=64, task_ignore_result=False, worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True, worker_send_task_events=False,
    )
    app.task(operation, name="operation")
    return app


def worker(socket):
    application(socket).worker_main(
        ["worker", "--pool=prefork", f"--concurrency={WORKERS}", "--loglevel=ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    )


def main():
    with tempfile.TemporaryDirectory(prefix="celery-tree-") as folder:
        socket = f"{folder}/redis.sock"
        redis = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        while not pathlib.Path(socket).exists():
            if redis.poll() is not None:
                raise SystemExit("redis-server did not start")
            time.sleep(0.01)
        # Pickle is fit here: the socket is in a folder that is private to this user. As root Celery asks twice.
        environment = os.environ | {"C_FORCE_ROOT": "1"}
        workers = subprocess.Popen(
            [sys.executable, __file__, socket], stdin=subprocess.DEVNULL, stdout=sys.stderr, cwd=HERE, env=environment
        )
        try:
            task = application(socket).tasks["operation"]

            def multiply_all(operations):
                results = group(task.s(values) for values in operations).apply_async()
                return results.join(interval=0.001, timeout=120)

            serve(lambda n: int.from_bytes(level_by_level(n, multiply_all), "little"))
        finally:
            for process in (workers, redis):
                process.terminate()
                process.wait()


if __name__ == "__main__":
    worker(sys.argv[1]) if len(sys.argv) > 1 else main()
