"""Clients write to the memory they were granted, in every way they know; not a byte changes.

The daemon's own user and root try it too: also through the daemon's descriptors. A file region is
no descriptor of the daemon: its client opened the file, and has the rights that the file gives it.
"""

import ctypes
import fcntl
import math
import mmap
import os

from bench import ATTACKER, VICTIM
from bundle import MIB, Bundle
from checksum import crc32c_of_repeats
from wire import Connection, Part

DAEMON = 20003
# All elements are equal.
ELEMENT = b"\x11\x22\x33\x44"
ROWS, COLUMNS = 16 * 1024, 1024
PIECES, SMALL = 20, 64
KINDS = {
    "an arena": [Part("large", [ROWS, COLUMNS], [0, 0], [1024, 1000])],
    "a large arena": [Part("large", [ROWS, COLUMNS], [0, 0], [ROWS, 1008])],
    "a sealed whole tensor": [Part("large", [ROWS, COLUMNS])],
    "an arena of small pieces": [
        Part(f"small-{number}", [SMALL], [1], [SMALL - 2]) for number in range(PIECES)],
}
PAGE = 4096
# More than the daemon has open.
DESCRIPTORS = 256
KEEP_SIZE, PUNCH_HOLE, COLLAPSE, ZERO, INSERT = 1, 2, 8, 16, 32
F_ADD_SEALS = 1033
SEALS = {"seal": 1, "shrink": 2, "grow": 4, "write": 8, "future write": 16, "exec": 32}
MADV_REMOVE = 9
PIDFD_OPEN, PIDFD_GETFD, PROCESS_VM_WRITEV = 434, 438, 311
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p


def write_checkpoint(prefix):
    shapes = {"large": [ROWS, COLUMNS], **{f"small-{number}": [SMALL] for number in range(PIECES)}}
    bundle = Bundle()
    for name, shape in shapes.items():
        count = math.prod(shape)
        bundle.add(name, shape, ELEMENT * count, crc32c_of_repeats(ELEMENT, count))
    return bundle.write(prefix)


def checked(result):
    """Raises what a C function reported."""
    if result in (-1, ctypes.c_void_p(-1).value):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def c_long(value):
    return ctypes.c_long(value)


def mapped(descriptor, protection):
    """Maps the first page, shared; it stays mapped until the process ends."""
    return checked(LIBC.mmap(
        None, c_long(PAGE), protection, mmap.MAP_SHARED, descriptor, c_long(0)))


def store(descriptor):
    address = mapped(descriptor, mmap.PROT_READ | mmap.PROT_WRITE)
    ctypes.memset(address, 0, PAGE)


def store_after_protecting(descriptor):
    address = mapped(descriptor, mmap.PROT_READ)
    checked(LIBC.mprotect(ctypes.c_void_p(address), c_long(PAGE), 3))
    ctypes.memset(address, 0, PAGE)


def remove_pages(descriptor):
    address = mapped(descriptor, mmap.PROT_READ)
    checked(LIBC.madvise(ctypes.c_void_p(address), c_long(PAGE), MADV_REMOVE))


def write_own_memory(descriptor):
    address = mapped(descriptor, mmap.PROT_READ)
    memory = os.open("/proc/self/mem", os.O_RDWR)
    try:
        os.pwrite(memory, b"\0" * 8, address)
    finally:
        os.close(memory)


def write_as_debugger(descriptor):
    address = mapped(descriptor, mmap.PROT_READ)
    data = ctypes.create_string_buffer(8)
    here = (ctypes.c_void_p * 2)(ctypes.addressof(data), 8)
    there = (ctypes.c_void_p * 2)(address, 8)
    checked(LIBC.syscall(
        PROCESS_VM_WRITEV, os.getpid(), here, c_long(1), there, c_long(1), c_long(0)))


def splice(descriptor):
    source, sink = os.pipe()
    try:
        os.write(sink, b"\0" * 8)
        os.splice(source, descriptor, 8, offset_dst=0)
    finally:
        os.close(source)
        os.close(sink)


def copy_range(descriptor):
    with open(__file__, "rb") as source:
        os.copy_file_range(source.fileno(), descriptor, 8, 0, 0)


def send_file(descriptor):
    with open(__file__, "rb") as source:
        os.sendfile(descriptor, source.fileno(), 0, 8)


def allocate(mode, offset):
    return lambda descriptor: checked(
        LIBC.fallocate(descriptor, mode, c_long(offset), c_long(PAGE)))


def seal(bits):
    return lambda descriptor: fcntl.fcntl(descriptor, F_ADD_SEALS, bits)


