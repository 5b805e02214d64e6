"""Request and response over TCP, one octet each: `serve HOST PORT`, `rr HOST PORT SECONDS`, `crr HOST PORT SECONDS`.

Blocking sockets: what the client adds to each exchange is small and the same for every daemon.
"""
import json
import socket
import sys
import time


def serve(host, port):
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((host, port))
    server.listen(1024)
    print("listening", flush=True)
    while True:
        connection, _ = server.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while octet := connection.recv(1):
                connection.sendall(octet)
        except OSError:
            pass
        connection.close()


def connect(host, port):
    client = socket.create_connection((host, port), 10)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.settimeout(None)
    return client


def rr(host, port, seconds):
    """One connection, one exchange after the other."""
    client = connect(host, port)
    times = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        client.send(b"x")
        client.recv(1)
        times.append(time.perf_counter() - start)
    times.sort()
    return {
        "count": len(times),
        "p50": times[len(times) // 2] * 1e6,
        "p99": times[len(times) * 99 // 100] * 1e6,
    }


def crr(host, port, seconds):
    """A connection for each exchange."""
    count = 0
    start = time.perf_counter()
    while time.perf_counter() < start + seconds:
        client = connect(host, port)
        client.send(b"x")
        client.recv(1)
        client.close()
        count += 1
    return {"count": count, "rate": count / (time.perf_counter() - start)}


mode, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
if mode == "serve":
    serve(host, port)
print(json.dumps({"rr": rr, "crr": crr}[mode](host, port, float(sys.argv[4]))))
