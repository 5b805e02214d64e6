/** ICMP errors about packets that are gone: what the guest's kernel finds in them. */
import { expect, test } from 'vitest'
import { FlowErrors, LostPacket, Verdict } from '../../src/stack/flow-errors.ts'
import { key4 } from '../../src/stack/flow-table.ts'
import type { Reason } from '../../src/stack/icmp-errors.ts'
import * as address from '../../src/stack/wire/address.ts'
import * as checksum from '../../src/stack/wire/checksum.ts'
import * as icmp from '../../src/stack/wire/icmp.ts'
import * as icmpv6 from '../../src/stack/wire/icmpv6.ts'
import * as ipv4 from '../../src/stack/wire/ipv4.ts'
import * as ipv6 from '../../src/stack/wire/ipv6.ts'
import { IP, TRANSPORT, viewOf } from './rig/frames.ts'
import { arpPacket } from './rig/packets.ts'
import { GATEWAY, GUEST, HOST, Rig } from './rig/rig.ts'

const ROUTER = '198.51.100.7'
const TEXT = Uint8Array.from({ length: 2000 }, (_, i) => i * 7)

/** A UDP datagram of the guest with `len` octets of text, gone. */
function lost(rig: Rig, len: number): LostPacket {
  const packet = new LostPacket()
  packet.protocol = ipv4.UDP
  packet.at = rig.memory.bytes.length - 4096
  packet.len = len
  rig.memory.bytes.set(TEXT.subarray(0, len), packet.at)
  key4(packet.key, GUEST, 5000, HOST, 33_434)
  packet.first = packet.key[8]!
  packet.second = (8 + len) << 16
  return packet
}

function verdict(reason: Reason, source = '', mtu = 0): Verdict {
  const made = new Verdict()
  made.reason = reason
  made.mtu = mtu
  if (source !== '') address.parse(source, made.source)
  return made
}

test.each<[Reason, string]>([
  ['net-unreachable', '3/0'],
  ['host-unreachable', '3/1'],
  ['protocol-unreachable', '3/2'],
  ['port-unreachable', '3/3'],
  ['packet-too-big', '3/4'],
  ['prohibited', '3/13'],
  ['hop-limit', '11/0'],
  ['reassembly-time', '11/1'],
])('%s is ICMP %s, from whom it was that said so (RFC 792, RFC 1812)', (reason, code) => {
  const rig = new Rig()
  rig.receive(arpPacket({ tpa: HOST }))
  const packet = lost(rig, 30)
  const neighbour = rig.stack.neighbours.find(packet.key)
  rig.stack.flowErrors.about(packet, neighbour, verdict(reason, ROUTER), rig.clock.now)
  rig.stack.flowErrors.about(packet, neighbour, reason, rig.clock.now)
  const about = `ICMP ${code} about 10.0.2.100 > 192.0.2.7 protocol 17, 58 quoted`
  expect(rig.lines()).toEqual([
    `${ROUTER} > 10.0.2.100: ${about}`,
    `10.0.2.2 > 10.0.2.100: ${about}`,
  ])
})

test('the datagram is quoted with its ports, its length and its text', () => {
  const rig = new Rig()
  rig.receive(arpPacket({ tpa: HOST }))
  const packet = lost(rig, 30)
  const neighbour = rig.stack.neighbours.find(packet.key)
  rig.stack.flowErrors.about(packet, neighbour, verdict('packet-too-big', '', 1400), 0)
  const [frame] = rig.frames
  const v = viewOf(frame!)
  const quote = TRANSPORT + icmp.HEADER_LEN
  expect(icmp.rest(v, TRANSPORT)).toBe(1400) // RFC 1191 §4
  expect(ipv4.src(v, IP)).toBe(GATEWAY)
  expect([ipv4.totalLen(v, quote), v.getUint16(quote + 20), v.getUint16(quote + 22)]).toEqual([
    58, 5000, 33_434,
  ])
  expect([...frame!.subarray(quote + 28)]).toEqual([...TEXT.subarray(0, 30)])
})

test('of a long one no more than 576 octets make (RFC 1812 §4.3.2.3)', () => {
  const rig = new Rig()
  rig.receive(arpPacket({ tpa: HOST }))
  const packet = lost(rig, 2000)
  rig.stack.flowErrors.about(packet, rig.stack.neighbours.find(packet.key), 'prohibited', 0)
  const [frame] = rig.frames
  expect(frame!.length - IP).toBe(576)
  expect(ipv4.totalLen(viewOf(frame!), TRANSPORT + icmp.HEADER_LEN)).toBe(2028)
})

test('the TTL of what was dropped for its TTL is quoted as the router saw it', () => {
  const rig = new Rig()
  rig.receive(arpPacket({ tpa: HOST }))
  const packet = lost(rig, 1)
  const neighbour = rig.stack.neighbours.find(packet.key)
  rig.stack.flowErrors.about(packet, neighbour, verdict('hop-limit', ROUTER), 0)
  expect(ipv4.ttl(viewOf(rig.frames[0]!), TRANSPORT + icmp.HEADER_LEN)).toBe(1)
})

test.each<[Reason, number, number, number]>([
  ['port-unreachable', 1, 4, 0],
  ['prohibited', 1, 1, 0],
  ['packet-too-big', 2, 0, 1280],
  ['hop-limit', 3, 0, 0],
  ['protocol-unreachable', 4, 1, 6],
])('over IPv6 %s is type %i, code %i (RFC 4443)', (reason, type, code, word) => {
  const rig = new Rig()
  const packet = lost(rig, 2000)
  const key = new Int32Array(4)
  for (const [index, text] of ['fd00::64', '2001:db8::7'].entries()) {
    address.parse(text, key)
    packet.key.set(key, 4 * index)
  }
  const errors = new FlowErrors(rig.memory, rig.stack.transmitter, GATEWAY, new Int32Array(4))
  const neighbour = rig.stack.neighbours.find(packet.key)
  neighbour.isKnown = true
  errors.about(packet, neighbour, verdict(reason, '2001:db8::1', 1280), 0)
  const [frame] = rig.frames
  const v = viewOf(frame!)
  const message = IP + ipv6.HEADER_LEN
  const quote = message + icmpv6.HEADER_LEN
  expect([v.getUint8(message), v.getUint8(message + 1), v.getUint32(message + 4)]).toEqual([
    type,
    code,
    word,
  ])
  expect(frame!.length - IP).toBe(ipv6.MIN_MTU) // RFC 4443 §2.4 (c)
  expect([ipv6.payloadLen(v, quote), ipv6.nextHeader(v, quote)]).toEqual([2008, ipv4.UDP])
  expect([v.getUint16(quote + 40), v.getUint16(quote + 42)]).toEqual([5000, 33_434])
  expect(frame!.subarray(IP + 8, IP + 24)).toEqual(octetsOf('2001:db8::1'))
  const pseudo = checksum.pseudo6(frame!, v, IP + 8, IP + 24, ipv6.ICMPV6, frame!.length - message)
  const sum = checksum.sum(frame!, v, message, frame!.length, checksum.fold(pseudo))
  expect(checksum.finish(sum)).toBe(0)
})

function octetsOf(text: string): Uint8Array {
  const words = new Int32Array(4)
  address.parse(text, words)
  const bytes = new Uint8Array(16)
  words.forEach((word, i) => void new DataView(bytes.buffer).setInt32(4 * i, word))
  return bytes
}
