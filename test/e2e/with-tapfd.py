"""Opens a TAP inside a container and becomes a daemon that has it as an inherited descriptor.

with-tapfd.py PID NAME vnet|plain COMMAND...: in the command, {fd} stands for the descriptor's number.
A child enters the container's namespaces, opens the device there and hands it over (SCM_RIGHTS).
"""
import ctypes
import fcntl
import os
import socket
import struct
import sys

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000

pid, name, kind, command = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
ours, theirs = socket.socketpair()
child = os.fork()
if child == 0:
    libc = ctypes.CDLL(None, use_errno=True)
    spaces = [(os.open(f"/proc/{pid}/ns/{ns}", os.O_RDONLY), flag)
              for ns, flag in (("user", CLONE_NEWUSER), ("net", CLONE_NEWNET))]
    for fd, flag in spaces:
        if libc.setns(fd, flag) != 0:
            sys.exit(f"setns: {os.strerror(ctypes.get_errno())}")
    tap = os.open("/dev/net/tun", os.O_RDWR)
    flags = IFF_TAP | IFF_NO_PI | (IFF_VNET_HDR if kind == "vnet" else 0)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    socket.send_fds(theirs, [b"tap"], [tap])
    os._exit(0)

theirs.close()
_, fds, _, _ = socket.recv_fds(ours, 3, 1)
os.waitpid(child, 0)
ours.close()
os.set_inheritable(fds[0], True)
arguments = [argument.replace("{fd}", str(fds[0])) for argument in command]
os.execvp(arguments[0], arguments)
