"""The jobs folder from the side of those who drop files into it."""

import collections
import dataclasses
import heapq
import itertools
import os
import random
import time

# How a file may end.
DONE, FAILED, LEFT = "done", "failed", "left"


@dataclasses.dataclass
class File:
    """A hostile file that was dropped, known by its inode whatever the service names it."""

    kind: str
    name: bytes
    bytes: int
    inode: int
    ends: frozenset
    end: str = "nowhere"


@dataclasses.dataclass
class Good:
    """A good job, and when it was dropped."""

    name: str
    n: int
    dropped: float


class Inbox:
    """Drops files, and knows what became of them."""

    def __init__(self, folder, seed):
        self.folder = os.fsencode(folder)
        # Of each their own, since it depends on the machine how they meet.
        self.draws = random.Random(seed)
        self.good_draws = random.Random(f"good {seed}")
        # Root drops as an ordinary user, to whom the folder belongs.
        self.owner = (1000, 1000) if os.getuid() == 0 else None
        self.files = []
        self.goods = []
        self.bytes = 0
        self.removed = collections.Counter()
        self.pending = []
        self.serial = itertools.count(1)
        os.mkdir(self.folder)
        self.give(self.folder)

    def give(self, path):
        if self.owner:
            os.chown(path, *self.owner, follow_symlinks=False)

    def path(self, name):
        return os.path.join(self.folder, name)

    def name(self, stem="", ending=".job"):
        """A name that no other file has."""
        return os.fsencode(f"h{next(self.serial)}{stem}{ending}")

    def hidden(self):
        return self.path(b".%d.tmp" % next(self.serial))

    def good(self, index):
        n = self.good_draws.randint(10, 3000)
        hidden = self.path(b".good-%03d.tmp" % index)
        with open(hidden, "wb") as file:
            file.write(b"%d!\n" % n)
        self.give(hidden)
        self.goods.append(Good(f"good-{index:03}", n, time.time()))
        os.rename(hidden, self.path(b"good-%03d.job" % index))

    def file(self, kind, content, ends, name=None, mode=0o644):
        """Drops a file the safe way, unless the name is taken."""
        hidden = self.hidden()
        with open(hidden, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
        return self.place(kind, hidden, ends, name, len(content))

    def place(self, kind, hidden, ends, name=None, size=0):
        """Gives what was made under a hidden name its own. The service only ever takes names away."""
        self.give(hidden)
        name = name or self.name()
        if os.path.lexists(self.path(name)):
            os.remove(hidden)
            return None
        file = self.track(kind, hidden, ends, name, size)
        os.rename(hidden, self.path(name))
        return file

    def track(self, kind, path, ends, name, size):
        """Remembers the file at a path, which is going to have that name."""
        file = File(kind, name, size, os.lstat(path).st_ino, frozenset(ends))
        self.files.append(file)
        self.bytes += size
        return file

    def remove(self, file):
        """Takes a file away again, if it is still there."""
        try:
            os.remove(self.path(file.name))
        except FileNotFoundError:
            return
        self.files.remove(file)
        self.removed[file.kind] += 1

    def later(self, seconds, action):
        heapq.heappush(self.pending, (time.monotonic() + seconds, next(self.serial), action))

    def act(self):
        """Does what was put off and is due."""
        while self.pending and self.pending[0][0] <= time.monotonic():
            heapq.heappop(self.pending)[2]()

    def places(self):
        """Where each inode is: folder and name. What is claimed at this moment may be missed."""
        found = collections.defaultdict(list)
        for folder in ("", "running", "done", "failed"):
            with os.scandir(self.path(folder.encode())) as entries:
                for entry in entries:
                    found[entry.inode()].append((folder, entry.name))
        return found

    def find_ends(self):
        """Sets the end of each hostile file; gives each its place, and whether all are where they may be."""
        places = self.places()
        result = []
        for file in self.files:
            here = places[file.inode]
            # Of two hard links one is at each place.
            own = [place for place in here if place == ("", file.name)]
            place = (own or [place for place in here if place[0]] or [None])[0]
            if place:
                here.remove(place)
            folder = place[0] if place else "nowhere"
            file.end = {"": LEFT}.get(folder, folder)
            result.append((file, place))
        return result

    def settled(self):
        """Whether each file has ended, as it may or otherwise."""
        texts = set(os.listdir(self.path(b"done")))
        if not all(f"{good.name}.txt".encode() in texts for good in self.goods):
            return False
        texts = {DONE: texts, FAILED: set(os.listdir(self.path(b"failed")))}
        return all(
            text_of(place[1]) in texts[file.end] if file.end in texts else file.end == LEFT and LEFT in file.ends
            for file, place in self.find_ends()
        )


def text_of(job):
    """The name of the text beside a job file."""
    return job.removesuffix(b".job") + b".txt"
