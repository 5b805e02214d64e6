/** Questions of DNS, asked of name servers that are sockets of this process, on its loopback. */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DnsRelay } from '../../src/nat/dns-relay.ts'
import { FlowJournal } from '../../src/nat/flow-journal.ts'
import type { Host } from '../../src/nat/host.ts'
import { Names } from '../../src/nat/names.ts'
import { Reactor } from '../../src/nat/reactor.ts'
import type { Server } from '../../src/nat/resolvers.ts'
import { key4 } from '../../src/stack/flow-table.ts'
import { Datagram } from '../../src/stack/transport.ts'
import * as dns from '../../src/stack/wire/dns.ts'
import { Arena } from '../../src/sys/arena.ts'
import { Batch } from '../../src/sys/batch.ts'

const GUEST = 0x0a000264
const DNS_ADDRESS = 0x0a000203
const GATEWAY = 0x0a000202
const [NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED] = [0, 1, 2, 3, 4, 5] as const

/** A message: id, flags, the name as its question (none for ''), and something behind. */
function message(id: number, flags: number, name: string, more = ''): Buffer {
  const labels = name
    .split('.')
    .map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`))
  const question = name === '' ? [] : [...labels, Buffer.of(0, 0, 1, 0, 1)]
  const header = Buffer.alloc(12)
  header.writeUInt16BE(id, 0)
  header.writeUInt16BE(flags, 2)
  header.writeUInt16BE(name === '' ? 0 : 1, 4)
  return Buffer.concat([header, ...question, Buffer.from(more)])
}
const query = (id: number, name = 'a.example'): Buffer => message(id, dns.RD, name)
const reply = (id: number, rcode: number, more: string, name = 'a.example'): Buffer =>
  message(id, dns.QR | rcode, name, more)

interface Server4 extends Server {
  socket: Socket
  heard: { id: number; from: RemoteInfo }[]
}

let servers: Server4[]
let reactor: Reactor
let relay: DnsRelay
let names: Names
/** What the guest got: the port, and the text behind the question; or the ICMP error. */
let guest: string[]
let drop: { dnsStranger: number; dnsMalformed: number }
let arena: Arena
let demoted: Server[]
let ended: string[]

beforeEach(() => {
  servers = []
  guest = []
  demoted = []
  ended = []
  drop = { dnsStranger: 0, dnsMalformed: 0 }
  reactor = new Reactor()
  arena = new Arena(1 << 20)
  const batch = new Batch(4)
  for (let i = 0; i < 4; i++) {
    batch.at[i] = arena.reserve(65_536)
    batch.room[i] = 65_536
  }
  names = new Names()
  const journal = new FlowJournal()
  journal.listener = { flowOpened() {}, flowClosed: ({ reason }) => ended.push(reason) }
  const host = {
    arena,
    reactor,
    journal,
    counters: { udpOpened: 0, udpClosed: 0, resources: 0 },
    options: { dns: true, dnsAddress: DNS_ADDRESS, limits: { datagramFlows: 32 } },
    names,
    resolvers: {
      servers: () => servers,
      wasSilent: (server: Server) => demoted.push(server),
      hasAnswered: () => {},
    },
    stack: {
      counters: { drop },
      transmitter: {
        sendUdp: (key: Int32Array, _neighbour: unknown, at: number, len: number) => {
          const text = Buffer.from(arena.bytes.slice(at, at + len))
          const end = text.readUInt16BE(4) === 0 ? 12 : text.indexOf('\0\0\x01\0\x01', 12) + 5
          guest.push(`${key[8]! >>> 16} ${text.readUInt16BE(0)} ${text.subarray(end)}`)
        },
      },
      flowErrors: {
        about: (lost: { key: Int32Array }, _neighbour: unknown, why: string) =>
          guest.push(`${lost.key[8]! >>> 16} ${why}`),
      },
    },
  }
  relay = new DnsRelay(host as unknown as Host, batch)
})

afterEach(() => {
  relay.destroy()
  reactor.close()
  for (const { socket } of servers) socket.close()
})

/** A name server that says nothing by itself. */
async function serve(): Promise<Server4> {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  const server: Server4 = {
    words: Int32Array.of(0, 0, 0xffff, 0x7f000001),
    port: socket.address().port,
    silences: 0,
    demotedUntil: -Infinity,
    socket,
    heard: [],
  }
  socket.on('message', (text, from) => server.heard.push({ id: text.readUInt16BE(0), from }))
  servers.push(server)
  return server
}

/** A port where nobody is. */
async function nobody(): Promise<void> {
  const server = await serve()
  await new Promise<void>((resolve) => server.socket.close(() => resolve()))
  server.socket = createSocket('udp4')
}

function ask(octets: Uint8Array, port = 5000, dst = DNS_ADDRESS, dstPort = 53): boolean {
  const datagram = new Datagram()
  key4(datagram.key, GUEST, port, dst, dstPort)
  datagram.at = arena.size - 10_000
  datagram.len = octets.length
  arena.bytes.set(octets, datagram.at)
  return relay.receive(datagram)
}

/** Turns both loops until `done`, at most a second. */
async function until(done: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !done(); i++) {
    reactor.turn(0)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  expect(done()).toBe(true)
}

const heard = (server: Server4, count: number): Promise<void> =>
  until(() => server.heard.length >= count)

async function answer(server: Server4, octets: Buffer, which = server.heard.length - 1) {
  const { from } = server.heard[which]!
  await new Promise((resolve) => server.socket.send(octets, from.port, from.address, resolve))
}

/** The time of the next thing that is due. */
function wait(): void {
  reactor.now = relay.deadline()
  relay.timeout(reactor.now)
}

test('a question is answered from the first server, to the port that asked, once', async () => {
  const [one, two] = [await serve(), await serve()]
  expect(ask(query(7))).toBe(true)
  await heard(one, 1)
  await answer(one, reply(7, NOERROR, 'yes'))
  await until(() => guest.length > 0)
  expect([guest, two.heard, ended]).toEqual([['5000 7 yes'], [], ['finished']])
  expect(relay.deadline()).toBe(Infinity)
})

test('what is for somebody else is left alone', () => {
  expect(ask(query(7), 5000, GATEWAY)).toBe(false)
  expect(ask(query(7), 5000, DNS_ADDRESS, 54)).toBe(false)
})

test('a name of the program is answered here, in letters of either case, and no server hears of it', async () => {
  const one = await serve()
  names.add('a.example', Int32Array.of(0, 0, 0xffff, 0x0a000202))
  ask(query(7))
  ask(query(8, 'A.Example'))
  const text = '\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\x0a\0\x02\x02'
  expect(guest).toEqual([`5000 7 ${text}`, `5000 8 ${text}`].map(asUtf8))
  ask(query(9, 'b.example'))
  await heard(one, 1)
  expect(one.heard.map(({ id }) => id)).toEqual([9])
})

/** As a Buffer of these octets reads as text. */
const asUtf8 = (latin: string): string => `${Buffer.from(latin, 'latin1')}`

test('questions of one socket, of several, and of the same id, go their own ways', async () => {
  const one = await serve()
  ask(query(1))
  ask(query(2))
  ask(query(1), 6000)
  await heard(one, 3)
  // RFC 5452 §9.2: each from a port of its own.
  expect(new Set(one.heard.map(({ from }) => from.port)).size).toBe(3)
  for (const i of [2, 1, 0]) {
    await answer(one, reply(one.heard[i]!.id, NOERROR, `to ${i}`), i)
  }
  await until(() => guest.length === 3)
  const byId = guest.toSorted()
  expect(byId.map((line) => line.slice(0, 6))).toEqual(['5000 1', '5000 2', '6000 1'])
})

describe('the next server is asked', () => {
  test('when one is silent; and when that one answers late, it counts', async () => {
    const [one, two] = [await serve(), await serve()]
    ask(query(7))
    await heard(one, 1)
    const before = reactor.now
    wait()
    expect(reactor.now - before).toBeCloseTo(1500, -2)
    await heard(two, 1)
    expect(demoted).toEqual([one])
    await answer(one, reply(7, NOERROR, 'late'))
    await until(() => guest.length > 0)
    await answer(two, reply(7, NOERROR, 'too late'))
    reactor.turn(performance.now() + 20)
    expect(guest).toEqual(['5000 7 late'])
  })

  test('at once where nobody is', async () => {
    await nobody()
    const two = await serve()
    ask(query(7))
    await heard(two, 1)
    await answer(two, reply(7, NOERROR, 'yes'))
    await until(() => guest.length > 0)
    expect([guest, demoted]).toEqual([['5000 7 yes'], []])
  })

  test.each([
    ['SERVFAIL', SERVFAIL],
    ['NOTIMP', NOTIMP],
    ['REFUSED', REFUSED],
  ])('at once after %s', async (_, rcode) => {
    const [one, two] = [await serve(), await serve()]
    ask(query(7))
    await heard(one, 1)
    await answer(one, reply(7, rcode, 'no'))
    await heard(two, 1)
    await answer(two, reply(7, NOERROR, 'yes'))
    await until(() => guest.length > 0)
    expect(guest).toEqual(['5000 7 yes'])
  })

  test.each([
    ['NXDOMAIN', NXDOMAIN],
    ['FORMERR', FORMERR],
  ])('but not after %s, which is an answer', async (_, rcode) => {
    const [one, two] = [await serve(), await serve()]
    ask(query(7))
    await heard(one, 1)
    await answer(one, reply(7, rcode, 'none'))
    await until(() => guest.length > 0)
    expect([guest, two.heard]).toEqual([['5000 7 none'], []])
  })

  test('when the guest asks again, and all of them when there is no next', async () => {
    const [one, two] = [await serve(), await serve()]
    ask(query(7))
    await heard(one, 1)
    ask(query(7))
    await heard(two, 1)
    ask(query(7))
    await heard(one, 2)
    await heard(two, 2)
    expect(one.heard[0]!.from.port).toBe(one.heard[1]!.from.port)
  })
})

describe('when no server has a good answer', () => {
  test('the guest gets a bad one', async () => {
    const one = await serve()
    await nobody()
    ask(query(7))
    await heard(one, 1)
    await answer(one, reply(7, SERVFAIL, 'no'))
    await until(() => guest.length > 0)
    expect([guest, ended]).toEqual([['5000 7 no'], ['finished']])
  })

  test('it hears that nobody is there', async () => {
    await nobody()
    await nobody()
    ask(query(7))
    await until(() => guest.length > 0)
    expect([guest, ended]).toEqual([['5000 port-unreachable'], ['host-unreachable']])
  })

  test('it hears nothing of servers that are silent, for 30 s', async () => {
    const [one, two] = [await serve(), await serve()]
    ask(query(7))
    const before = reactor.now
    wait()
    wait()
    expect(reactor.now - before).toBeCloseTo(30_000, 6)
    expect([guest, ended, demoted]).toEqual([[], ['expired'], [one, two]])
    expect(relay.deadline()).toBe(Infinity)
  })
})

describe('is no answer:', () => {
  test.each<[string, Buffer]>([
    ['another id', reply(8, NOERROR, 'false')],
    ['another question', reply(7, NOERROR, 'false', 'b.example')],
    ['a question', query(7)],
    ['half a header', reply(7, NOERROR, 'false').subarray(0, 11)],
    ['half a question', reply(7, NOERROR, 'false').subarray(0, 16)],
    ['one without a question that is no error', message(7, dns.QR, '', 'false')],
  ])('%s', async (_, octets) => {
    const one = await serve()
    ask(query(7))
    await heard(one, 1)
    await answer(one, octets)
    await answer(one, reply(7, NOERROR, 'true', 'A.eXample'))
    await until(() => guest.length > 0)
    expect([guest, drop.dnsStranger]).toEqual([['5000 7 true'], 1])
  })

  test('what comes from another port of the server', async () => {
    const [one, two] = [await serve(), await serve()]
    ask(query(7))
    await heard(one, 1)
    two.heard.push(one.heard[0]!)
    await answer(two, reply(7, NOERROR, 'false'))
    await answer(one, reply(7, NOERROR, 'true'))
    await until(() => guest.length > 0)
    expect(guest).toEqual(['5000 7 true'])
  })

  test('but an error may come without its question', async () => {
    const one = await serve()
    ask(query(7))
    await heard(one, 1)
    await answer(one, message(7, dns.QR | FORMERR, '', 'what?'))
    await until(() => guest.length > 0)
    expect(guest).toEqual(['5000 7 what?'])
  })
})

test('what is no question, or is too long for one, is dropped', async () => {
  await serve()
  for (const octets of [
    Buffer.alloc(11),
    reply(7, 0, ''),
    Buffer.concat([query(1), Buffer.alloc(4090)]),
  ]) {
    expect(ask(octets)).toBe(true)
  }
  expect([drop.dnsMalformed, relay.deadline()]).toEqual([3, Infinity])
})

test('one that cannot be read is asked all the same', async () => {
  const one = await serve()
  ask(Buffer.concat([message(7, 0, ''), Buffer.from('odd')]))
  await heard(one, 1)
  await answer(one, message(7, dns.QR, '', 'odd, too'))
  await until(() => guest.length > 0)
  expect(guest).toEqual(['5000 7 odd, too'])
})

test('the oldest makes room when there are too many', async () => {
  const one = await serve()
  for (let id = 0; id < 10; id++) ask(query(id))
  await heard(one, 10)
  expect(ended).toEqual(['evicted', 'evicted'])
  for (let i = 0; i < 10; i++) await answer(one, reply(i, NOERROR, ''), i)
  await until(() => guest.length === 8)
  expect(ended.filter((end) => end === 'finished')).toHaveLength(8)
})
