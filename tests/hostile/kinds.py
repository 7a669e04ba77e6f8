"""The kinds of hostile files. Each function drops one or some, of sizes that are drawn."""

import os
import socket

from inbox import DONE, FAILED, LEFT

KIB = 1024
# Largest job file.
LIMIT = 64 * KIB
# What nobody may find in a text: it stands in a file that is linked to.
SECRET = b"the-secret-of-somebody-else"
BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"
KINDS = []


class Kind:
    """One kind: its name, and how its files may end."""

    def __init__(self, name, ends, function):
        self.name, self.ends, self.function = name, ends, function

    def __call__(self, inbox):
        self.function(inbox, self.name, self.ends)


def kind(name, *ends):
    def register(function):
        KINDS.append(Kind(name, ends, function))
        return function
    return register


def some(inbox, most=64):
    """How many at once: few, or a whole swarm."""
    return inbox.draws.choice((1, 2, most // 4 or 1, most))


def filled(line, size=LIMIT):
    """As many lines as fit."""
    return line * (size // len(line))


@kind("bad lines, a character each", FAILED)
def bad_lines(inbox, kind, ends):
    # By themselves such files have stopped a coordinator for longer than the others wait for it.
    for _ in range(64):
        inbox.file(kind, filled(inbox.draws.choice((b"x\n", b"!\n", b"-\n"))), ends)


@kind("bad lines, long", FAILED)
def long_lines(inbox, kind, ends):
    for _ in range(some(inbox, 16)):
        line = b"9" * inbox.draws.choice((100, 4 * KIB, LIMIT - 1)) + b"\n"
        inbox.file(kind, filled(line), ends)


@kind("bad lines, escapes", FAILED)
def escapes(inbox, kind, ends):
    for _ in range(some(inbox, 16)):
        line = inbox.draws.choice(
            (b"\x1b[2J\x1b[31m\x07\n", b'\\"\'\\\n', b"\x00\n", b"\x7f\x08\x08\x08\n", b"\xc2\x9b2J\n"))
        inbox.file(kind, filled(line), ends)


@kind("bad lines, bidi", FAILED)
def bidi(inbox, kind, ends):
    for _ in range(some(inbox, 16)):
        line = "".join(inbox.draws.choices(BIDI, k=inbox.draws.randint(1, 50))) + "10!\n"
        inbox.file(kind, filled(line.encode()), ends)


@kind("good lines, too many", FAILED)
def too_many(inbox, kind, ends):
    inbox.file(kind, filled(b"1\n", inbox.draws.randint(2 * 1001, LIMIT)), ends)


@kind("too large", FAILED)
def too_large(inbox, kind, ends):
    # Each size as likely as its half.
    size = int(LIMIT * 2 ** inbox.draws.uniform(0, 7)) + 1
    inbox.file(kind, inbox.draws.choice((b"10!\n", b"x\n", b"\n\n\n\n")) * (size // 4 + 1), ends)


@kind("sparse, 1 GiB", FAILED)
def sparse(inbox, kind, ends):
    for _ in range(some(inbox, 4)):
        hidden = inbox.hidden()
        with open(hidden, "wb") as file:
            file.truncate(1 << 30)
        inbox.place(kind, hidden, ends)


@kind("binary", FAILED)
def binary(inbox, kind, ends):
    for _ in range(some(inbox, 8)):
        inbox.file(kind, b"\xff" + inbox.draws.randbytes(inbox.draws.randrange(LIMIT)), ends)


@kind("UTF-16", FAILED)
def utf_16(inbox, kind, ends):
    for coding in ("utf-16", "utf-16-le", "utf-16-be"):
        inbox.file(kind, "10!\n20!\n".encode(coding), ends)


@kind("empty", FAILED)
def empty(inbox, kind, ends):
    for _ in range(some(inbox)):
        inbox.file(kind, b"", ends)


@kind("name not UTF-8", FAILED)
def name_not_utf_8(inbox, kind, ends):
    for tail in (b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\xf8" * 100):
        inbox.file(kind, b"10!\n", ends, inbox.name(ending="") + tail + b".job")


@kind("name of 255 bytes", FAILED)
def long_name(inbox, kind, ends):
    for unit in ("a", "ü", "🂡", ".", "\u0301"):
        start = inbox.name(ending="").decode()
        stem = start + unit * ((251 - len(start)) // len(unit.encode()))
        inbox.file(kind, b"10!\n", ends, stem.encode() + b".job")


@kind("name of 200 bytes and .job", DONE)
def longest_name(inbox, kind, ends):
    inbox.file(kind, b"10!\n", ends, inbox.name(ending="").ljust(200, b"b") + b".job")


@kind("name with control characters", FAILED)
def control_name(inbox, kind, ends):
    for part in (b"\n", b"\r\n10!=7", b"\x1b[2J", b"\x07\x08", b"\x7f", b"\xc2\x9b31m", b"\t"):
        inbox.file(kind, inbox.draws.choice((b"10!\n", b"x\n")), ends, inbox.name(ending="") + part + b".job")


@kind("name with bidi characters", DONE, FAILED)
def bidi_name(inbox, kind, ends):
    for part in ("\u202ebog", "\u2066x\u2069", "\u200f", "\u200b", "\u2028", "\ufeff"):
        inbox.file(kind, inbox.draws.choice((b"10!\n", b"x\n")), ends, inbox.name(part))


@kind("symbolic link", FAILED)
def symlink(inbox, kind, ends):
    secret = inbox.path(b".secret")
    if not os.path.exists(secret):
        with open(secret, "wb") as file:
            file.write(SECRET + b"\n")
    targets = (b".secret", b"/jobs/.secret", b"/etc/passwd", b"/proc/self/environ", b"/dev/zero", b"/nowhere", b"")
    for target in targets:
        name, hidden = inbox.name(), inbox.hidden()
        # The last one to itself.
        os.symlink(target or name, hidden)
        inbox.place(kind, hidden, ends, name)


@kind("symbolic link to a folder", LEFT, FAILED)
def link_to_folder(inbox, kind, ends):
    for target in (b".", b"done", b"/", b"/proc"):
        hidden = inbox.hidden()
        os.symlink(target, hidden)
        inbox.place(kind, hidden, ends)


@kind("FIFO", FAILED)
def fifo(inbox, kind, ends):
    for _ in range(some(inbox, 8)):
        hidden = inbox.hidden()
        os.mkfifo(hidden)
        inbox.place(kind, hidden, ends)


@kind("socket", FAILED)
def unix_socket(inbox, kind, ends):
    for _ in range(some(inbox, 8)):
        hidden = inbox.hidden()
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(hidden)
        inbox.place(kind, hidden, ends)


@kind("folder", LEFT)
def folder(inbox, kind, ends):
    hidden = inbox.hidden()
    os.mkdir(hidden)
    with open(os.path.join(hidden, b"within.job"), "wb") as file:
        file.write(b"10!\n")
    inbox.place(kind, hidden, ends)


@kind("hard links", DONE, FAILED)
def hard_links(inbox, kind, ends):
    first, second = inbox.hidden(), inbox.hidden()
    with open(first, "wb") as file:
        file.write(b"12!\n")
    os.link(first, second)
    for hidden in (first, second):
        inbox.place(kind, hidden, ends, size=4)
    # One that stays outside.
    kept, hidden = inbox.path(inbox.name(".kept").replace(b"h", b".", 1)), inbox.hidden()
    with open(kept, "wb") as file:
        file.write(b"13!\n")
    os.link(kept, hidden)
    # By name it is told from the other: the service never sees that one.
    inbox.place(kind, hidden, {*ends}, size=4)


@kind("mode 0000", FAILED)
def no_mode(inbox, kind, ends):
    for _ in range(some(inbox, 8)):
        inbox.file(kind, b"10!\n", ends, mode=0)


@kind("somebody else's, mode 0600", FAILED)
def somebody_elses(inbox, kind, ends):
    # None but root can make one.
    if inbox.owner:
        owner, inbox.owner = inbox.owner, (4242, 4242)
        inbox.file(kind, SECRET + b"\n", ends, mode=0o600)
        inbox.owner = owner


@kind("1000 large N, too many digits", FAILED)
def too_many_digits(inbox, kind, ends):
    for _ in range(some(inbox, 8)):
        numbers = inbox.draws.sample(range(50_000, 150_000), 1000)
        inbox.file(kind, b"".join(b"%d!\n" % n for n in numbers), ends)


@kind("1000 times 100000", FAILED)
def long_text(inbox, kind, ends):
    inbox.file(kind, b"100000\n" * 1000, ends)


@kind("1000 different N to 9000", DONE, FAILED)
def much(inbox, kind, ends):
    inbox.file(kind, b"".join(b"%d!\n" % n for n in range(8001, 9001)), ends)


@kind("200 different N to 9000", DONE, FAILED)
def as_much_as_fits(inbox, kind, ends):
    for _ in range(some(inbox, 4)):
        numbers = inbox.draws.sample(range(8000, 9001), 200)
        inbox.file(kind, b"".join(b"%d!\n" % n for n in numbers), ends)


@kind("many of one stem", DONE)
def one_stem(inbox, kind, ends):
    for ending in (".job", ".JOB", ".Job", ".jOB", ".joB", ".JOb"):
        inbox.file(kind, b"%d!\n" % inbox.draws.randint(10, 99), ends, f"one-stem{ending}".encode())


@kind("name that ends in .JOB", DONE)
def upper_case(inbox, kind, ends):
    inbox.file(kind, b"11!\n", ends, inbox.name(ending=inbox.draws.choice((".JOB", ".Job", ".JoB"))))


@kind("written to while it waits", DONE, FAILED)
def open_for_writing(inbox, kind, ends):
    """A file that is appended to and truncated, and all the time open for writing."""
    name = inbox.name()
    fd = os.open(inbox.path(name), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    inbox.give(inbox.path(name))
    inbox.track(kind, inbox.path(name), ends, name, 0)
    moment = 0
    for _ in range(inbox.draws.randint(1, 20)):
        moment += inbox.draws.uniform(0, 0.2)
        if inbox.draws.random() < 0.3:
            inbox.later(moment, lambda: os.ftruncate(fd, 0))
        else:
            inbox.later(moment, lambda: os.write(fd, b"15!\n"))
    inbox.later(moment + 0.1, lambda: os.close(fd))


@kind("opened and appended to again", DONE, FAILED)
def appended_to(inbox, kind, ends):
    file = inbox.file(kind, b"15!\n", ends)

    def append():
        try:
            fd = os.open(inbox.path(file.name), os.O_WRONLY | os.O_APPEND)
        except FileNotFoundError:
            return
        os.write(fd, b"16!\n")
        os.close(fd)

    for _ in range(20):
        inbox.later(inbox.draws.uniform(0, 0.05), append)


@kind("removed at once", DONE, FAILED)
def removed(inbox, kind, ends):
    for _ in range(some(inbox)):
        file = inbox.file(kind, inbox.draws.choice((b"10!\n", b"x\n")), ends)
        inbox.later(inbox.draws.choice((0, 0, 0.001, 0.01)), lambda file=file: inbox.remove(file))


@kind("hidden name", LEFT)
def hidden_name(inbox, kind, ends):
    number = next(inbox.serial)
    for name in (".h%d.run.1.5.6.done.txt", ".h%d.run.1.5.6.failed.txt", ".h%d.run.1.5.6.part", ".h%d.job"):
        inbox.file(kind, b"10!=7\n", ends, (name % number).encode())


@kind("name that does not end in .job", LEFT)
def no_job(inbox, kind, ends):
    for ending in (".txt", ".job.bak", ".jobs", "-job", ".job ", ".job~", ".job.tmp", ".part", ""):
        inbox.file(kind, inbox.draws.choice((b"10!\n", SECRET)), ends, inbox.name(ending=ending))
