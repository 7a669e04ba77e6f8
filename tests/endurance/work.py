"""The jobs, and how they must end."""

import collections
import functools
import math
import os
import pathlib


@functools.cache
def line(n):
    return f"{n}!={math.factorial(n)}\n"


class Work:
    """Jobs of all sizes, most of them small."""

    def __init__(self, folder, draws, count):
        self.folder = folder
        self.texts = {}
        self.draws = draws
        self.dropped = 0
        self.ends = collections.Counter()

    def drop(self):
        """Drops the next job; tells whether there was room for it."""
        kind = self.draws.random()
        if kind < 0.9:
            numbers = [self.draws.randrange(200) for _ in range(self.draws.randrange(1, 4))]
        elif kind < 0.99:
            numbers = [self.draws.randrange(2_000)]
        else:
            numbers = [self.draws.randrange(20_000)]
        name = f"job{self.dropped}"
        part = self.folder / f".{name}.tmp"
        try:
            part.write_text("".join(f"{n}!\n" for n in numbers))
            os.rename(part, self.folder / f"{name}.job")
        except OSError:
            # The disk is full: it comes when there is room.
            part.unlink(missing_ok=True)
            return False
        self.texts[name] = numbers
        self.dropped += 1
        return True

    def have_ended(self):
        return not any(self.folder.glob("*.job")) and not any((self.folder / "running").iterdir())

    def faults(self):
        faults = [f"{path} is left" for path in [*self.folder.glob("*.job"), *(self.folder / "running").iterdir()]]
        for folder in ("done", "failed"):
            names = {path.stem for path in (self.folder / folder).glob("*.txt")}
            faults += [f"{folder}/{name} is of no job" for name in names if name not in self.texts]
        for name, numbers in self.texts.items():
            faults += self.fault(name, numbers)
        return faults

    def fault(self, name, numbers):
        texts = {folder: self.folder / folder / f"{name}.txt" for folder in ("done", "failed")}
        ended = [folder for folder, text in texts.items() if text.exists()]
        if len(ended) != 1 or not (self.folder / ended[0] / f"{name}.job").exists():
            return [f"{name} has ended in {ended}"]
        self.ends[ended[0]] += 1
        text = texts[ended[0]].read_text()
        if ended[0] == "done":
            return [] if text == "".join(map(line, numbers)) else [f"{name} is wrong"]
        reasons = ("nodes died for want of memory", "workers died one after the other")
        return [] if any(reason in text for reason in reasons) else [f"{name} has failed: {text.strip()}"]

    def __str__(self):
        return f"{self.dropped} jobs: {self.ends['done']} done, {self.ends['failed']} failed with their reason"
