/** DHCPv6 as packets: what the stack lets through to the server, and what it answers (RFC 8415). */
import { beforeEach, describe, expect, test } from 'vitest'
import { Dhcpv6Responder } from '../../src/nat/dhcpv6-responder.ts'
import type { Host } from '../../src/nat/host.ts'
import * as address from '../../src/stack/wire/address.ts'
import * as ipv4 from '../../src/stack/wire/ipv4.ts'
import * as ipv6 from '../../src/stack/wire/ipv6.ts'
import * as udp from '../../src/stack/wire/udp.ts'
import { viewOf } from '../stack/rig/frames.ts'
import {
  GATEWAY6,
  GUEST6,
  type Options6,
  packet6,
  Rig6,
  STACK_MAC,
  TRANSPORT6,
  udpOctets,
  words,
} from '../stack/rig/rig6.ts'
import { hex } from '../stack/wire/trap-view.ts'

const CLIENT = 'fe80::64'
const ALL_SERVERS = 'ff02::1:2'
const CLIENT_ID = '0001 000a 0003 0001 020000000064'
const SERVER_ID = `0002 000a 0003 0001 ${Buffer.from(STACK_MAC).toString('hex')}`
const DNS = '0017 0010 fd000000000000000000000000000003'
const SEARCH = `0018 0012 07${Buffer.from('example').toString('hex')} 03636f6d 00 036c616e 00`
const ASK_ALL = '0006 0004 0017 0018'

let rig: Rig6
let passed: number
let search: string[]
let options: { dns: boolean; ipv6: object | undefined }

beforeEach(() => {
  rig = new Rig6()
  passed = 0
  search = ['example.com', 'lan']
  options = { dns: true, ipv6: { dns: words('fd00::3'), linkLocal: words('fe80::2') } }
  const responder = new Dhcpv6Responder({
    arena: { ...rig.memory, reserve: () => rig.memory.bytes.length - 4096 },
    stack: rig.stack,
    reactor: rig,
    resolvers: { search: () => search },
    options,
  } as unknown as Host)
  rig.onDatagram = (datagram) => {
    if (!responder.receive(datagram)) passed++
  }
})

/** The client sends; hop limit and ports as dhclient has them. */
function send(text: string, way: Options6 = {}): void {
  const all: Options6 = { src: CLIENT, dst: ALL_SERVERS, hops: 1, ports: [546, 547], ...way }
  rig.receive(packet6(ipv4.UDP, udpOctets(hex(text), all), all))
}

/** The next frame as text: where it goes, and its message. */
function received(): [way: string, text: Uint8Array] | undefined {
  const frame = rig.frames.shift()
  if (frame === undefined) return undefined
  const v = viewOf(frame)
  const at = (offset: number): string => {
    const into = new Int32Array(4)
    ipv6.readAddress(v, 14 + offset, into, 0)
    return address.format(into)
  }
  const ports = [udp.srcPort(v, TRANSPORT6), udp.dstPort(v, TRANSPORT6)]
  const way = `${at(ipv6.SRC)} ${ports[0]} > ${at(ipv6.DST)} ${ports[1]}`
  return [way, frame.slice(TRANSPORT6 + udp.HEADER_LEN)]
}

const WAY = `fe80::2 547 > ${CLIENT} 546`

