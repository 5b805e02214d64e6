import { afterEach, expect, test } from 'vitest'
import { Slices } from '../../src/stack/slices.ts'
import { parse } from '../../src/stack/wire/address.ts'
import { Arena } from '../../src/sys/arena.ts'
import { Batch } from '../../src/sys/batch.ts'
import * as c from '../../src/sys/constants.ts'
import { Epoll } from '../../src/sys/epoll.ts'
import { close } from '../../src/sys/io.ts'
import { QueuedError, readErrorQueue } from '../../src/sys/message.ts'
import * as socket from '../../src/sys/socket.ts'

const LOCALHOST = 0x7f000001
const v4 = (port = 0) => ({ words: Int32Array.of(0, 0, 0xffff, LOCALHOST), port })
const v6 = (port = 0) => ({ words: Int32Array.of(0, 0, 0, 1), port })
const words = (text: string): Int32Array => {
  const into = new Int32Array(4)
  expect(parse(text, into)).toBe(true)
  return into
}
const nobody = () => ({ words: Int32Array.of(1, 2, 3, 4), port: 5 })

const fds: number[] = []
afterEach(() => {
  for (const fd of fds.splice(0)) close(fd)
})

function opened(fd: number): number {
  expect(fd).toBeGreaterThanOrEqual(0)
  fds.push(fd)
  return fd
}

function awaits(fd: number, events: number): number {
  const epoll = new Epoll()
  epoll.add(fd, events, 0)
  const n = epoll.wait(2000)
  const what = n > 0 ? epoll.events(0) : 0
  epoll.close()
  return what
}

function bound(type: number, here: socket.Endpoint): number {
  const fd = opened(socket.socket(socket.familyOf(here), type))
  expect(socket.bind(fd, here)).toBe(0)
  expect(socket.localEndpoint(fd, here)).toBe(0)
  return fd
}

