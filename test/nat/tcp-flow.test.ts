/**
 * What the calls on the host's socket answer, and what the guest sees of it: a flow between the stack on its bench and a
 * kernel that answers as it is told.
 */
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { FlowJournal } from '../../src/nat/flow-journal.ts'
import { TcpForward } from '../../src/nat/forwards.ts'
import type { Host } from '../../src/nat/host.ts'
import type { KeepAliveOption } from '../../src/nat/keep-alive.ts'
import type { Handler } from '../../src/nat/reactor.ts'
import { TcpFlow } from '../../src/nat/tcp-flow.ts'
import { Slices } from '../../src/stack/slices.ts'
import { FIRST_ACK } from '../../src/stack/tcp/output.ts'
import * as c from '../../src/sys/constants.ts'
import type { Peer } from '../stack/rig/peer.ts'
import { FROM_GUEST, fillText, firstWrong, TO_GUEST } from '../stack/rig/random.ts'
import { GUEST, HOST, NETWORK, Rig } from '../stack/rig/rig.ts'

/** The kernel: one socket at a time. */
const kernel = vi.hoisted(() => ({
  /** What was done to the socket, but for what is read and written. */
  calls: [] as string[],
  connect: 0,
  /** SO_ERROR. */
  error: 0,
  /** What the next calls of send answer: how many octets at most, or -errno; without any, all is taken. */
  sends: [] as number[],
  /** What the next calls of recv answer: octets that are there, 0 or -errno; without any, -EAGAIN. */
  recvs: [] as number[],
  memory: new Uint8Array(0),
  written: [] as number[],
  read: 0,
  /** Ports of clients of a published port that wait to be accepted. */
  clients: [] as number[],
}))

vi.mock('../../src/sys/socket.ts', () => {
  const write = (places: { at: Int32Array; len: Int32Array; count: number }): number => {
    let most = kernel.sends.shift() ?? Infinity
    if (most < 0) return most
    let n = 0
    for (let i = 0; i < places.count && most > 0; i++) {
      const len = Math.min(places.len[i]!, most)
      kernel.written.push(...kernel.memory.subarray(places.at[i]!, places.at[i]! + len))
      n += len
      most -= len
    }
    return n
  }
  return {
    familyOf: () => c.AF_INET,
    socket: () => 5,
    reservedSocket: () => 5,
    connect: () => kernel.connect || -c.EINPROGRESS,
    bind: () => 0,
    getError: () => -kernel.error,
    setInt: (_fd: number, level: number, option: number, value: number) =>
      kernel.calls.push(`set ${level} ${option} ${value}`) * 0,
    send: (_fd: number, _arena: unknown, at: number, len: number) =>
      write({ at: Int32Array.of(at), len: Int32Array.of(len), count: 1 }),
    sendv: (_fd: number, _arena: unknown, slices: Slices) => write(slices),
    recvv: (_fd: number, _arena: unknown, slices: Slices) => {
      const there = kernel.recvs.shift() ?? -c.EAGAIN
      if (there <= 0) return there
      const n = Math.min(there, slices.total)
      if (n < there) kernel.recvs.unshift(there - n)
      for (let i = 0, left = n; left > 0; i++) {
        const len = Math.min(slices.len[i]!, left)
        const at = slices.at[i]!
        fillText(TO_GUEST, kernel.read, kernel.memory.subarray(at, at + len))
        kernel.read += len
        left -= len
      }
      return n
    },
    listen: () => 0,
    localEndpoint: () => 0,
    accept: (_fd: number, client: { words: Int32Array; port: number }) => {
      const port = kernel.clients.shift()
      if (port === undefined) return -c.EAGAIN
      client.words.set([0, 0, 0xffff, HOST])
      client.port = port
      return 6
    },
    shutdownWrite: () => kernel.calls.push('shutdown') * 0,
    linger0: () => kernel.calls.push('linger 0') * 0,
  }
})
vi.mock('../../src/sys/io.ts', () => ({ close: () => void kernel.calls.push('close') }))

