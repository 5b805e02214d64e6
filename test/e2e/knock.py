"""Sends a SYN and a datagram to a port of each address, in frames that no kernel would send: knock.py NAME PORT FROM4 FROM6 ADDRESS...

The datagram's text is the address.
"""
import ipaddress
import socket
import struct
import sys
import time

name, port = sys.argv[1], int(sys.argv[2])
senders = [ipaddress.ip_address(text) for text in sys.argv[3:5]]
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind((name, 0))
mac = link.getsockname()[4]


def router():
    """The gateway's MAC, which the kernel asks for when something goes there."""
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    probe.connect(("10.0.2.2", 9))
    for _ in range(50):
        probe.send(b"") if _ == 0 else time.sleep(0.1)
        for line in open("/proc/net/arp").readlines()[1:]:
            fields = line.split()
            if fields[0] == "10.0.2.2" and fields[2] != "0x0":
                return bytes.fromhex(fields[3].replace(":", ""))
    sys.exit("the gateway does not answer ARP")


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF or 0xFFFF


def packet(sender, target, protocol, segment, at):
    pseudo = sender.packed + target.packed + struct.pack("!II", len(segment), protocol)
    segment = segment[:at] + struct.pack("!H", checksum(pseudo + segment)) + segment[at + 2:]
    if sender.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(segment), protocol, 64) + pseudo[:32] + segment
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 1, 0, 64, protocol, 0) + pseudo[:8]
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + segment


to = router()
for number, text in enumerate(sys.argv[5:]):
    target = ipaddress.ip_address(text)
    sender = senders[target.version == 6]
    type = {4: 0x0800, 6: 0x86DD}[target.version]
    syn = struct.pack("!HHIIBBHHH", 40000 + number, port, 1, 0, 0x50, 2, 65535, 0, 0)
    datagram = struct.pack("!HHHH", 40000, port, 8 + len(text), 0) + text.encode()
    for protocol, segment, at in [(6, syn, 16), (17, datagram, 6)]:
        link.send(to + mac + struct.pack("!H", type) + packet(sender, target, protocol, segment, at))