for (const [family, make] of [
  ['IPv4', v4],
  ['IPv6', v6],
] as const) {
  test(`a TCP connection over ${family}: octets both ways, half-close, the end`, () => {
    const arena = new Arena(65536)
    const here = make()
    const listener = bound(c.SOCK_STREAM, here)
    expect(socket.listen(listener, 8)).toBe(0)
    expect(here.port).toBeGreaterThan(0)
    expect(socket.accept(listener, nobody())).toBe(-c.EAGAIN)

    const client = opened(socket.socket(socket.familyOf(here), c.SOCK_STREAM))
    expect([0, -c.EINPROGRESS]).toContain(socket.connect(client, here))
    expect(awaits(client, c.EPOLLOUT) & c.EPOLLOUT).toBeTruthy()
    expect(socket.getError(client)).toBe(0)
    const peer = nobody()
    const server = opened(socket.accept(listener, peer))
    const local = nobody()
    expect(socket.localEndpoint(client, local)).toBe(0)
    expect(peer).toEqual(local)
    expect(socket.peerEndpoint(client, local)).toBe(0)
    expect(local).toEqual(here)

    expect(socket.setInt(client, c.IPPROTO_TCP, c.TCP_NODELAY, 1)).toBe(0)
    expect(socket.getInt(client, c.IPPROTO_TCP, c.TCP_NODELAY)).toBeGreaterThan(0)
    expect(socket.recv(server, arena, 0, 10)).toBe(-c.EAGAIN)
    arena.bytes.set([1, 2, 3, 4, 5], 0)
    expect(socket.send(client, arena, 0, 2)).toBe(2)
    const slices = new Slices(2)
    slices.push(4, 1)
    slices.push(2, 2)
    expect(socket.sendv(client, arena, slices)).toBe(3)
    awaits(server, c.EPOLLIN)
    expect(socket.recv(server, arena, 100, 1)).toBe(1)
    const into = new Slices(2)
    into.push(101, 1)
    into.push(110, 100)
    expect(socket.recvv(server, arena, into)).toBe(4)
    expect([...arena.bytes.subarray(100, 102), ...arena.bytes.subarray(110, 114)]).toEqual([
      1, 2, 5, 3, 4, 0,
    ])

    expect(socket.shutdownWrite(client)).toBe(0)
    awaits(server, c.EPOLLIN)
    expect(socket.recv(server, arena, 0, 1)).toBe(0)
    expect(socket.send(server, arena, 0, 1)).toBe(1)
    expect(socket.linger0(server)).toBe(0)
    close(server)
    awaits(client, c.EPOLLERR)
    expect(socket.getError(client)).toBe(-c.ECONNRESET)
    expect(socket.send(client, arena, 0, 1)).toBe(-c.EPIPE)
  })

  test(`datagrams over ${family} carry their peer's address`, () => {
    const arena = new Arena(65536)
    const a = make()
    const b = make()
    const from = bound(c.SOCK_DGRAM, a)
    const to = bound(c.SOCK_DGRAM, b)
    arena.bytes.set([1, 2, 3])
    expect(socket.sendTo(from, arena, 0, 3, b)).toBe(3)
    const who = nobody()
    awaits(to, c.EPOLLIN)
    expect(socket.recvFrom(to, arena, 10, 100, who)).toBe(3)
    expect(who).toEqual(a)
    expect(socket.recvFrom(to, arena, 10, 100, who)).toBe(-c.EAGAIN)
  })

  test(`many datagrams over ${family} come in one call`, () => {
    const arena = new Arena(65536)
    const a = make()
    const b = make()
    const from = bound(c.SOCK_DGRAM, a)
    const to = bound(c.SOCK_DGRAM, b)
    for (let i = 0; i < 5; i++) {
      arena.bytes.fill(i + 1, 0, 100)
      expect(socket.sendTo(from, arena, 0, i + 1, b)).toBe(i + 1)
    }
    awaits(to, c.EPOLLIN)
    const into = new Batch(8)
    for (let i = 0; i < 8; i++) {
      into.at[i] = 1000 + i * 100
      into.room[i] = 4
    }
    expect(into.receive(to, arena, 2)).toBe(2)
    expect([...into.len.subarray(0, 2)]).toEqual([1, 2])
    expect(into.receive(to, arena)).toBe(3)
    expect([...into.len.subarray(0, 3)]).toEqual([3, 4, 4])
    expect(into.flags[2]! & c.MSG_TRUNC).toBeTruthy()
    expect(into.flags[1]! & c.MSG_TRUNC).toBe(0)
    expect(into.peers[2]).toEqual(a)
    expect(into.segment[0]).toBe(0)
    expect(arena.bytes[1103]).toBe(4)
    expect(into.receive(to, arena)).toBe(-c.EAGAIN)
    expect(() => into.receive(to, arena, 9)).toThrow(RangeError)
  })

  test(`datagrams in a row over ${family} go in one call, and come in one`, () => {
    const arena = new Arena(1 << 18)
    const b = make()
    const from = opened(socket.socket(socket.familyOf(b), c.SOCK_DGRAM))
    const to = bound(c.SOCK_DGRAM, b)
    expect(socket.setInt(to, c.IPPROTO_UDP, c.UDP_GRO, 1)).toBe(0)
    const texts = new Slices(3)
    arena.bytes.fill(1, 5000, 6000)
    arena.bytes.fill(2, 9000, 10_000)
    arena.bytes.fill(3, 7000, 7500)
    texts.push(5000, 1000)
    texts.push(9000, 1000)
    texts.push(7000, 500)
    expect(socket.sendSegments(from, arena, texts, 1000, b)).toBe(2500)
    awaits(to, c.EPOLLIN)
    const into = new Batch(4)
    for (let i = 0; i < 4; i++) {
      into.at[i] = i * 65536
      into.room[i] = 65536
    }
    expect(into.receive(to, arena)).toBe(1)
    expect([into.len[0], into.segment[0]]).toEqual([2500, 1000])
    expect([0, 999, 1000, 1999, 2000, 2499].map((at) => arena.bytes[at])).toEqual([
      1, 1, 2, 2, 3, 3,
    ])
  })

  test(`an ICMP error over ${family} can be read with its datagram and its destination`, () => {
    const arena = new Arena(4096)
    const here = make()
    const gone = make()
    const fd = bound(c.SOCK_DGRAM, here)
    const isV4 = family === 'IPv4'
    const [level, option] = isV4 ? [c.IPPROTO_IP, c.IP_RECVERR] : [c.IPPROTO_IPV6, c.IPV6_RECVERR]
    expect(socket.setInt(fd, level, option, 1)).toBe(0)
    const closing = bound(c.SOCK_DGRAM, gone)
    close(closing)
    fds.pop()
    arena.bytes.set([7, 8, 9])
    expect(socket.sendTo(fd, arena, 0, 3, gone)).toBe(3)
    expect(awaits(fd, 0) & c.EPOLLERR).toBeTruthy()
    const error = new QueuedError()
    expect(readErrorQueue(fd, arena, 100, 64, error)).toBe(3)
    expect([...arena.bytes.subarray(100, 104)]).toEqual([7, 8, 9, 0])
    expect(error).toMatchObject({
      errno: c.ECONNREFUSED,
      origin: isV4 ? c.SO_EE_ORIGIN_ICMP : c.SO_EE_ORIGIN_ICMP6,
      type: isV4 ? 3 : 1,
      code: isV4 ? 3 : 4,
    })
    expect(error.destination).toEqual(gone)
    expect(error.offender.words).toEqual(gone.words)
    expect(readErrorQueue(fd, arena, 100, 64, error)).toBe(-c.EAGAIN)
  })
}