WRITES = {
    "write": lambda descriptor: os.write(descriptor, b"\0" * 8),
    "pwrite": lambda descriptor: os.pwrite(descriptor, b"\0" * 8, 0),
    "a store through a shared mapping": store,
    "mprotect of a shared mapping": store_after_protecting,
    "MADV_REMOVE": remove_pages,
    "/proc/self/mem": write_own_memory,
    "process_vm_writev": write_as_debugger,
    "splice": splice,
    "copy_file_range": copy_range,
    "sendfile": send_file,
    "truncation": lambda descriptor: os.ftruncate(descriptor, 0),
    "growing": lambda descriptor: os.ftruncate(descriptor, 1 << 40),
    "a hole": allocate(PUNCH_HOLE | KEEP_SIZE, 0),
    "zeros by fallocate": allocate(ZERO, 0),
    "collapsing": allocate(COLLAPSE, 0),
    "inserting": allocate(INSERT, 0),
    "more by fallocate": allocate(0, 1 << 30),
    **{f"the seal {name}": seal(bits) for name, bits in SEALS.items()},
    "execution": lambda descriptor: os.fchmod(descriptor, 0o777),
}
WAYS = {
    "O_RDONLY": os.O_RDONLY, "O_RDWR": os.O_RDWR, "O_WRONLY": os.O_WRONLY,
    "O_APPEND": os.O_WRONLY | os.O_APPEND, "O_TRUNC": os.O_RDWR | os.O_TRUNC,
}


def reopened(path):
    """Opens a path in /proc in every way that the kernel allows; also returns faults."""
    opened, faults = {}, []
    for way, flags in WAYS.items():
        try:
            opened[way] = os.open(path, flags | os.O_CLOEXEC)
        except OSError:
            continue
        if way == "O_TRUNC":
            faults.append("it could be opened with O_TRUNC")
    return opened, faults


def write_in_every_way(descriptor):
    """Returns how many attempts were made, and those that the kernel did not refuse."""
    opened, faults = reopened(f"/proc/self/fd/{descriptor}")
    attempts = 0
    for way, one in {"as granted": descriptor, **opened}.items():
        for name, write in WRITES.items():
            attempts += 1
            try:
                write(one)
                faults.append(f"{name} worked ({way})")
            except OSError:
                pass
    # The owner of an inode may change its mode; nobody depends on it.
    for mode in (0, 0o600):
        try:
            os.fchmod(descriptor, mode)
        except OSError:
            pass
    for one in opened.values():
        os.close(one)
    return attempts, faults


def is_right(resolved):
    return all(
        os.pread(region.descriptor, count, offset) == ELEMENT * (count // len(ELEMENT))
        for region, offset, count in resolved.handles)


def memory_files_of(pid):
    """Takes memory files out of the daemon, as a debugger can; nothing for other users."""
    found = []
    process = LIBC.syscall(PIDFD_OPEN, pid, 0)
    for number in range(DESCRIPTORS):
        descriptor = LIBC.syscall(PIDFD_GETFD, process, number, 0)
        if descriptor < 0:
            continue
        if os.readlink(f"/proc/self/fd/{descriptor}").startswith("/memfd:"):
            found.append(descriptor)
        else:
            os.close(descriptor)
    return found


def write_to_all(link, socket, pid, paths):
    """Attacks each kind of handle, and the daemon's own descriptors of the same memory."""
    attempts, faults = 0, []
    with Connection(socket) as connection:
        handle, _ = connection.open(paths)
        whole = connection.resolve(handle, KINDS["a sealed whole tensor"])
        if whole.descriptors:
            faults.append("a file region came with a descriptor")
        granted = {}
        for kind, parts in KINDS.items():
            granted[kind] = connection.resolve(handle, parts, sealed=True)
            if not granted[kind].descriptors:
                faults.append(f"{kind} came without a descriptor")
        subjects = [
            (kind, one) for kind, resolved in granted.items() for one in resolved.descriptors]
        taken = memory_files_of(pid)
        subjects += [("the daemon's descriptor", one) for one in taken]
        for kind, one in subjects:
            made, worked = write_in_every_way(one)
            attempts += made
            faults += [f"{kind}: {fault}" for fault in worked]
        faults += [f"{kind} changed" for kind, one in granted.items() if not is_right(one)]
    link.report(attempts=attempts, handles=len(subjects), taken=len(taken), faults=faults)


def read_all(link, socket, paths):
    """Resolves the same again, as a client that comes later."""
    with Connection(socket) as connection:
        handle, _ = connection.open(paths)
        link.report(right=all(
            is_right(connection.resolve(handle, parts, sealed=True)) for parts in KINDS.values()))


def attack(bench, outcome):
    daemon = bench.start(uid=DAEMON)
    paths = write_checkpoint(bench.path("shared"))
    for uid, name in {ATTACKER: "another user", DAEMON: "the daemon's user", 0: "root"}.items():
        attacker = bench.child(uid, write_to_all, daemon.socket, daemon.pid, paths)
        report = attacker.read(60) or {}
        attacker.end()
        if not outcome.expect("attempts" in report, f"{name} saw {report}"):
            continue
        outcome.note(
            f"{name}: {report['attempts']} attempts on {report['handles']} descriptors, "
            f"{report['taken']} of them taken from the daemon")
        for fault in report["faults"][:5]:
            outcome.expect(False, f"{name}: {fault}")
        if uid == ATTACKER:
            outcome.expect(not report["taken"], f"{name} could take descriptors from the daemon")
        later = bench.child(VICTIM, read_all, daemon.socket, paths).read(30) or {}
        outcome.expect(later.get("right"), f"after {name}, a later client saw {later}")
    outcome.expect(daemon.lives, "the daemon ended")
