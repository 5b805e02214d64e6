/** Bursts of datagrams to the host, over real sockets on the loopback: what arrives, and in how many calls. */
import { afterEach, describe, expect, test } from 'vitest'
import { type Outlet, type Piece, UdpBurst } from '../../src/nat/udp-burst.ts'
import { KEY_WORDS } from '../../src/stack/flow-table.ts'
import type { Datagram } from '../../src/stack/stack.ts'
import { Arena } from '../../src/sys/arena.ts'
import { Batch } from '../../src/sys/batch.ts'
import * as c from '../../src/sys/constants.ts'
import { close } from '../../src/sys/io.ts'
import * as socket from '../../src/sys/socket.ts'

const fds: number[] = []
afterEach(() => {
  for (const fd of fds.splice(0)) close(fd)
})

/** <asm-generic/socket.h> */
const SO_NO_CHECK = 11
const LOOPBACK = Int32Array.of(0, 0, 0xffff, 0x7f000001)

function bound(): { fd: number; at: socket.Endpoint } {
  const fd = socket.socket(c.AF_INET, c.SOCK_DGRAM)
  fds.push(fd)
  expect(socket.bind(fd, { words: LOOPBACK, port: 0 })).toBe(0)
  const at = { words: new Int32Array(4), port: 0 }
  socket.localEndpoint(fd, at)
  return { fd, at }
}

class Bench {
  readonly arena = new Arena(1 << 20)
  readonly burst = new UdpBurst(this.arena)
  readonly server = bound()
  readonly key = new Int32Array(KEY_WORDS)
  #at = 0
  #next = 0

  outlet(fd = bound().fd): Outlet & { alone: number[]; full: number } {
    const { arena } = this
    return {
      fd,
      mostSegment: Infinity,
      alone: [],
      full: 0,
      sendOne({ at, len }: Piece, to: socket.Endpoint) {
        this.alone.push(len)
        socket.sendTo(fd, arena, at, len, to)
      },
      isFull(count) {
        this.full += count
      },
    }
  }

  add(outlet: Outlet, len: number, { isInFrame = true, key = this.key } = {}): void {
    this.arena.bytes.fill(++this.#next, this.#at, this.#at + len)
    const datagram = { key, at: this.#at, len, isInFrame } as Datagram
    this.burst.add(outlet, datagram, this.server.at)
    this.#at += len
  }

  /** [length, first octet] of each datagram that has arrived. */
  arrived(): [number, number][] {
    const batch = new Batch(8)
    const from = 1 << 19
    for (let i = 0; i < 8; i++) {
      batch.at[i] = from + i * 65536
      batch.room[i] = 65536
    }
    const found: [number, number][] = []
    for (;;) {
      const n = batch.receive(this.server.fd, this.arena)
      if (n < 0) return found
      for (let i = 0; i < n; i++) found.push([batch.len[i]!, this.arena.bytes[batch.at[i]!]!])
    }
  }
}

describe('datagrams of one socket to one peer', () => {
  test('wait for each other and go in one call, in their order', () => {
    const bench = new Bench()
    const outlet = bench.outlet()
    for (const len of [100, 100, 100]) bench.add(outlet, len)
    expect(bench.arrived()).toEqual([])
    bench.burst.send()
    expect(bench.arrived()).toEqual([
      [100, 1],
      [100, 2],
      [100, 3],
    ])
    expect(outlet.alone).toEqual([])
  })

  test('end with a shorter one; a longer one begins anew', () => {
    const bench = new Bench()
    const outlet = bench.outlet()
    for (const len of [100, 60, 70, 80]) bench.add(outlet, len)
    bench.burst.send()
    expect(bench.arrived().map(([len]) => len)).toEqual([100, 60, 70, 80])
    expect(outlet.alone).toEqual([70, 80])
  })

  test('are at most 64, and 64 KiB', () => {
    const bench = new Bench()
    const outlet = bench.outlet()
    for (let i = 0; i < 65; i++) bench.add(outlet, 10)
    bench.burst.send()
    expect(bench.arrived().length).toBe(65)
    expect(outlet.alone).toEqual([10])
    for (let i = 0; i < 3; i++) bench.add(outlet, 30_000)
    bench.burst.send()
    expect(bench.arrived().map(([len]) => len)).toEqual([30_000, 30_000, 30_000])
    expect(outlet.alone).toEqual([10, 30_000])
  })
})

test('an empty one, and one whose octets do not stay, go at once and in their turn', () => {
  const bench = new Bench()
  const outlet = bench.outlet()
  bench.add(outlet, 100)
  bench.add(outlet, 0)
  expect(bench.arrived().map(([len]) => len)).toEqual([100, 0])
  bench.add(outlet, 100)
  bench.add(outlet, 100, { isInFrame: false })
  expect(bench.arrived().map(([len]) => len)).toEqual([100, 100])
  bench.add(outlet, 50, { isInFrame: false })
  expect(bench.arrived().map(([len]) => len)).toEqual([50])
})

test('another socket, or another peer, is another burst', () => {
  const bench = new Bench()
  const [one, two] = [bench.outlet(), bench.outlet()]
  bench.add(one, 10)
  bench.add(two, 10)
  bench.add(two, 10, { key: Int32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9) })
  bench.burst.send()
  expect(bench.arrived().length).toBe(3)
  expect([one.alone, two.alone]).toEqual([[10], [10, 10]])
})

test('what the kernel does not send at once is sent one by one, and it is not asked again', () => {
  const bench = new Bench()
  const outlet = bench.outlet()
  // A socket that writes no checksums does not cut (net/ipv4/udp.c, udp_send_skb).
  expect(socket.setInt(outlet.fd, c.SOL_SOCKET, SO_NO_CHECK, 1)).toBe(0)
  for (let i = 0; i < 3; i++) bench.add(outlet, 100)
  bench.burst.send()
  expect(bench.arrived().length).toBe(3)
  expect(outlet.alone).toEqual([100, 100, 100])
  expect(outlet.mostSegment).toBeLessThan(100)
  bench.add(outlet, 100)
  expect(bench.arrived().length).toBe(1)
})

test('an error that waits at the socket costs no datagram', () => {
  const bench = new Bench()
  const { fd } = bound()
  const outlet = bench.outlet(fd)
  const gone = bound()
  close(gone.fd)
  socket.setInt(fd, c.IPPROTO_IP, c.IP_RECVERR, 1)
  socket.sendTo(fd, bench.arena, 0, 1, gone.at)
  for (let i = 0; i < 3; i++) bench.add(outlet, 100)
  bench.burst.send()
  // The first of those that go alone meets it; HostErrors.send, which flows have, tries again.
  expect(bench.arrived().length).toBe(3)
  expect(outlet.mostSegment).toBe(Infinity)
})
