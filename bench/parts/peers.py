"""The same tree with five workers by what a user would pick instead. See bench/peers/README.md."""

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import time

from . import common
from .cluster import Service

HERE = common.ROOT / "bench/peers"
SIZES = (1_000, 10_000)
PINS = {
    "ray": ("ray==2.60.0",),
    "dask": ("dask==2026.8.0", "distributed==2026.8.0"),
    "celery": ("celery==5.7.0", "redis==8.1.0", "packaging==26.3"),
}


class Missing(Exception):
    """A program that a peer needs is not installed."""


class Peer:
    """A process that answers `N FILE`; ended, with all that it started, by closing its input."""

    def __init__(self, name, goal, command, also=(), **settings):
        self.name, self.goal, self.also = name, goal, list(also)
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=HERE, **settings
        )
        try:
            self.expect("ready", 120)
        except BaseException:
            self.stop(patience=0.1)
            raise

    def expect(self, word, limit):
        # One line at a time is asked for, so none waits in a buffer when the descriptor is looked at.
        if not select.select([self.process.stdout], [], [], limit)[0]:
            raise SystemExit(f"{self.name} says nothing for {limit} s")
        line = self.process.stdout.readline()
        if word not in line:
            raise SystemExit(f"{self.name} says {line!r}")
        return line

    def speed(self, n):
        """Operations a second."""
        file = common.SCRATCH / "peer-product"
        self.process.stdin.write(f"{n} {file}\n")
        said = json.loads(self.expect("operations", 300))
        common.check_product(n, file, self.name)
        file.unlink()
        return said["operations"] / said["ns"] * 1e9

    def stop(self, patience=30):
        self.process.stdin.close()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            self.process.wait()
        for process in self.also:
            process.terminate()
            process.wait()


class Bullpen:
    """A running service; from `job_accepted` to `product_done`."""

    def __init__(self):
        self.service = Service()
        self.count = 0

    def speed(self, n):
        self.count += 1
        name = f"peer-{self.count}"
        self.service.drop(name, f"{n}\n")
        self.service.done.wait(f"{name}.txt")
        common.check_line(n, self.service.result(name), "bullpen")
        accepted, done = (self.service.events(event)[-1] for event in ("job_accepted", "product_done"))
        return operations(n) / (done["mono_ns"] - accepted["mono_ns"]) * 1e9

    def stop(self):
        self.service.__exit__()


def operations(n):
    total = width = -(-n // 4)
    while width > 1:
        width = -(-width // 4)
        total += width
    return total


def need(program, package):
    if not shutil.which(program):
        raise Missing(f"{program} is not installed: apt-get install --no-install-recommends {package}")


def python(name):
    return common.venv(name, *PINS[name]) if name in PINS else sys.executable


def pool():
    return Peer("multiprocessing.Pool, chunksize 64", 5, [python("pool"), "pool_tree.py"])


def erlang_build():
    need("erl", "erlang-base")
    folder = common.SCRATCH / "erlang"
    folder.mkdir(exist_ok=True)
    subprocess.run(["erlc", "-o", folder, "tree.erl"], cwd=HERE, check=True)
    return ["erl", "-noshell", "-pa", folder]


def erlang_vm():
    erl = erlang_build()
    return Peer("Erlang, five processes in one VM, no checkpoint", 1.5, [*erl, "-eval", "tree:vm()."])


def erlang_nodes():
    erl = erlang_build()
    port = free_port()
    environment = os.environ | {"ERL_EPMD_PORT": str(port), "ERL_EPMD_ADDRESS": "127.0.0.1"}
    quiet = {"stdout": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
    epmd = subprocess.Popen(["epmd", "-address", "127.0.0.1", "-port", str(port)], **quiet, stderr=subprocess.DEVNULL)
    await_listener("epmd", epmd, port)

    def node(name, code):
        distributed = ["-name", f"{name}@127.0.0.1", "-setcookie", "tree", "-start_epmd", "false"]
        loopback = ["-kernel", "inet_dist_use_interface", "{127,0,0,1}"]
        return [*erl, *distributed, *loopback, "-eval", code]

    names = [f"worker{index}" for index in range(5)]
    workers = [subprocess.Popen(node(name, "tree:worker()."), env=environment, **quiet) for name in names]
    known = ",".join(f"'{name}@127.0.0.1'" for name in names)
    command = node("coordinator", f"tree:nodes([{known}]).")
    return Peer("Erlang, five nodes, checkpoint to every node", 20, command, [*workers, epmd], env=environment)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def await_listener(name, process, port, limit=20.0):
    end = time.monotonic() + limit
    while not listens(port):
        if process.poll() is not None:
            raise SystemExit(f"{name} ended with {process.returncode} and did not listen on port {port}")
        if time.monotonic() >= end:
            process.kill()
            raise SystemExit(f"{name} does not listen on port {port} within {limit:.0f} s")
        time.sleep(0.01)


def listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def ray():
    return Peer("Ray", 300, [python("ray"), "ray_tree.py"], stderr=subprocess.DEVNULL)


def dask():
    return Peer("Dask distributed", 300, [python("dask"), "dask_tree.py"])


def celery():
    need("redis-server", "redis-server")
    return Peer("Celery with Redis", 300, [python("celery"), "celery_tree.py"], stderr=subprocess.DEVNULL)


LIGHT, HEAVY = (pool, erlang_vm, erlang_nodes), (ray, dask, celery)


def compare(bullpen, peer, rounds):
    """Median speeds of a peer, and of bullpen in turn with it: a row of the table."""
    speeds = {(who, n): [] for who in (bullpen, peer) for n in SIZES}
    for round_ in range(rounds + 1):
        for (who, n), measured in speeds.items():
            speed = who.speed(n)
            if round_ > 0:
                measured.append(speed)
    theirs, ours = ([common.median(speeds[who, n]) for n in SIZES] for who in (peer, bullpen))
    ratios = [f"{our / their:.1f}" for our, their in zip(ours, theirs)]
    return (peer.name, *(f"{speed:,.0f}" for speed in theirs + ours), *ratios, f"at least {peer.goal}")


def measure(rounds, heavy=False):
    common.heading("The same tree with five workers by what a user would pick instead")
    print("Operations a second, workers warm: one round is not counted. Each peer runs alone with bullpen, in turn: some")
    print("keep a core busy even when nothing is asked of them. Bullpen, with its checkpoint to every node, from")
    print("`job_accepted` to `product_done`. None of the peers has a failover of its coordinator; bench/peers/README.md says")
    print("what each is. The goals are those at n = 10,000.\n")
    rows, absent = [], []
    bullpen = Bullpen()
    try:
        for start in LIGHT + (HEAVY if heavy else ()):
            try:
                peer = start()
            except Missing as missing:
                absent.append(f"{start.__name__}: {missing}")
                continue
            try:
                rows.append(compare(bullpen, peer, rounds))
            finally:
                peer.stop()
    finally:
        bullpen.stop()
    sizes = [f"n = {n:,}" for n in SIZES]
    columns = ("", *sizes, *(f"bullpen, {size}" for size in sizes), *(f"ratio, {size}" for size in sizes), "goal")
    common.table(columns, rows)
    for sentence in absent:
        print(f"Left out: {sentence}\n")