const SYN = 'S 0:0(0) win 65535 <mss 1460>'

let rig: Rig
let host: Host
let peer: Peer
let flow: Handler | undefined
let later: Handler[]
let again: Handler[]
let ended: string[]
let keepAlive: KeepAliveOption

beforeEach(() => {
  rig = new Rig()
  peer = rig.peer()
  flow = undefined
  later = []
  again = []
  ended = []
  keepAlive = 'off'
  const fresh = {
    connect: 0,
    error: 0,
    sends: [],
    recvs: [],
    calls: [],
    written: [],
    read: 0,
    clients: [],
  }
  Object.assign(kernel, fresh, { memory: rig.memory.bytes })
  const journal = new FlowJournal()
  journal.listener = { flowOpened() {}, flowClosed: ({ reason }) => ended.push(reason) }
  host = {
    arena: rig.memory,
    journal,
    stack: rig.stack,
    slices: new Slices(32),
    orphans: new Set(),
    counters: { tcpOpened: 0, tcpClosed: 0, tcpDialsFailed: 0 },
    errors: { judgeDial: () => undefined },
    options: {
      gateway: 0x0a000202,
      dnsAddress: 0x0a000203,
      subnet: { network: NETWORK, prefix: 24 },
      get keepAlive() {
        return keepAlive
      },
    },
    reactor: {
      get now() {
        return rig.clock.now
      },
      add: (_fd: number, _events: number, handler: Handler) => {
        flow = handler
        return 0
      },
      remove() {},
      again: (handler: Handler) => again.push(handler),
      later: (handler: Handler) => void (later.includes(handler) || later.push(handler)),
    },
  } as unknown as Host
  rig.synArrives = (request) => TcpFlow.dial(host, request)
})

/** epoll tells the flow of events; then what is due is sent. */
function tell(events: number): void {
  flow!.ready(events)
  turn()
}

/** Handlers that asked for it go on, and what is due is sent. */
function turn(): void {
  while (again.length > 0) again.shift()!.ready(0)
  rig.flush()
}

/** Time goes by; what asked to be called later is. */
function wait(): void {
  for (const handler of later.splice(0)) handler.ready(0)
  turn()
}

/** A flow that is there, both ways open. */
function connect(): void {
  peer.sends(SYN)
  tell(c.EPOLLOUT)
  peer.expects('S. 0:0(0) ack 1')
  peer.sends('. 1:1(0) ack 1')
  peer.expectsNothing()
}

/** The host has got just what the guest sent. */
function expectWritten(octets: number): void {
  expect(kernel.written.length).toBe(octets)
  expect(firstWrong(FROM_GUEST, 0, Uint8Array.from(kernel.written))).toBe(-1)
}

describe('a dial that fails is told to the guest, again for each SYN that it sends again', () => {
  test.each<[string, number, string]>([
    ['ECONNREFUSED', c.ECONNREFUSED, 'RST'],
    ['ECONNRESET', c.ECONNRESET, 'RST'],
    ['ENETUNREACH', c.ENETUNREACH, '3/0'],
    ['EHOSTUNREACH', c.EHOSTUNREACH, '3/1'],
    ['EHOSTDOWN', c.EHOSTDOWN, '3/1'],
    ['ETIMEDOUT', c.ETIMEDOUT, '3/1'],
    ['EACCES', c.EACCES, '3/13'],
    ['EPERM', c.EPERM, '3/13'],
  ])('%s (%i): %s', (_, errno, what) => {
    for (const isLate of [false, true, true]) {
      kernel.connect = isLate ? 0 : -errno
      kernel.error = errno
      peer.sends(SYN)
      if (isLate) {
        expect(rig.frames).toEqual([])
        tell(c.EPOLLOUT | c.EPOLLERR | c.EPOLLHUP)
      }
      if (what === 'RST') peer.expects('R. 0:0(0) ack 1')
      else {
        const about = '10.0.2.100 > 192.0.2.7 protocol 6, 28 quoted'
        expect(rig.lines()).toEqual([`10.0.2.2 > 10.0.2.100: ICMP ${what} about ${about}`])
      }
      expect(rig.frames).toEqual([]) // and nothing else
      rig.clock.advance(1000)
    }
    expect(kernel.calls.filter((call) => call === 'close').length).toBe(3)
    expect(rig.stack.tcp.requests.size).toBe(0)
  })
})

