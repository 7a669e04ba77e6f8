"""What happens to the service. Each deed says what it did, and what undoes it comes later."""

import ctypes
import os
import pathlib
import shutil
import signal
import time

LIBC = ctypes.CDLL(None, use_errno=True)
PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
ALL_THREADS = 0x40000000  # __WALL of waitpid(2)
# What asks the supervisor to end, or must end it.
ENDS_IT = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL, signal.SIGSTOP}
DEEDS = []


def deed(function):
    DEEDS.append(function)
    return function


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def one_of(service, draws):
    named = service.processes()
    return draws.choice(sorted(named.items())) if named else (None, None)


@deed
def signal_to_a_process(service, draws):
    """a signal of any kind to a node or to what watches"""
    name, pid = one_of(service, draws)
    number = draws.choice(sorted(signal.valid_signals()))
    if pid:
        send(pid, number)
        service.later(draws.uniform(0.1, 6), lambda: send(pid, signal.SIGCONT))
        return f"{number} to {name}"


@deed
def signal_to_the_supervisor(service, draws):
    """a signal that does not ask it to end to the supervisor"""
    number = draws.choice(sorted(signal.valid_signals() - ENDS_IT))
    send(service.supervisor, number)
    return str(number)


@deed
def kill_the_coordinator(service, draws):
    """SIGKILL to the coordinator"""
    for name, pid in service.processes().items():
        if name.startswith("coordinator"):
            send(pid, signal.SIGKILL)
            return name


@deed
def kill_all(service, draws):
    """SIGKILL to all nodes at once"""
    named = service.processes()
    for pid in named.values():
        send(pid, signal.SIGKILL)
    return f"{len(named)} processes"


@deed
def stop_a_thread(service, draws):
    """one thread of a node stopped, as by a debugger, up to 6 s"""
    name, pid = one_of(service, draws)
    if not pid:
        return None
    try:
        threads = [int(task.name) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()]
        thread = draws.choice(threads)
        comm = pathlib.Path(f"/proc/{pid}/task/{thread}/comm").read_text().strip()
    except OSError:
        return None
    if LIBC.ptrace(PTRACE_SEIZE, thread, None, None) == -1:
        return None
    LIBC.ptrace(PTRACE_INTERRUPT, thread, None, None)
    # As its tracer this process has to wait for the stop, and for the end of a thread that ends meanwhile.
    wait_for(thread)
    service.later(draws.uniform(0.5, 6), lambda: release(thread))
    return f"{comm} of {name}"


def wait_for(thread):
    status = ctypes.c_int()
    end = time.monotonic() + 1
    while time.monotonic() < end and LIBC.waitpid(thread, ctypes.byref(status), ALL_THREADS | os.WNOHANG) == 0:
        time.sleep(0.005)


def release(thread):
    LIBC.ptrace(PTRACE_DETACH, thread, None, None)
    # It may have ended: then it is a zombie until its tracer has seen it.
    LIBC.waitpid(thread, None, ALL_THREADS | os.WNOHANG)


@deed
def remove_a_socket(service, draws):
    """the socket of a node removed"""
    sockets = sorted(service.run_dir.glob("node-*.sock"))
    if sockets:
        socket = draws.choice(sockets)
        socket.unlink(missing_ok=True)
        return socket.name


@deed
def remove_all_sockets(service, draws):
    """all sockets removed, also that of the commands"""
    sockets = list(service.run_dir.glob("*.sock"))
    for socket in sockets:
        socket.unlink(missing_ok=True)
    return f"{len(sockets)} sockets"


@deed
def fill_the_disk(service, draws):
    """the disk of the jobs full, up to 6 s"""
    ballast = service.disk / "ballast"
    with open(ballast, "ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            pass
    service.later(draws.uniform(0.5, 6), lambda: ballast.unlink(missing_ok=True))
    return "full"


@deed
def lower_the_memory(service, draws):
    """the limit of the memory lowered to 8 to 40 MB, up to 6 s"""
    limit = draws.randrange(8, 40) << 20
    service.group.limit(limit)
    service.later(draws.uniform(0.5, 6), lambda: service.group.limit(512 << 20))
    return f"{limit >> 20} MB"


@deed
def remove_the_run_directory(service, draws):
    """the run directory removed, as at a logout"""
    shutil.rmtree(service.run_dir, ignore_errors=True)
    return "gone"