describe('an Information-request (RFC 8415 §18.3.6)', () => {
  test('is told name server and search list', () => {
    send(`0b abcdef ${CLIENT_ID} ${ASK_ALL}`)
    expect(received()).toEqual([WAY, hex(`07 abcdef ${CLIENT_ID} ${SERVER_ID} ${DNS} ${SEARCH}`)])
    expect(rig.frames).toEqual([])
    expect(passed).toBe(0)
  })

  test('is told what it asks for, and all there is when it does not say', () => {
    send(`0b abcdef ${CLIENT_ID} 0006 0002 0017`)
    expect(received()?.[1]).toEqual(hex(`07 abcdef ${CLIENT_ID} ${SERVER_ID} ${DNS}`))
    send(`0b abcdef ${CLIENT_ID} 0006 0002 0038`)
    expect(received()?.[1]).toEqual(hex(`07 abcdef ${CLIENT_ID} ${SERVER_ID}`))
    send('0b abcdef')
    expect(received()?.[1]).toEqual(hex(`07 abcdef ${SERVER_ID} ${DNS} ${SEARCH}`))
  })

  test('may come from an address of the prefix, and from another port', () => {
    send(`0b abcdef ${CLIENT_ID}`, { src: GUEST6, ports: [40_000, 547] })
    expect(received()?.[0]).toBe(`fe80::2 547 > ${GUEST6} 546`)
  })

  test('has no list where the host has none, and what there is room for of a long one', () => {
    search = []
    send('0b abcdef')
    expect(received()?.[1]).toEqual(hex(`07 abcdef ${SERVER_ID} ${DNS}`))
    search = Array.from({ length: 100 }, (_, n) => `name${n}.${'x'.repeat(60)}`)
    send(`0b abcdef 0001 0082 ${'07'.repeat(130)}`)
    const [, text] = received()!
    expect(text.length).toBeGreaterThan(400)
    expect(text.length).toBeLessThanOrEqual(1280 - 48)
    expect(text.at(-1)).toBe(0)
  })

  test('that names this server is answered, one that names another is not (§16.12)', () => {
    send(`0b abcdef ${SERVER_ID}`)
    expect(received()?.[1]).toEqual(hex(`07 abcdef ${SERVER_ID} ${DNS} ${SEARCH}`))
    send(`0b abcdef 0002 000a 0003 0001 525500000099`)
    expect(received()).toBeUndefined()
  })

  test('with options of addresses is not answered (§16.12)', () => {
    send(`0b abcdef ${CLIENT_ID} 0003 000c 00000001 00000000 00000000`)
    expect(received()).toBeUndefined()
  })

  test('is not answered where no names are served', () => {
    options.dns = false
    send(`0b abcdef ${CLIENT_ID}`)
    expect(received()).toBeUndefined()
    expect(passed).toBe(0)
  })
})

test.each([
  ['Solicit', 1],
  ['Request', 3],
  ['Reply', 7],
  ['Relay-forward', 12],
])('a %s is not answered: there are no addresses', (_name, type) => {
  send(`${type.toString(16).padStart(2, '0')} abcdef ${CLIENT_ID}`)
  expect(received()).toBeUndefined()
  expect(passed).toBe(0)
})

test('what is malformed is counted and not answered', () => {
  send('0b abcdef 0001 00ff')
  expect(received()).toBeUndefined()
  expect(rig.drops()).toEqual({ dhcpMalformed: 1 })
})

test('nothing else is let through to a group', () => {
  send('0b abcdef', { ports: [546, 5353] })
  send('0b abcdef', { dst: 'ff02::1:3' })
  send('0b abcdef', { dst: 'ff05::1:3' })
  send('0b abcdef', { src: '2001:db8::1' })
  rig.receive(packet6(ipv4.TCP, new Uint8Array(20), { src: CLIENT, dst: ALL_SERVERS }))
  expect(rig.drops()).toEqual({ ipv6Dst: 4, ipv6Src: 1 })
  expect([rig.datagrams.length, rig.requests.length, rig.frames.length]).toEqual([0, 0, 0])
})

// RFC 8415 §16: no server listens at an address of its own.
test('port 547 of the gateway is not the server’s', () => {
  send('0b abcdef', { dst: GATEWAY6, hops: 64 })
  expect(received()).toBeUndefined()
  expect(passed).toBe(1)
})

test('the answer fits into its place, whatever is asked', () => {
  search = [
    `${'a'.repeat(63)}.${'b'.repeat(63)}`,
    'c'.repeat(63),
    ...Array(20).fill('d'.repeat(40)),
  ]
  send(`0b abcdef 0001 0082 ${'07'.repeat(130)} ${ASK_ALL}`)
  expect(received()![1].length).toBeLessThanOrEqual(4 + 134 + 14 + 20 + 4 + 512)
})
