/** DHCP as frames: what the stack lets through to the server, and how its answers look on the wire. */
import { beforeEach, describe, expect, test } from 'vitest'
import { DhcpResponder } from '../../src/nat/dhcp-responder.ts'
import type { Host } from '../../src/nat/host.ts'
import { Datagram } from '../../src/stack/transport.ts'
import * as address from '../../src/stack/wire/address.ts'
import * as arp from '../../src/stack/wire/arp.ts'
import * as ethernet from '../../src/stack/wire/ethernet.ts'
import * as ipv4 from '../../src/stack/wire/ipv4.ts'
import * as udp from '../../src/stack/wire/udp.ts'
import { complete, IP, TRANSPORT, viewOf } from '../stack/rig/frames.ts'
import { DNS, GATEWAY, GUEST_MAC, ip, NETWORK, Rig, STACK_MAC } from '../stack/rig/rig.ts'
import { clientMessage } from '../stack/wire/dhcp-messages.ts'

const ALL = '255.255.255.255'
const EVERY_STATION = ethernet.BROADCAST
const CHADDR = address.formatMac(GUEST_MAC)
const DISCOVER = clientMessage('35 01 01 ff', { chaddr: CHADDR })
const TEXT = TRANSPORT + udp.HEADER_LEN

let rig: Rig
let passed: number
let responder: DhcpResponder

beforeEach(() => {
  rig = new Rig()
  passed = 0
  const place = rig.memory.bytes.length - 2048 // behind all that arrives in here
  responder = new DhcpResponder({
    arena: { ...rig.memory, reserve: () => place },
    stack: rig.stack,
    reactor: rig.clock,
    resolvers: { search: () => ['lan'] },
    options: {
      subnet: { network: NETWORK, prefix: 24 },
      gateway: GATEWAY,
      dnsAddress: DNS,
      dns: true,
      dhcpPool: { begin: ip('10.0.2.15'), end: ip('10.0.2.30') },
      mtu: 1500,
    },
  } as unknown as Host)
  rig.onDatagram = (datagram) => {
    if (!responder.receive(datagram)) passed++
  }
})

interface Way {
  src?: string
  dst?: string
  dstPort?: number
  dstMac?: Uint8Array
  protocol?: number
  fragment?: number
  checksum?: number
}

function frame(text: Uint8Array, way: Way = {}): Uint8Array {
  const { src = '0.0.0.0', dst = ALL, dstPort = 67, protocol = ipv4.UDP, fragment = 0 } = way
  const octets = new Uint8Array(TEXT + text.length)
  const v = viewOf(octets)
  ethernet.emit(v, 0, way.dstMac ?? EVERY_STATION, GUEST_MAC, ethernet.IPV4)
  const total = octets.length - IP
  ipv4.emit(v, IP, total, 1, fragment, 64, protocol, ip(src), ip(dst))
  udp.emit(v, TRANSPORT, 68, dstPort, octets.length - TRANSPORT, 0)
  octets.set(text, TEXT)
  complete(octets, udp.CHECKSUM)
  if (way.checksum !== undefined) v.setUint16(TRANSPORT + udp.CHECKSUM, way.checksum)
  return octets
}

/** `10.0.2.2:67 > 10.0.2.15:68 at MAC, type 2, yiaddr 10.0.2.15` of the frames sent since. */
function sent(): string[] {
  return rig.frames.splice(0).map((octets) => {
    const v = viewOf(octets)
    expect(ethernet.isTo(v, 6, STACK_MAC)).toBe(true)
    if (ethernet.type(v, 0) === ethernet.ARP) {
      return `who has ${address.formatIpv4(arp.tpa(v, IP))}`
    }
    if (ipv4.protocol(v, IP) !== ipv4.UDP) return `protocol ${ipv4.protocol(v, IP)}`
    const from = `${address.formatIpv4(ipv4.src(v, IP))}:${udp.srcPort(v, TRANSPORT)}`
    const to = `${address.formatIpv4(ipv4.dst(v, IP))}:${udp.dstPort(v, TRANSPORT)}`
    const yiaddr = address.formatIpv4(v.getInt32(TEXT + 16))
    const type = v.getUint8(TEXT + 242)
    return `${from} > ${to} at ${address.formatMac(octets)}, type ${type}, yiaddr ${yiaddr}`
  })
}

const OFFER = `10.0.2.2:67 > 10.0.2.15:68 at ${CHADDR}, type 2, yiaddr 10.0.2.15`

