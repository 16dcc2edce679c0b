"""Runs a function as another user in a separate process."""

import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
import traceback

from wire import Ended, Refused

PR_SET_PDEATHSIG = 1


class Link:
    """The child's end: it reports numbers and receives the order to stop."""

    def __init__(self, orders, reports):
        self.orders, self.reports = orders, reports

    def report(self, **figures):
        os.write(self.reports, json.dumps(figures).encode() + b"\n")

    def wait(self, seconds):
        """Waits for the order to go on."""
        if self.is_told_to_stop(seconds):
            os.read(self.orders, 1)

    def is_told_to_stop(self, seconds=0):
        poll = select.poll()
        poll.register(self.orders, select.POLLIN)
        return bool(poll.poll(seconds * 1000))


class Child:
    """A process that was started; the parent ends it by its process id."""

    def __init__(self, uid, function, *arguments):
        child_orders, self.orders = os.pipe()
        self.reports, child_reports = os.pipe()
        self.buffer = b""
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self.run(uid, function, arguments, Link(child_orders, child_reports))
        os.close(child_orders)
        os.close(child_reports)

    @staticmethod
    def run(uid, function, arguments, link):
        status = 1
        try:
            for number in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            signal.alarm(0)
            _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            # After the change of user, which resets it.
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            function(link, *arguments)
            status = 0
        except BaseException as error:
            # The report says what the daemon did; an error of the attack itself is shown in full.
            if not isinstance(error, (OSError, Refused, Ended, KeyboardInterrupt)):
                traceback.print_exc()
            try:
                link.report(error=repr(error))
            except OSError:
                pass
        finally:
            os._exit(status)

    def read(self, seconds):
        """Waits for the next report; None if the child ended or took too long."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self.buffer:
            poll = select.poll()
            poll.register(self.reports, select.POLLIN)
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                return None
            data = os.read(self.reports, 1 << 16)
            if not data:
                return None
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def go_on(self):
        """Gives the order that the child waits for."""
        self.tell_to_stop()

    def tell_to_stop(self):
        try:
            os.write(self.orders, b"s")
        except BrokenPipeError:
            pass

    def stop(self, seconds=10):
        """Tells the child to stop; returns its last report, or None."""
        self.tell_to_stop()
        report = self.read(seconds)
        self.end()
        return report

    def end(self):
        """Kills the child if it still runs."""
        if self.pid is None:
            return
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.pid = None
        os.close(self.orders)
        os.close(self.reports)
