"""A cluster as the benchmarks use it: the service, one computation, its events, its memory."""

import ctypes
import json
import os
import pathlib
import select
import struct
import subprocess
import tempfile
import time

from .common import BULLPEN, SCRATCH


def read_events(run_dir, *names):
    """The events of these names, in the order of the log. Torn lines are left out."""
    events = []
    with open(pathlib.Path(run_dir) / "events.jsonl", "rb") as log:
        for line in log:
            if any(b'"%s"' % name.encode() in line for name in names):
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                if event.get("event") in names:
                    events.append(event)
    return events


def private():
    """A run directory: in the temporary directory, since the paths of sockets must be short."""
    return tempfile.TemporaryDirectory(prefix="bullpen-bench-")


class Run:
    """One `bullpen compute`: its times, its events, its output in a file."""

    def __init__(self, n, *options, watch=None):
        self.n = n
        self.folder = tempfile.TemporaryDirectory(prefix="compute-", dir=SCRATCH)
        self.private = private()
        self.run_dir = pathlib.Path(self.private.name)
        self.output = pathlib.Path(self.folder.name) / "output"
        command = [BULLPEN, "compute", "--run-dir", self.run_dir, *options, str(n)]
        with open(self.output, "wb") as output:
            self.begun_ns = time.monotonic_ns()
            process = subprocess.Popen(command, stdout=output)
            if watch:
                watch(process)
            code = process.wait()
            self.ended_ns = time.monotonic_ns()
        if code != 0:
            raise SystemExit(f"compute {n} ended with {code}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()
        self.private.cleanup()

    def seconds(self):
        return (self.ended_ns - self.begun_ns) / 1e9

    def events(self, *names):
        return read_events(self.run_dir, *names)

    def product_seconds(self):
        """From the acceptance of the job until the last multiplication is done."""
        times = {event["event"]: event["mono_ns"] for event in self.events("job_accepted", "product_done")}
        return (times["product_done"] - times["job_accepted"]) / 1e9


class Service:
    """A running `bullpen up` on directories of its own, on the disk of the build."""

    def __init__(self, *options):
        self.folder = tempfile.TemporaryDirectory(prefix="service-", dir=SCRATCH)
        self.private = private()
        self.jobs, self.run_dir = pathlib.Path(self.folder.name) / "jobs", pathlib.Path(self.private.name)
        command = [BULLPEN, "up", "--jobs", self.jobs, "--run-dir", self.run_dir, *options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.await_acting()
        self.done = Names(self.jobs / "done")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.done.close()
        self.folder.cleanup()
        self.private.cleanup()

    def await_acting(self, limit=20.0):
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if (self.run_dir / "events.jsonl").exists() and self.events("acting"):
                return
            time.sleep(0.01)
        raise SystemExit(f"no coordinator within {limit} s")

    def events(self, *names):
        return read_events(self.run_dir, *names)

    def drop(self, name, text):
        """Puts a job file into the inbox, whole; returns when, by the clock of the events."""
        hidden = self.jobs / f".{name}.tmp"
        hidden.write_text(text)
        begun = time.monotonic_ns()
        hidden.rename(self.jobs / f"{name}.job")
        return begun

    def result(self, name):
        return self.jobs / "done" / f"{name}.txt"


class Names:
    """Names that files get in a folder, as inotify tells them."""

    MOVED_TO = 0x80
    CLOSE_ON_EXEC = 0o2000000

    def __init__(self, folder):
        libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = libc.inotify_init1(self.CLOSE_ON_EXEC)
        watch = libc.inotify_add_watch(self.descriptor, os.fsencode(folder), self.MOVED_TO)
        if self.descriptor < 0 or watch < 0:
            raise OSError(ctypes.get_errno(), f"cannot watch {folder}")

    def close(self):
        os.close(self.descriptor)

    def read(self, limit):
        """The next names, at least one; none after so many seconds without any."""
        if not select.select([self.descriptor], [], [], limit)[0]:
            return []
        data, names = os.read(self.descriptor, 1 << 20), []
        while data:
            length = struct.unpack_from("iIII", data)[3]
            names.append(os.fsdecode(data[16:16 + length].rstrip(b"\0")))
            data = data[16 + length:]
        return names

    def wait(self, name, limit=60.0):
        """When the file got its name."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if name in self.read(end - time.monotonic()):
                return time.monotonic_ns()
        raise SystemExit(f"no {name} within {limit} s")


def children(pid):
    try:
        return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def proportional_bytes(pid):
    """The proportional set size of a process; nothing for one that has ended."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            line = next((line for line in rollup if line.startswith("Pss:")), "Pss: 0 kB")
            return int(line.split()[1]) * 1024
    except OSError:
        return 0


class Memory:
    """Samples the nodes of a computation: the peak of their sum, and of the largest one."""

    def __init__(self, interval):
        self.interval = interval
        self.sum = self.largest = self.samples = 0

    def __call__(self, process):
        while process.poll() is None:
            sizes = [proportional_bytes(pid) for pid in children(process.pid)]
            self.sum = max(self.sum, sum(sizes))
            self.largest = max([self.largest, *sizes])
            self.samples += 1
            time.sleep(self.interval)
