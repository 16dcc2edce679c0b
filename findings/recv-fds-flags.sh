#!/bin/sh
# Packages: none; Python 3.9 and newer (tried: 3.11.7)
# Guess:    socket.recv_fds(sock, size, count, flags) receives with these flags, as recvmsg
#           does.
# Seen:     The flags are ignored: MSG_PEEK takes the message and its descriptors, and
#           MSG_CMSG_CLOEXEC does not set close-on-exec, so a child that is started without
#           close_fds gets the descriptor.
# Source:   python/cpython#107898
# Do:       Call recvmsg(size, socket.CMSG_SPACE(4 * count), flags) and unpack the descriptors.
. "$(dirname "$0")/lib/finding.sh"
# shellcheck disable=SC2119  # none
packages
python <<'END'
import array
import os
import socket
from finding import see

here, there = socket.socketpair()
descriptor = os.memfd_create("sent")

socket.send_fds(there, [b"one"], [descriptor])
_, (received,), _, _ = socket.recv_fds(here, 3, 1, socket.MSG_CMSG_CLOEXEC)
see("recv_fds with MSG_CMSG_CLOEXEC: inheritable", os.get_inheritable(received), True)

socket.send_fds(there, [b"one"], [descriptor])
_, ancillary, _, _ = here.recvmsg(3, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
received = array.array("i", ancillary[0][2])[0]
see("recvmsg with MSG_CMSG_CLOEXEC: inheritable", os.get_inheritable(received), False)

socket.send_fds(there, [b"one"], [descriptor])
socket.send_fds(there, [b"two"], [descriptor])
first = socket.recv_fds(here, 3, 1, socket.MSG_PEEK)[0]
see("recv_fds with MSG_PEEK, then again", (first, socket.recv_fds(here, 3, 1)[0]), (b"one", b"two"))
END
