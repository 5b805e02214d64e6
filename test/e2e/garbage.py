"""Writes frames that no kernel would send to the interface NAME: garbage.py NAME SEED COUNT.

Random octets, and valid frames (TCP, UDP, ICMP, ARP) cut, lengthened, fragmented at random or with octets changed.
"""
import random
import socket
import struct
import sys

name, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rng = random.Random(seed)
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind((name, 0))
mac = link.getsockname()[4]

GATEWAY = bytes([10, 0, 2, 2])
TARGETS = [GATEWAY, bytes([10, 0, 2, 3]), bytes([192, 0, 2, 1]), bytes([127, 0, 0, 1]), bytes([255] * 4),
           bytes([224, 0, 0, 1]), bytes(4), bytes([10, 0, 2, 100])]
SOURCES = [bytes([10, 0, 2, 100])] * 4 + [bytes([10, 0, 2, 101]), GATEWAY, bytes([127, 0, 0, 1]), bytes([255] * 4)]


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def octets(limit):
    return rng.randbytes(rng.randrange(limit))


def transport(protocol, source, target):
    if protocol == 6:
        header = struct.pack("!HHIIBBHHH", rng.randrange(65536), rng.choice([9, 53, 80, rng.randrange(65536)]),
                             rng.getrandbits(32), rng.getrandbits(32), rng.randrange(16) << 4,
                             rng.randrange(256), rng.randrange(65536), 0, rng.randrange(65536))
    elif protocol == 17:
        header = struct.pack("!HHHH", rng.randrange(65536), rng.choice([53, 67, rng.randrange(65536)]),
                             rng.randrange(65536), 0)
    elif protocol == 1:
        header = struct.pack("!BBHHH", rng.choice([0, 3, 5, 8, 11, 13, rng.randrange(256)]), rng.randrange(16), 0, 1, 1)
    else:
        header = b""
    segment = bytearray(header + octets(600))
    if rng.random() < 0.7 and protocol in (1, 6, 17):
        pseudo = source + target + struct.pack("!BBH", 0, protocol, len(segment)) if protocol != 1 else b""
        at = {1: 2, 6: 16, 17: 6}[protocol]
        segment[at:at + 2] = struct.pack("!H", checksum(pseudo + bytes(segment)))
    return bytes(segment)


def ipv4():
    protocol = rng.choice([1, 6, 6, 17, 17, rng.randrange(256)])
    source, target = rng.choice(SOURCES), rng.choice(TARGETS)
    payload = transport(protocol, source, target)
    fragment = rng.choice([0, 0, 0, 0x4000, 0x2000, rng.randrange(65536), 302, 0x1FFF, 0x3FFF])
    length = 20 + len(payload) if rng.random() < 0.8 else rng.randrange(65536)
    first = 0x45 if rng.random() < 0.85 else rng.randrange(256)
    header = struct.pack("!BBHHHBBH", first, 0, length, rng.randrange(8), fragment, rng.choice([0, 1, 64, 255]),
                         protocol, 0) + source + target
    total = checksum(header) if rng.random() < 0.9 else rng.randrange(65536)
    return 0x0800, header[:10] + struct.pack("!H", total) + header[12:] + payload


def arp():
    return 0x0806, struct.pack("!HHBBH", rng.choice([1, 6]), rng.choice([0x0800, 0x86DD]), rng.choice([6, 0, 255]),
                               rng.choice([4, 16]), rng.randrange(4)) + octets(40)


def other():
    return rng.choice([0x0800, 0x0806, 0x86DD, 0x8100, rng.randrange(65536)]), octets(1400)


for _ in range(count):
    kind, packet = rng.choice([ipv4, ipv4, ipv4, arp, other])()
    to = rng.choice([bytes([0x52, 0x55, 10, 0, 2, 2]), bytes([255] * 6), rng.randbytes(6)])
    # Mostly other senders: a gratuitous ARP in our name would only move ourselves.
    frame = bytearray(to + rng.choice([mac, b"\x02\0\0\0\0\x07"]) + struct.pack("!H", kind) + packet)
    for _ in range(rng.choice([0, 0, 1, 3])):
        frame[rng.randrange(14, len(frame)) if len(frame) > 14 else 0] = rng.randrange(256)
    if rng.random() < 0.2:
        del frame[rng.randrange(14, len(frame) + 1):]
    try:
        link.send(frame[:1514])
    except OSError:
        pass  # the kernel itself refuses a few
