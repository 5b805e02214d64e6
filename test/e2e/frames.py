"""Writes one frame that no ordinary program would send to the interface NAME and says what came back.

frames.py NAME KIND SOURCE TARGET PORT: KIND is syn, syn-data (with text in it) or udp-fragments. Prints rst, syn-ack,
icmp TYPE CODE, or nothing.
"""
import socket
import struct
import sys

name, kind, source, target, port = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])
is6 = ":" in target
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
link.bind((name, 0))
link.settimeout(0.2)
mac = link.getsockname()[4]
gateway = bytes.fromhex(sys.argv[6].replace(":", ""))
family = socket.AF_INET6 if is6 else socket.AF_INET
src, dst = socket.inet_pton(family, source), socket.inet_pton(family, target)
OWN_PORT = 40404


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def summed(protocol, segment, at):
    pseudo = src + dst + (struct.pack("!IHBB", len(segment), 0, 0, protocol) if is6 else
                          struct.pack("!BBH", 0, protocol, len(segment)))
    return segment[:at] + struct.pack("!H", checksum(pseudo + segment)) + segment[at + 2:]


def packet(protocol, payload, fragment=0):
    if is6:
        return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + src + dst + payload
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 7, fragment, 64, protocol, 0, src, dst)
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def frame(octets):
    return gateway + mac + struct.pack("!H", 0x86DD if is6 else 0x0800) + octets


if kind == "udp-fragments":
    text = b"x" * 1200
    whole = summed(17, struct.pack("!HHHH", OWN_PORT, port, 8 + len(text), 0) + text, 6)
    frames = [frame(packet(17, whole[:800], 0x2000)), frame(packet(17, whole[800:], 100))]
else:
    text = b"text in a SYN" if kind == "syn-data" else b""
    segment = struct.pack("!HHIIBBHHH", OWN_PORT, port, 1000, 0, 5 << 4, 2, 64000, 0, 0) + text
    frames = [frame(packet(6, summed(6, segment, 16)))]
for each in frames:
    link.send(each)

answer = "nothing"
for _ in range(200):
    try:
        octets = link.recv(65536)
    except TimeoutError:
        break
    if octets[:6] != mac:
        continue
    if octets[12:14] == b"\x08\x00":
        protocol, rest = octets[23], octets[14 + 4 * (octets[14] & 15):]
        if octets[26:30] != dst and protocol != 1:
            continue
    elif octets[12:14] == b"\x86\xdd":
        protocol, rest = octets[20], octets[54:]
    else:
        continue
    if protocol == 6 and struct.unpack("!HH", rest[:4]) == (port, OWN_PORT):
        answer = "rst" if rest[13] & 4 else "syn-ack"
        break
    if (protocol == 1 and rest[0] == 3) or (protocol == 58 and rest[0] == 1):
        answer = f"icmp {rest[0]} {rest[1]}"
        break
print(answer)