describe('a DISCOVER', () => {
  test('is answered at its chaddr, without ARP (RFC 2131 §4.1)', () => {
    rig.receive(frame(DISCOVER))
    expect(sent()).toEqual([OFFER])
    expect(rig.drop).toMatchObject({ ipv4Src: 0, ipv4Dst: 0, dhcpMalformed: 0 })
  })

  test('is answered to all when it asks for that', () => {
    rig.receive(frame(clientMessage('35 01 01 ff', { chaddr: CHADDR, flags: '8000' })))
    expect(sent()).toEqual([
      `10.0.2.2:67 > ${ALL}:68 at ff:ff:ff:ff:ff:ff, type 2, yiaddr 10.0.2.15`,
    ])
  })

  test('by way of a relay agent is answered there, once its MAC is known', () => {
    const relayed = clientMessage('35 01 01 ff', { chaddr: CHADDR, giaddr: '10.0.2.50' })
    rig.receive(frame(relayed, { src: '10.0.2.51', dst: '10.0.2.2', dstMac: STACK_MAC }))
    expect(sent()).toEqual(['who has 10.0.2.50'])
    rig.receive(frame(relayed, { src: '10.0.2.50', dst: '10.0.2.2', dstMac: STACK_MAC }))
    const offer = `10.0.2.2:67 > 10.0.2.50:67 at ${CHADDR}, type 2, yiaddr 10.0.2.15`
    expect(sent()).toEqual([offer, offer])
  })

  test.each([
    ['from a guest’s address', { src: '10.0.2.20' }],
    ['to the gateway', { src: '10.0.2.20', dst: '10.0.2.2', dstMac: STACK_MAC }],
    ['to the gateway from 0.0.0.0', { dst: '10.0.2.2', dstMac: STACK_MAC }],
    ['without a checksum', { checksum: 0 }],
  ])('%s is answered, too', (_what, way) => {
    rig.receive(frame(DISCOVER, way))
    expect(sent()).toEqual([OFFER])
  })
})

test('the checksum of an answer is complete: clients read it before the kernel would be', () => {
  rig.stack.transmitter.departure.csumStart = 34
  rig.receive(frame(DISCOVER))
  expect(rig.stack.transmitter.departure.csumStart).toBe(0)
  expect(viewOf(rig.frames[0]!).getUint16(TRANSPORT + udp.CHECKSUM)).not.toBe(0) // and inspected
})

test('what is malformed is counted and not answered', () => {
  rig.receive(frame(clientMessage('ff')))
  rig.receive(frame(new Uint8Array(3)))
  expect(sent()).toEqual([])
  expect(passed).toBe(0)
  expect(rig.drop.dhcpMalformed).toBe(2)
})

describe('nothing else is let through', () => {
  test.each([
    ['another port', { dstPort: 68 }, 'ipv4Dst'],
    ['another port from 0.0.0.0 to the gateway', { dstPort: 53, dst: '10.0.2.2' }, 'ipv4Src'],
    ['another protocol', { protocol: ipv4.ICMP }, 'ipv4Dst'],
    ['a fragment', { fragment: ipv4.MF }, 'ipv4Dst'],
    ['another address from 0.0.0.0', { dst: '10.0.2.3' }, 'ipv4Src'],
    ['another host from 0.0.0.0', { dst: '192.0.2.1' }, 'ipv4Src'],
    ['from our address', { src: '10.0.2.2' }, 'ipv4Src'],
    ['from another network', { src: '192.168.1.1' }, 'ipv4Src'],
    ['from loopback', { src: '127.0.0.1' }, 'ipv4Src'],
    ['a wrong checksum', { checksum: 0x1234 }, 'udpChecksum'],
  ] as const)('to all: %s', (_what, way, reason) => {
    const src = 'src' in way || ('dst' in way && reason === 'ipv4Src') ? {} : { src: '10.0.2.20' }
    rig.receive(frame(DISCOVER, { ...src, ...way }))
    expect(sent()).toEqual([])
    expect(rig.datagrams).toEqual([])
    expect(rig.drop[reason]).toBe(1)
  })

  test.each(['192.0.2.1', '10.0.2.3'])('to port 67 of %s: it is not the server’s', (dst) => {
    rig.receive(frame(DISCOVER, { src: '10.0.2.20', dst, dstMac: STACK_MAC }))
    expect(passed).toBe(1)
    expect(sent()).toEqual([])
  })
})

test('an IPv6 address that ends as ours or the broadcast does is another host’s', () => {
  for (const last of [GATEWAY, ip(ALL)]) {
    const datagram = new Datagram()
    datagram.key.set([0xfd000000 | 0, 0, 0, 0x64, 0x20010db8, 0, 0, last, (68 << 16) | 67])
    expect(responder.receive(datagram)).toBe(false)
  }
  expect(rig.drop.dhcpMalformed).toBe(0)
})

test('a datagram to all of the subnet is dropped without an error (RFC 1122 §3.2.2)', () => {
  rig.receive(frame(DISCOVER, { src: '10.0.2.20', dst: '10.0.2.255', dstPort: 137 }))
  expect(sent()).toEqual([])
  expect(rig.drop.ipv4Dst).toBe(1)
})
