"""The service that is disturbed, and what surrounds it."""

import json
import os
import pathlib
import pty
import subprocess
import time

MEMORY = 512 << 20
DISK = 64 << 20
CGROUPS = pathlib.Path("/sys/fs/cgroup")
# Longer than anything takes on a busy machine with half a core.
PATIENCE = 120


def can_be_limited():
    return all((CGROUPS / name).is_dir() for name in ("memory", "cpu")) or (CGROUPS / "cgroup.controllers").exists()


class Group:
    """Control groups with 512 MB and a share of a processor, version 1 or 2."""

    def __init__(self, name, cores):
        if (CGROUPS / "memory").is_dir():
            self.folders = [CGROUPS / "memory" / name, CGROUPS / "cpu" / name]
            self.limit_file = self.folders[0] / "memory.limit_in_bytes"
            quota = (self.folders[1] / "cpu.cfs_quota_us", str(int(cores * 100_000)))
        else:
            self.folders = [CGROUPS / name]
            self.limit_file = self.folders[0] / "memory.max"
            quota = (self.folders[0] / "cpu.max", f"{int(cores * 100_000)} 100000")
        for folder in self.folders:
            folder.mkdir()
        quota[0].write_text(quota[1])
        self.limit(MEMORY)

    def limit(self, memory):
        """Tells whether so little was possible."""
        try:
            self.limit_file.write_text(str(memory))
        except OSError:
            return False
        return True

    def kills(self):
        for file in ("memory.events", "memory.oom_control"):
            path = self.folders[0] / file
            if path.exists():
                counts = dict(line.split() for line in path.read_text().splitlines())
                return int(counts.get("oom_kill", 0))
        return 0

    def remove(self):
        end = time.monotonic() + PATIENCE
        for folder in self.folders:
            while folder.exists() and time.monotonic() < end:
                try:
                    folder.rmdir()
                except OSError:
                    time.sleep(0.1)


class Service:
    def __init__(self, binary, folder, cores):
        self.cores = cores
        self.binary = str(binary.resolve())
        self.folder, self.run_dir, self.disk = folder, folder / "run", folder / "disk"
        self.jobs = self.disk / "jobs"
        self.process = self.group = None
        # What is to be undone, and when.
        self.undoing = []

    def start(self):
        self.disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "bullpen-endurance", self.disk], check=True)
        self.jobs.mkdir()
        self.group = Group(self.folder.name, self.cores)
        procs = [str(folder / "cgroup.procs") for folder in self.group.folders]
        # Nobody reads the other end.
        self.terminal, end = pty.openpty()
        enter = 'for file in $1 $2; do echo $$ >$file; done; shift 2; exec "$@"'
        self.process = subprocess.Popen(
            ["sh", "-c", enter, "sh", *(procs * 2)[:2],
             "unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
             self.binary, "up", "--jobs", self.jobs, "--run-dir", self.run_dir, "--delay", "1ms"],
            stdin=end, stdout=end, stderr=end)
        os.close(end)
        until = time.monotonic() + PATIENCE
        while not self.is_whole():
            if time.monotonic() > until or not self.runs():
                raise SystemExit("the service does not start")
            time.sleep(0.1)
        self.supervisor = self.children(self.process.pid)[0]

    def runs(self):
        return self.process.poll() is None

    def status(self):
        try:
            asked = subprocess.run([self.binary, "status", "--json", "--run-dir", self.run_dir], timeout=30,
                                   capture_output=True)
            return json.loads(asked.stdout)
        except (ValueError, subprocess.TimeoutExpired):
            return None

    def is_whole(self):
        status = self.status()
        return status and status["coordinator"] == max(node["id"] for node in status["nodes"])

    @staticmethod
    def children(pid):
        try:
            return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        except OSError:
            return []

    def processes(self):
        """The nodes and what watches, by name; those that have not executed yet are called otherwise."""
        named = {}
        for pid in self.children(self.supervisor):
            try:
                named[pathlib.Path(f"/proc/{pid}/comm").read_text().strip()] = pid
            except OSError:
                pass
        return named

    def elections(self):
        """How many were held so far."""
        log = (self.run_dir / "events.jsonl").read_text(errors="replace")
        return log.count('"election_started"')

    def later(self, seconds, undo):
        self.undoing.append((time.monotonic() + seconds, undo))

    def undo_what_is_due(self):
        now = time.monotonic()
        due = [undo for at, undo in self.undoing if at <= now]
        self.undoing = [(at, undo) for at, undo in self.undoing if at > now]
        for undo in due:
            undo()

    def faults(self):
        faults = []
        if not self.runs():
            return [f"the service has ended with exit code {self.process.returncode}"]
        until = time.monotonic() + PATIENCE
        while (found := self.unwell()) and time.monotonic() < until:
            time.sleep(0.5)
        return faults + ([found] if found else [])

    def unwell(self):
        """What is not as it must be when everything was undone; nothing of it lasts."""
        status = self.status()
        if not status:
            return "status is not answered"
        self.restarts = sum(node["restarts"] for node in status["nodes"])
        self.term = status["term"]
        roles = {node["id"]: node["role"] for node in status["nodes"]}
        expected = {node: "worker" for node in roles} | {max(roles): "coordinator"}
        if roles != expected or status["jobs"]:
            return f"in the end it is {status}"
        zombies = [pid for pid in self.children(self.supervisor)
                   if pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"]
        return f"zombies are left: {zombies}" if zombies else None

    def stop(self):
        if self.runs():
            os.kill(self.supervisor, 15)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            return "none, though it had a minute"

    def __str__(self):
        return f"{self.restarts} restarts, term {self.term}, {self.group.kills()} memory kills" if self.group else ""

    restarts = term = 0

    def remove(self):
        if self.process and self.runs():
            self.process.kill()
            self.process.wait()
        if self.group:
            self.kills = self.group.kills()
            self.group.kills = lambda: self.kills
            self.group.remove()
        subprocess.run(["umount", "-l", self.disk], check=False)