test('a client of a published port that the guest dials from that port at that moment comes from another', () => {
  const at = { words: Int32Array.of(0, 0, 0xffff, 0), port: 80 }
  const guest = { words: Int32Array.of(0, 0, 0xffff, GUEST), port: peer.port }
  peer.sends(SYN) // from the published port, to the client's
  const dial = flow!
  const forward = new TcpForward(host, { at, guest, isOwnGuest: false, ipv6Only: false })
  kernel.clients = [peer.hostPort]
  forward.ready(c.EPOLLIN)
  rig.flush()
  peer.expectsNothing()
  const client = rig.peer({ port: peer.port, hostPort: 65535 })
  client.expects('S 0:0(0)')
  dial.ready(c.EPOLLOUT)
  rig.flush()
  peer.expects('S. 0:0(0) ack 1')
  rig.stack.tcp.remove(rig.stack.tcp.connections.get(peer.key)!)
  rig.stack.tcp.remove(rig.stack.tcp.connections.get(client.key)!)
  expect(rig.stack.tcp.connections.size).toBe(0)
})

describe('after the handshake', () => {
  test.each<[string, number]>([
    ['ECONNRESET', c.ECONNRESET],
    ['ETIMEDOUT', c.ETIMEDOUT],
    ['EHOSTUNREACH', c.EHOSTUNREACH],
    ['EPIPE', c.EPIPE],
  ])('%s (%i) of recv or send is a RST', (_, errno) => {
    connect()
    kernel.recvs = [-errno]
    tell(c.EPOLLIN | c.EPOLLERR | c.EPOLLHUP)
    peer.expects('R. 1:1(0) ack 1')
    expect(ended).toEqual(['host-reset'])
    peer = rig.peer({ port: 40_001 })
    connect()
    kernel.sends = [-errno]
    peer.sends('P. 1:11(10) ack 1')
    peer.expects('R. 1:1(0) ack 1')
    expect(ended).toEqual(['host-reset', 'host-reset'])
    expect(rig.stack.tcp.connections.size).toBe(0)
  })

  test('an error of the host does not wait for what was read before it', () => {
    connect()
    kernel.recvs = [3000, -c.ECONNRESET]
    tell(c.EPOLLIN | c.EPOLLRDHUP | c.EPOLLERR | c.EPOLLHUP)
    expect(peer.takeAll().at(-1)!.ctl & 4).toBe(4)
    expect([rig.chunksTaken, ended]).toEqual([0, ['host-reset']])
  })

  test('an error when the host has closed already is a RST, too', () => {
    connect()
    kernel.recvs = [0]
    tell(c.EPOLLIN | c.EPOLLRDHUP)
    peer.expects('F. 1:1(0) ack 1')
    tell(c.EPOLLERR | c.EPOLLHUP)
    peer.expects('R. 2:2(0) ack 1')
  })

  test.each<[string, number]>([
    ['ENOBUFS', c.ENOBUFS],
    ['ENOMEM', c.ENOMEM],
  ])('%s (%i) is a shortage: it is tried again, and nothing is lost', (_, errno) => {
    connect()
    kernel.sends = [-errno, -errno, -errno]
    peer.sends('P. 1:1001(1000) ack 1')
    rig.clock.advance(FIRST_ACK)
    peer.expects('. 1:1(0) ack 1001')
    expectWritten(0)
    peer.sends('P. 1001:2001(1000) ack 1') // stands behind it, and has it tried at once
    wait()
    expectWritten(0)
    wait()
    expectWritten(2000)
    kernel.recvs = [-errno, 700]
    tell(c.EPOLLIN)
    peer.takeAll()
    wait()
    peer.expects('P. 1:701(700) ack 2001')
    expect(ended).toEqual([])
  })

  test('a RST of the guest is one at the host, in every way that it may be closed', () => {
    connect()
    kernel.calls = []
    peer.sends('R 1:1(0)')
    expect(kernel.calls).toEqual(['linger 0', 'close'])
    expect(ended).toEqual(['guest-reset'])
    peer = rig.peer({ port: 40_001 })
    connect()
    peer.sends('F. 1:1(0) ack 1')
    kernel.calls = []
    peer.sends('R 2:2(0)')
    expect(kernel.calls).toEqual(['linger 0', 'close'])
  })

  test('the guest’s FIN goes behind its last octet; the host may go on', () => {
    connect()
    kernel.calls = []
    kernel.sends = [400, -c.EAGAIN]
    peer.sends('FP. 1:1001(1000) ack 1')
    peer.expects('. 1:1(0) ack 1002')
    expect([kernel.written.length, kernel.calls]).toEqual([400, []])
    kernel.sends = [300]
    tell(c.EPOLLOUT)
    expect([kernel.written.length, kernel.calls]).toEqual([700, []])
    tell(c.EPOLLOUT)
    expectWritten(1000)
    expect(kernel.calls).toEqual(['shutdown'])
    kernel.recvs = [500, 0]
    tell(c.EPOLLIN | c.EPOLLRDHUP)
    expect(peer.takeAll().reduce((sum, { len }) => sum + len, 0)).toBe(500)
    peer.sends('. 1002:1002(0) ack 502')
    expect([kernel.calls, ended]).toEqual([['shutdown', 'close'], ['finished']])
  })

  /** Both ends have said their last, and the host has taken 100 of the guest's 1,000 octets. */
  function orphaned(): void {
    connect()
    kernel.sends = [100]
    peer.sends('FP. 1:1001(1000) ack 1')
    kernel.recvs = [0]
    tell(c.EPOLLIN | c.EPOLLRDHUP)
    peer.sends('. 1002:1002(0) ack 2')
    kernel.calls = []
    expect(rig.stack.tcp.connections.get(peer.key)).toBeUndefined()
  }

  test('what the host has not taken at the end of the connection is delivered, and counts until then', () => {
    rig.stack.tcp.limits.connections = 1
    orphaned()
    expect([ended, rig.stack.tcp.whatIsFull()]).toEqual([[], 'tcpLimit'])
    for (let i = 0; i < 8; i++) {
      rig.clock.advance(200_000)
      wait()
      kernel.sends = [100]
      tell(c.EPOLLOUT)
    }
    expect([ended, kernel.calls]).toEqual([[], []])
    tell(c.EPOLLOUT)
    expectWritten(1000)
    expect([ended, kernel.calls]).toEqual([['finished'], ['shutdown', 'close']])
    expect([rig.stack.tcp.whatIsFull(), rig.chunksTaken]).toEqual([undefined, 0])
  })

  test('a host that takes nothing of it any more is given up after four minutes, with a RST', () => {
    orphaned()
    rig.clock.advance(239_999)
    wait()
    expect([ended, later.length]).toEqual([[], 1])
    rig.clock.advance(1)
    wait()
    expect([ended, kernel.calls]).toEqual([['expired'], ['linger 0', 'close']])
    expect([rig.stack.tcp.undelivered, rig.chunksTaken]).toEqual([0, 0])
  })

  test('a host that takes nothing closes the window, and opens it again, with nothing lost', () => {
    connect()
    kernel.sends = [-c.EAGAIN]
    let at = 1
    for (let wnd = 65_535; wnd > 0; ) {
      const len = Math.min(1460, wnd)
      peer.sends(`. ${at}:${at + len}(${len}) ack 1`)
      at += len
      rig.clock.advance(FIRST_ACK)
      wnd = peer.takeAll().at(-1)!.wnd!
    }
    expectWritten(0)
    tell(c.EPOLLOUT)
    expectWritten(at - 1)
    expect(peer.takeAll().at(-1)!.wnd).toBeGreaterThan(60_000)
  })

  test('a guest that takes nothing has no more read for it than the buffer holds, and gets all of it later', () => {
    const all = 1_000_000
    connect()
    peer.sends('. 1:1(0) ack 1 win 0')
    kernel.recvs = [all]
    tell(c.EPOLLIN)
    peer.expectsNothing()
    const most = rig.stack.tcp.limits.sendBuffer
    expect(kernel.read).toBeGreaterThan(most / 4)
    expect(kernel.read).toBeLessThanOrEqual(most)
    let end = 1
    for (let round = 0; end <= all && round < 1000; round++) {
      peer.sends(`. 1:1(0) ack ${end} win 65535`)
      turn()
      for (const { seq, len } of peer.takeAll()) end = Math.max(end, seq + len)
    }
    expect([end, kernel.read]).toEqual([all + 1, all])
  })
})