test('what the kernel refuses is -errno', () => {
  const taken = v4()
  const first = bound(c.SOCK_STREAM, taken)
  socket.listen(first, 1)
  const second = opened(socket.socket(c.AF_INET, c.SOCK_STREAM))
  expect(socket.bind(second, taken)).toBe(-c.EADDRINUSE)
  expect(socket.bind(second, v6())).toBe(-c.EAFNOSUPPORT)
  expect(socket.socket(99, c.SOCK_STREAM)).toBe(-c.EAFNOSUPPORT)
  expect(socket.getInt(-1, c.SOL_SOCKET, c.SO_ERROR)).toBe(-c.EBADF)
  expect(socket.getError(-1)).toBe(-c.EBADF)
  expect(socket.shutdownWrite(second)).toBe(-c.ENOTCONN)
})

test.each([
  ['IPv4', c.AF_INET, '0.0.0.0', '127.0.0.9'],
  ['IPv4 at a socket of both', c.AF_INET6, '::', '127.0.0.9'],
  ['IPv6', c.AF_INET6, '::', '::1'],
])(
  'a datagram over %s tells where it went to, and is answered from there',
  (_, family, any, asked) => {
    const arena = new Arena(8192)
    const server = opened(socket.socket(family, c.SOCK_DGRAM))
    socket.setInt(server, c.IPPROTO_IPV6, c.IPV6_V6ONLY, 0)
    expect(socket.bind(server, { words: words(any), port: 0 })).toBe(0)
    expect(socket.tellWhereTo(server, family)).toBe(0)
    const at = nobody()
    socket.localEndpoint(server, at)
    const there = { words: words(asked), port: at.port }
    // Connected: what comes from another address is not for this one.
    const client = opened(socket.socket(socket.familyOf(there), c.SOCK_DGRAM))
    expect(socket.connect(client, there)).toBe(0)
    arena.bytes.fill(7, 0, 2500)
    expect(socket.send(client, arena, 0, 100)).toBe(100)

    awaits(server, c.EPOLLIN)
    const batch = new Batch(1)
    batch.at[0] = 4096
    batch.room[0] = 4096
    expect(batch.receive(server, arena)).toBe(1)
    const [peer] = batch.peers
    expect(peer?.from).toEqual(words(asked))
    expect(socket.sendTo(server, arena, 0, 1000, peer!)).toBe(1000)
    awaits(client, c.EPOLLIN)
    expect(socket.recv(client, arena, 4096, 4096)).toBe(1000)
    const rest = new Slices(1)
    rest.push(0, 2500)
    expect(socket.sendSegments(server, arena, rest, 1000, peer!)).toBe(2500)
    awaits(client, c.EPOLLIN)
    const lengths = [1, 2, 3].map(() => socket.recv(client, arena, 4096, 4096))
    expect(lengths).toEqual([1000, 1000, 500])
  },
)
