"""Sends a flood on the interface NAME: flood.py NAME syn|udp COUNT TO PORT.

syn: SYNs to TO:PORT from ever new ports and addresses of the subnet that nobody has; udp: datagrams to TO:PORT from our own
address, each from another port.
"""
import errno
import random
import socket
import struct
import sys
import time

name, kind, count, to, port = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5])
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind((name, 0))
mac = link.getsockname()[4]
target = socket.inet_aton(to)
GUEST = bytes([10, 0, 2, 100])


def total(data):
    if len(data) % 2:
        data += b"\0"
    value = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return ~value & 0xFFFF


def packet(source, protocol, body, at):
    pseudo = source + target + struct.pack("!BBH", 0, protocol, len(body))
    body = body[:at] + struct.pack("!H", total(pseudo + body) or 0xFFFF) + body[at + 2:]
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0x4000, 64, protocol, 0, source, target)
    return header[:10] + struct.pack("!H", total(header)) + header[12:] + body


def gateway():
    """The MAC of our router, which the kernel has learnt."""
    for line in open("/proc/net/arp"):
        fields = line.split()
        if fields[0] == "10.0.2.2":
            return bytes.fromhex(fields[3].replace(":", ""))
    raise SystemExit("the gateway's MAC is not known")


ethernet = gateway() + mac + b"\x08\x00"
rng = random.Random(1)
sent = 0
for i in range(count):
    if kind == "syn":
        source = GUEST[:3] + bytes([150 + i % 50])
        body = struct.pack("!HHIIBBHHH", rng.randrange(1024, 65536), port, rng.getrandbits(32), 0, 5 << 4, 2, 65535, 0, 0)
        frame = ethernet + packet(source, 6, body, 16)
    else:
        body = struct.pack("!HHHH", 1 + i % 65535, port, 12, 0) + b"more"
        frame = ethernet + packet(GUEST, 17, body, 6)
    if kind == "udp" and i % 50 == 49:
        time.sleep(0.002)  # or the TAP's queue would be full before anybody sees it
    while True:
        try:
            link.send(frame)
            sent += 1
            break
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            time.sleep(0.001)
print(sent)
