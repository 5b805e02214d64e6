"""A switch with two ports: a new TAP of this namespace, and the BESS socket. `bess-bridge.py PATH TAP`"""
import fcntl
import os
import select
import socket
import struct
import sys

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x2, 0x1000

tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", sys.argv[2].encode(), IFF_TAP | IFF_NO_PI))
switch = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
switch.connect(sys.argv[1])
print("connected", flush=True)
while True:
    ready, _, _ = select.select([tap, switch], [], [])
    if tap in ready:
        switch.send(os.read(tap, 70000))
    if switch in ready:
        frame = switch.recv(70000)
        if not frame:
            break
        try:
            os.write(tap, frame)
        except OSError:
            pass  # it is not up yet
