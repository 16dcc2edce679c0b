"""A user's file system that stops answering: its kernel side is FUSE (fuse(4)).

A separate process serves the files of a folder. The kernel may cache nothing and asks each time.
"""

import ctypes
import errno
import os
import select
import stat
import struct

from outcome import Skipped

DEVICE = "/dev/fuse"
LOOKUP, FORGET, GETATTR, OPEN, READ, STATFS, RELEASE = 1, 2, 3, 14, 15, 17, 18
FLUSH, INIT, INTERRUPT, DESTROY, BATCH_FORGET, STATX = 25, 26, 36, 38, 42, 52
UNANSWERED = {FORGET, INTERRUPT, BATCH_FORGET}
ROOT = 1
# Read from the server each time, not from the page cache.
DIRECT_IO = 1
MAJOR, MINOR = 7, 31
MAXIMUM_WRITE = 4096
REQUEST = 1 << 18

CLONE_NEWNS = 0x20000
MS_NOSUID, MS_NODEV = 2, 4
MS_PRIVATE_AND_RECURSIVE = (1 << 18) | (1 << 14)
MNT_FORCE, MNT_DETACH = 1, 2

libc = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def make_mounts_private():
    """Gives this process its own mounts, which its children see and which end with them."""
    try:
        checked(libc.unshare(CLONE_NEWNS))
        checked(libc.mount(b"none", b"/", None, MS_PRIVATE_AND_RECURSIVE, None))
    except OSError as error:
        raise Skipped(f"there can be no mounts of its own: {error}")


def mount(folder, uid):
    """Mounts a file system that a user seems to run; returns the file with its requests."""
    device = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode=40000,user_id={uid},group_id={uid},allow_other"
    checked(libc.mount(
        b"stuck", folder.encode(), b"fuse", MS_NOSUID | MS_NODEV, options.encode()))
    return device


class Files:
    """The files of a folder at one time, and the answers about them."""

    def __init__(self, folder, uid):
        self.uid = uid
        self.statuses = {ROOT: os.stat(folder)}
        self.contents, self.nodes = {}, {}
        for node, name in enumerate(sorted(os.listdir(folder)), ROOT + 1):
            path = os.path.join(folder, name)
            self.nodes[name.encode()] = node
            self.statuses[node] = os.stat(path)
            with open(path, "rb") as file:
                self.contents[node] = file.read()
        self.answers = {
            INIT: self.init, LOOKUP: self.lookup, GETATTR: self.attributes, OPEN: self.open,
            READ: self.read, STATFS: self.statistics, FLUSH: self.nothing, RELEASE: self.nothing,
            DESTROY: self.nothing}

    def answer(self, operation, node, request):
        """Returns an error number and a body."""
        make = self.answers.get(operation)
        if make is None:
            return errno.ENOSYS, b""
        try:
            return 0, make(node, request)
        except KeyError:
            return errno.ENOENT, b""

    def init(self, *_):
        return struct.pack(
            "<4I2H2I2HI28x", MAJOR, MINOR, 0, 0, 0, 0, MAXIMUM_WRITE, 1, 0, 0, 0)

    def lookup(self, _, request):
        node = self.nodes[request.split(b"\0")[0]]
        # Neither the name nor the attributes are valid for any length of time.
        return struct.pack("<4Q2I", node, 0, 0, 0, 0, 0) + self.packed(node)

    def attributes(self, node, _):
        return struct.pack("<Q2I", 0, 0, 0) + self.packed(node)

    def packed(self, node):
        status = self.statuses[node]
        times = [status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns]
        kind = stat.S_IFDIR | 0o755 if node == ROOT else stat.S_IFREG | 0o444
        return struct.pack(
            "<6Q10I", node, status.st_size, status.st_blocks,
            *(time // 10**9 for time in times), *(time % 10**9 for time in times),
            kind, status.st_nlink, self.uid, self.uid, 0, 4096, 0)

    def open(self, node, _):
        return struct.pack("<Q2I", node, DIRECT_IO, 0)

    def read(self, node, request):
        _, offset, count = struct.unpack_from("<2QI", request)
        return self.contents[node][offset:offset + count]

    def statistics(self, *_):
        return struct.pack("<5Q4I24x", 0, 0, 0, 0, 0, 4096, 255, 4096, 0)

    def nothing(self, *_):
        return b""


class Server:
    """Takes requests from the kernel; withheld requests are taken and never answered."""

    HEADER = struct.Struct("<IIQQIIIHH")

    def __init__(self, device, files):
        self.device, self.files = device, files
        self.withheld = set()
        self.withheld_count = 0

    def serve_one(self):
        try:
            data = os.read(self.device, REQUEST)
        except OSError as error:
            # The kernel took the request back, or a signal interrupted the call.
            if error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                return
            raise
        _, operation, unique, node, *_ = Server.HEADER.unpack_from(data)
        if operation in self.withheld:
            self.withheld_count += 1
        elif operation not in UNANSWERED:
            error, body = self.files.answer(operation, node, data[Server.HEADER.size:])
            self.reply(unique, error, body)

    def reply(self, unique, error, body):
        try:
            os.write(self.device, struct.pack("<IiQ", 16 + len(body), -error, unique) + body)
        except FileNotFoundError:
            # The kernel does not wait for it any more.
            pass


def serve(link, source, mountpoint, uid, operations):
    """Serves. The first order withholds operations; each later order reports their number."""
    server = Server(mount(mountpoint, uid), Files(source, uid))
    link.report(mounted=True)
    poll = select.poll()
    for descriptor in (server.device, link.orders):
        poll.register(descriptor, select.POLLIN)
    while True:
        ready = [descriptor for descriptor, _ in poll.poll()]
        if link.orders in ready:
            os.read(link.orders, 1)
            server.withheld = operations
            link.report(withheld=server.withheld_count)
        if server.device in ready:
            server.serve_one()


class StuckMount:
    """The files of a folder, seen through a file system that can be made to hang."""

    def __init__(self, bench, source, mountpoint, uid, operations):
        self.mountpoint = mountpoint
        os.mkdir(mountpoint)
        self.server = bench.child(0, serve, source, mountpoint, uid, operations)

    def wait_until_mounted(self):
        report = self.server.read(5) or {}
        if "mounted" not in report:
            raise Skipped(f"no file system can be served by {DEVICE}: {report.get('error')}")

    def get_stuck(self):
        """Withholds the operations from now on."""
        self.count_withheld()

    def count_withheld(self):
        self.server.go_on()
        return (self.server.read(5) or {}).get("withheld", 0)

    def abort(self):
        """Ends the server, which fails every waiting request, and unmounts."""
        self.server.end()
        libc.umount2(self.mountpoint.encode(), MNT_DETACH | MNT_FORCE)
