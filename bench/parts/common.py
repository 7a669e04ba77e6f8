"""What all parts share: where things are, how they are built, medians and tables, right values."""

import functools
import hashlib
import math
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
# Everything that a benchmark makes is in here: on the disk that the build is on.
SCRATCH = TARGET / "bench"
BULLPEN = TARGET / "release/bullpen"
TREE = TARGET / "release/tree"
GMPY2 = "gmpy2==2.3.2"
FLINT = "python-flint==0.9.0"

GMP = """
import hashlib, os, sys, gmpy2
what, n = sys.argv[1], int(sys.argv[2])
value = gmpy2.fac(n)
if what == "digits":
    text = memoryview(f"{n}!={value.digits()}\\n".encode())
    while text:
        text = text[os.write(1, text):]
elif what == "product":
    value = int(value)
    print(hashlib.sha256(value.to_bytes((value.bit_length() + 7) // 8, "little")).hexdigest())
elif what == "version":
    print(f"{gmpy2.mp_version()} (gmpy2 {gmpy2.version()})")
"""


class Wrong(SystemExit):
    """A result is not what it must be: the benchmark fails."""

    def __init__(self, what):
        super().__init__(f"WRONG: {what}")


def build():
    """The release binaries that are measured."""
    command = ["cargo", "build", "--release", "--locked", "--quiet", "-p", "supervisor", "-p", "tree"]
    subprocess.run(command, cwd=ROOT, check=True)
    SCRATCH.mkdir(parents=True, exist_ok=True)


def venv(name, *pins):
    """The Python of a virtual environment with exactly these packages; made when it is not there."""
    home = SCRATCH / f"venv-{name}"
    python, stamp = home / "bin/python", home / "pins"
    if not stamp.exists() or stamp.read_text().split() != list(pins):
        print(f"making {home} with {' '.join(pins)}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins], check=True)
        stamp.write_text("\n".join(pins))
    return python


def gmp(what, n=0):
    """The command of a process that computes n! with GMP."""
    return [venv("gmp", GMPY2), "-c", GMP, what, str(n)]


def flint(n):
    """The command of a process that computes n! with FLINT."""
    code = f"import flint; print('{n}!=' + flint.fmpz.fac_ui({n}).str())"
    return [venv("flint", FLINT), "-c", code]


def gmp_says(what, n=0):
    return subprocess.run(gmp(what, n), stdout=subprocess.PIPE, check=True, text=True).stdout.strip()


@functools.cache
def line_hash(n):
    """The hash of `N!=digits`, with its newline, by GMP."""
    process = subprocess.Popen(gmp("digits", n), stdout=subprocess.PIPE)
    digest = hashlib.file_digest(process.stdout, "sha256").hexdigest()
    if process.wait() != 0:
        raise SystemExit("GMP failed")
    return digest


@functools.cache
def product_hash(n):
    """The hash of n! as little-endian bytes without zeros at the end, by GMP."""
    return gmp_says("product", n)


def check_line(n, file, of):
    """Fails unless the file has the one line `N!=digits`."""
    with open(file, "rb") as opened:
        if hashlib.file_digest(opened, "sha256").hexdigest() != line_hash(n):
            raise Wrong(f"the digits of {n}! by {of} differ from GMP's")


def check_product(n, file, of):
    """Fails unless the file has n!, as little-endian bytes."""
    value = pathlib.Path(file).read_bytes().rstrip(b"\0")
    if hashlib.sha256(value).hexdigest() != product_hash(n):
        raise Wrong(f"the product {n}! by {of} differs from GMP's")


def heading(text):
    print(f"## {text}\n", flush=True)


def table(columns, rows):
    """A Markdown table; the first column is text, the others are figures."""
    print("| " + " | ".join(columns) + " |")
    print("|---" + "|---:" * (len(columns) - 1) + "|")
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print(flush=True)


def median(values):
    return statistics.median(values)


def at(values, share):
    """The least of these values that this share of them does not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def figure(value):
    """Three significant digits, and thousands apart."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def rounds(count):
    return f"Medians of {count} rounds" if count > 1 else "One round"


def machine():
    """What was measured on, in a sentence."""
    memory = next(line for line in open("/proc/meminfo") if line.startswith("MemTotal"))
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    load = os.getloadavg()[0]
    return (
        f"{len(os.sched_getaffinity(0))} cores ({model}), {int(memory.split()[1]) / 2**20:.0f} GiB of memory, "
        f"Linux {os.uname().release}; load {load:.1f} when it began"
    )


def file_system(path):
    """The type of the file system that a path is on."""
    path, best = str(pathlib.Path(path).resolve()), ("", "?")
    for line in open("/proc/self/mountinfo"):
        fields = line.split()
        point, kind = fields[4], fields[fields.index("-") + 1]
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best[0]):
            best = (point, kind)
    return best[1]
