"""Neutral ends for the benches, the same for every daemon. What they add to each exchange is small.

Servers:  serve HOST PORT (TCP and UDP: gives each octet back)
Clients:  rr, crr, udp-rr HOST PORT SECONDS; idle HOST PORT COUNT (holds connections until it is killed)
"""
import json
import resource
import select
import socket
import sys
import threading
import time


def serve(host, port):
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((host, port))
    server.listen(4096)
    threading.Thread(target=serve_udp, args=(host, port), daemon=True).start()
    print("listening", flush=True)
    # Not a thread for each: ten thousand of them take a minute to end.
    poll = select.epoll()
    poll.register(server, select.EPOLLIN)
    connections = {}
    while True:
        for fd, _ in poll.poll():
            if fd == server.fileno():
                connection, _ = server.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[connection.fileno()] = connection
                poll.register(connection, select.EPOLLIN)
            elif not echo(connections[fd]):
                connections.pop(fd).close()


def echo(connection):
    """One octet, back; False when there will be no more."""
    try:
        octet = connection.recv(1)
        if octet:
            connection.sendall(octet)
        return bool(octet)
    except OSError:
        return False


def serve_udp(host, port):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((host, port))
    while True:
        try:
            text, peer = server.recvfrom(2048)
            server.sendto(text, peer)
        except OSError:
            pass  # an ICMP error for somebody who has gone


def connect(host, port):
    client = socket.create_connection((host, port), 10)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.settimeout(None)
    return client


def summary(times):
    times.sort()
    at = lambda part: times[min(len(times) - 1, int(len(times) * part))] * 1e6
    return {"count": len(times), "p50": at(0.5), "p99": at(0.99), "p999": at(0.999)}


def rr(host, port, seconds):
    """One connection, one exchange of an octet after the other."""
    client = connect(host, port)
    times = []
    end = time.perf_counter() + float(seconds)
    while (start := time.perf_counter()) < end:
        client.send(b"x")
        client.recv(1)
        times.append(time.perf_counter() - start)
    return summary(times)


def udp_rr(host, port, seconds):
    """Each datagram has a number, so that an answer that comes too late is not taken for the next one's."""
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect((host, port))
    times = []
    lost = 0
    number = 0
    end = time.perf_counter() + float(seconds)
    while (start := time.perf_counter()) < end:
        number += 1
        text = number.to_bytes(4, "big")
        client.settimeout(1)
        try:
            client.send(text)
            while client.recv(4) != text:
                client.settimeout(max(0.001, start + 1 - time.perf_counter()))
            times.append(time.perf_counter() - start)
        except OSError:
            lost += 1
    if not times:
        raise SystemExit("no answer")
    return {**summary(times), "lost": lost}


def crr(host, port, seconds):
    """A connection for each exchange."""
    count = 0
    start = time.perf_counter()
    while time.perf_counter() < start + float(seconds):
        client = connect(host, port)
        client.send(b"x")
        client.recv(1)
        client.close()
        count += 1
    return {"count": count, "rate": count / (time.perf_counter() - start)}


def idle(host, port, count):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    clients = []
    for _ in range(int(count)):
        client = connect(host, port)
        client.send(b"x")
        client.recv(1)
        clients.append(client)
    print("open", flush=True)
    time.sleep(600)
    return {"count": len(clients)}


mode, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
if mode == "serve":
    serve(host, port)
clients = {"rr": rr, "crr": crr, "udp-rr": udp_rr, "idle": idle}
print(json.dumps(clients[mode](host, port, sys.argv[4])))
