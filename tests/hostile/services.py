"""The service that is tested: in a container, or in a control group of its own."""

import json
import os
import pathlib
import re
import subprocess
import time

MEMORY = 512 << 20
NODES = 6
# Longer than anything takes on a busy machine.
PATIENCE = 120
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CGROUPS = pathlib.Path("/sys/fs/cgroup")


def choose(options, folder):
    """The service for this machine and these options; None where there can be none."""
    if not options.binary and succeeds("docker", "info"):
        return Container(options.image)
    if not options.image and os.getuid() == 0 and Group.can_be_made():
        return Bare(options.binary, folder)
    return None


def run(*command, timeout=PATIENCE):
    """Standard output of a command that has to succeed."""
    return subprocess.run(command, check=True, capture_output=True, text=True, errors="replace", timeout=timeout).stdout


def succeeds(*command):
    try:
        run(*command)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


class Group:
    """A control group of the memory, version 1 or 2, by its folder. None of it need be readable."""

    def __init__(self, folder):
        self.folder = folder
        self.largest_anonymous = 0
        self.next_sample = 0

    @staticmethod
    def can_be_made():
        return (CGROUPS / "memory/memory.limit_in_bytes").exists() or (CGROUPS / "cgroup.subtree_control").exists() \
            and "memory" in (CGROUPS / "cgroup.subtree_control").read_text()

    @classmethod
    def make(cls, name):
        old = CGROUPS / "memory"
        folder = (old if old.is_dir() else CGROUPS) / name
        folder.mkdir()
        # Without swap, where it is counted at all.
        limits = {"memory.limit_in_bytes": MEMORY, "memory.memsw.limit_in_bytes": MEMORY,
                  "memory.max": MEMORY, "memory.swap.max": 0}
        for file, limit in limits.items():
            if (folder / file).exists():
                (folder / file).write_text(str(limit))
        return cls(folder)

    @classmethod
    def of(cls, pid):
        for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            if "memory" in controllers.split(","):
                return cls(CGROUPS / "memory" / path.lstrip("/"))
            if number == "0":
                unified = cls(CGROUPS / path.lstrip("/"))
        return unified

    def read(self, *files):
        for file in files:
            try:
                return (self.folder / file).read_text()
            except OSError:
                pass
        return ""

    def sample(self):
        """Notes the memory without the page cache, twice a second at most."""
        if time.monotonic() >= self.next_sample:
            self.next_sample = time.monotonic() + 0.5
            found = re.search(r"^(?:anon|total_rss) (\d+)$", self.read("memory.stat"), re.MULTILINE)
            self.largest_anonymous = max(self.largest_anonymous, int(found[1]) if found else 0)

    def peak(self):
        return int(self.read("memory.peak", "memory.max_usage_in_bytes") or 0)

    def kills(self):
        found = re.search(r"^oom_kill (\d+)$", self.read("memory.events", "memory.oom_control"), re.MULTILINE)
        return int(found[1]) if found else None


class Service:
    """What both have in common. `cgroup` is there after the start."""

    cgroup = None

    def start(self, inbox):
        self.launch(inbox)
        end = time.monotonic() + PATIENCE
        while not self.is_whole():
            if time.monotonic() > end or not self.runs():
                raise SystemExit(f"the service does not start:\n{self.log()[-2000:]}")
            time.sleep(0.1)
        print(self.log().strip(), flush=True)

    def is_whole(self):
        try:
            status = json.loads(self.ask("status", "--json"))
        except (ValueError, subprocess.SubprocessError):
            return False
        roles = [node["role"] for node in status["nodes"]]
        return status["coordinator"] == NODES - 1 and sorted(roles) == ["coordinator"] + ["worker"] * (NODES - 1)

    def sample(self):
        self.cgroup.sample()

    def events(self):
        """All lines of the event log that are whole."""
        for line in self.event_log().splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                pass


class Container(Service):
    def __init__(self, image):
        # Names of images may not have every character that those of temporary folders have.
        self.name = f"bullpen-hostile-{os.getpid()}"
        self.image = image
        self.built = image is None
        if self.built:
            self.image = self.name
            print("building the image", flush=True)
            run("docker", "build", "-t", self.image, str(ROOT), timeout=3600)

    def __str__(self):
        return f"a container of {self.image} with {MEMORY >> 20} MiB"

    def launch(self, inbox):
        memory = str(MEMORY)
        run("docker", "run", "-d", "--name", self.name, "--memory", memory, "--memory-swap", memory,
            "--network", "none", "-v", f"{os.fsdecode(inbox.folder)}:/jobs", self.image)
        self.cgroup = Group.of(self.inspect("{{.State.Pid}}"))

    def inspect(self, what):
        return run("docker", "inspect", "-f", what, self.name).strip()

    def runs(self):
        return self.inspect("{{.State.Running}}") == "true"

    def killed_for_memory(self):
        return self.inspect("{{.State.OOMKilled}}") == "true" or bool(self.cgroup.kills())

    def ask(self, *command):
        return run("docker", "exec", self.name, "bullpen", *command)

    def log(self):
        logs = subprocess.run(["docker", "logs", self.name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=PATIENCE)
        return logs.stdout.decode(errors="replace")

    def event_log(self):
        # Not with `exec`: it may have ended. In a stream of `tar`.
        copy = subprocess.run(["docker", "cp", f"{self.name}:/run/bullpen/events.jsonl", "-"], check=True,
                              capture_output=True, timeout=PATIENCE)
        log = subprocess.run(["tar", "-xO"], input=copy.stdout, check=True, capture_output=True)
        return log.stdout.decode(errors="replace")

    def stop(self):
        run("docker", "stop", self.name)
        return int(self.inspect("{{.State.ExitCode}}"))

    def remove(self):
        succeeds("docker", "rm", "-f", self.name)
        if self.built:
            succeeds("docker", "rmi", "--no-prune", self.image)


class Bare(Service):
    process = None

    def __init__(self, binary, folder):
        self.folder = folder
        if not binary:
            run("cargo", "build", "--release", "--locked", "--quiet", "--manifest-path", str(ROOT / "Cargo.toml"),
                timeout=3600)
            binary = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/bullpen"
        self.binary = str(pathlib.Path(binary).resolve())

    def __str__(self):
        return f"a control group with {MEMORY >> 20} MiB"

    def launch(self, inbox):
        self.cgroup = Group.make(self.folder.name)
        self.output = self.folder / "log"
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(self.cgroup.folder / "cgroup.procs"), self.binary, "up",
                 "--jobs", os.fsdecode(inbox.folder), "--run-dir", str(self.folder / "run")],
                stdout=output, stderr=subprocess.STDOUT)

    def runs(self):
        return self.process.poll() is None

    def killed_for_memory(self):
        return bool(self.cgroup.kills())

    def ask(self, *command):
        return run(self.binary, *command, "--run-dir", str(self.folder / "run"))

    def log(self):
        return self.output.read_text(errors="replace")

    def event_log(self):
        return (self.folder / "run/events.jsonl").read_text(errors="replace")

    def stop(self):
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def remove(self):
        if self.process and self.runs():
            self.process.kill()
            self.process.wait()
        if self.cgroup:
            # The nodes end by themselves when their supervisor is gone.
            end = time.monotonic() + PATIENCE
            while self.cgroup.folder.exists() and time.monotonic() < end:
                try:
                    self.cgroup.folder.rmdir()
                except OSError:
                    time.sleep(0.1)