test('small writes of the host go at once, each; those of the guest, too (TCP_NODELAY)', () => {
  peer.sends(SYN)
  expect(kernel.calls).toContain(`set ${c.IPPROTO_TCP} ${c.TCP_NODELAY} 1`)
  tell(c.EPOLLOUT)
  peer.expects('S. 0:0(0) ack 1')
  peer.sends('. 1:1(0) ack 1')
  for (let i = 1; i <= 5; i++) {
    kernel.recvs = [1]
    tell(c.EPOLLIN)
    peer.expects(`P. ${i}:${i + 1}(1) ack 1`) // while those before it are not acknowledged
  }
  for (let i = 1; i <= 5; i++) {
    peer.sends(`P. ${i}:${i + 1}(1) ack 1`)
    expectWritten(i)
  }
})

describe('keep-alives', () => {
  const ofSocket = (): string[] =>
    kernel.calls.filter((call) => call.startsWith(`set ${c.SOL_SOCKET} ${c.SO_KEEPALIVE}`))

  test('are the system’s towards the host, and Linux’ own towards the guest, when nothing is said', () => {
    keepAlive = 'system'
    connect()
    expect(ofSocket()).toEqual([`set ${c.SOL_SOCKET} ${c.SO_KEEPALIVE} 1`])
    expect(kernel.calls.join()).not.toContain(`set ${c.IPPROTO_TCP} ${c.TCP_KEEPIDLE}`)
    rig.clock.advance(7_200_000 - 1)
    peer.expectsNothing()
    rig.clock.advance(1)
    peer.expects('. 0:0(0) ack 1')
  })

  test('are the same at both ends when they are asked for, in whole seconds for the kernel', () => {
    keepAlive = { idle: 10_500, interval: 1000, probes: 2 }
    connect()
    const options = [c.TCP_KEEPIDLE, 11, c.TCP_KEEPINTVL, 1, c.TCP_KEEPCNT, 2]
    for (let i = 0; i < 6; i += 2) {
      expect(kernel.calls).toContain(`set ${c.IPPROTO_TCP} ${options[i]} ${options[i + 1]}`)
    }
    rig.clock.advance(10_500 + 2000)
    peer.expects('. 0:0(0) ack 1', '. 0:0(0) ack 1', 'R. 1:1(0) ack 1')
    expect(ended).toEqual(['guest-timeout'])
    expect(kernel.calls.slice(-2)).toEqual(['linger 0', 'close'])
  })

  test('are none when they are turned off', () => {
    connect()
    expect(ofSocket()).toEqual([])
    rig.clock.advance(1_000_000_000)
    peer.expectsNothing()
    expect(rig.stack.deadline()).toBe(Infinity)
  })
})
