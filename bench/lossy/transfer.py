"""Octets one way, and their SHA-256: `serve HOST`, `down HOST PORT OCTETS`, `up HOST PORT OCTETS`.

The client says who sends; what it says last is JSON: seconds, and whether both hashes are the same. Every socket
here that may choose has CUBIC: the machine's default may be something else.
"""
import errno
import hashlib
import json
import random
import socket
import sys
import threading
import time

PIECE = 1 << 16
TCP_CONGESTION = 13
# A MiB of noise; the piece's number stands in front, so that no two are the same.
NOISE = random.Random(1).randbytes(1 << 20)


def prepare(connection):
    connection.setsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, b"cubic")


def send(connection, octets):
    digest = hashlib.sha256()
    sent = 0
    while sent < octets:
        at = sent % (len(NOISE) - PIECE)
        piece = sent.to_bytes(8, "big") + NOISE[at:at + PIECE - 8]
        piece = piece[:octets - sent]
        digest.update(piece)
        connection.sendall(piece)
        sent += len(piece)
    return digest.hexdigest()


def receive(reader, octets):
    digest = hashlib.sha256()
    left = octets
    while left > 0:
        piece = reader.read1(min(left, PIECE))
        if not piece:
            raise SystemExit(f"the end, {left} octets early")
        digest.update(piece)
        left -= len(piece)
    return digest.hexdigest()


def answer(connection):
    prepare(connection)
    reader = connection.makefile("rb")
    what, octets = reader.readline().split()
    if what == b"down":
        digest = send(connection, int(octets))
    else:
        digest = receive(reader, int(octets))
    connection.sendall(digest.encode() + b"\n")
    connection.shutdown(socket.SHUT_WR)
    reader.read()
    connection.close()


def serve(host):
    server = socket.socket()
    prepare(server)
    server.bind((host, 0))
    server.listen(16)
    print("listening at", server.getsockname()[1], flush=True)
    while True:
        connection, _ = server.accept()
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


def connect(host, port):
    for attempt in range(10):
        client = socket.socket()
        prepare(client)
        client.settimeout(60)
        try:
            client.connect((host, port))
            client.settimeout(None)
            return client
        except OSError as error:
            # The questions of ARP may all be lost.
            if error.errno != errno.EHOSTUNREACH or attempt == 9:
                raise
            client.close()


def ask(what, host, port, octets):
    client = connect(host, port)
    reader = client.makefile("rb")
    start = time.perf_counter()
    client.sendall(f"{what} {octets}\n".encode())
    if what == "down":
        digest = receive(reader, octets)
    else:
        digest = send(client, octets)
    theirs = reader.readline().decode().strip()
    seconds = time.perf_counter() - start
    client.close()
    print(json.dumps({"seconds": seconds, "same": digest == theirs}))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        ask(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
