/**
 * Looks through a configured TAP at the kernel behind it, with frames made by hand: the guest is at
 * 10.0.2.100, we are 10.0.2.2.
 */
import { Arrival, Departure, GSO_TCPV4 } from '../../src/stack/link.ts'
import type { Arena } from '../../src/sys/arena.ts'
import { EPOLLIN } from '../../src/sys/constants.ts'
import { Epoll } from '../../src/sys/epoll.ts'
import type { Tap } from '../../src/tap/tap.ts'

export interface Findings {
  /** The guest's kernel answered for its address; this is its MAC address. */
  mac?: string
  /** A SYN to a closed port whose checksum we left to the link was answered with RST. */
  synAnswered: boolean
  /** How much of a super-frame of 40,000 octets the RSTs of a closed port acknowledge. */
  superFrame: number
  stats: Record<string, number>
}

const GUEST = 0x0a000264
const US = 0x0a000202
const OUR_MAC = [0x52, 0x55, 0x0a, 0x00, 0x02, 0x02]
const TEXT = 40_000
const HEADERS_LEN = 54
const SYN = 0x02
const PSH = 0x08

export function probe(tap: Tap, arena: Arena): Findings {
  const at = arena.reserve(65536)
  const v = arena.view
  const mac = resolve(tap, arena, at)
  const findings: Findings = {
    synAnswered: false,
    superFrame: 0,
    stats: { ...tap.counters },
  }
  if (!mac) return findings
  findings.mac = Buffer.from(mac).toString('hex')

  findings.synAnswered = acknowledged(tap, v, segment(arena, at, mac, 0, SYN), 1) === 1
  findings.superFrame = acknowledged(tap, v, segment(arena, at, mac, TEXT, PSH), TEXT)
  findings.stats = { ...tap.counters }
  return findings
}

/** How much of a super-frame with `text` octets a closed port acknowledges. */
export function acknowledgedOf(tap: Tap, arena: Arena, text: number): number {
  const frame = superFrame(tap, arena, text)
  return frame === undefined ? 0 : acknowledged(tap, arena.view, frame, text)
}

/** A super-frame to a closed port of the guest, if there is one. */
export function superFrame(tap: Tap, arena: Arena, text: number): Departure | undefined {
  const at = arena.reserve(HEADERS_LEN + text)
  const mac = resolve(tap, arena, at)
  return mac && segment(arena, at, mac, text, PSH)
}

/** How far the RSTs of the closed port acknowledge; waits for `all`. */
function acknowledged(tap: Tap, v: DataView, departure: Departure, all: number): number {
  if (tap.transmit(departure) <= 0) return 0
  let most = 0
  awaitFrame(tap, ({ at }) => {
    if (v.getUint16(at + 12) === 0x0800 && isReset(v, at)) {
      most = Math.max(most, v.getInt32(at + 14 + 20 + 8) - 1000)
    }
    return most >= all
  })
  return most
}

function isReset(v: DataView, at: number): boolean {
  return v.getUint8(at + 23) === 6 && (v.getUint8(at + 14 + 20 + 13) & 0x04) !== 0
}

/** ARP: who has the guest's address? */
function resolve(tap: Tap, arena: Arena, at: number): Uint8Array | undefined {
  const v = arena.view
  arena.bytes.fill(0xff, at, at + 6)
  arena.bytes.set(OUR_MAC, at + 6)
  v.setUint16(at + 12, 0x0806)
  v.setInt32(at + 14, 0x00010800)
  v.setInt32(at + 18, 0x06040001)
  arena.bytes.set(OUR_MAC, at + 22)
  v.setInt32(at + 28, US)
  arena.bytes.fill(0, at + 32, at + 38)
  v.setInt32(at + 38, GUEST)
  const departure = new Departure()
  departure.slices.push(at, 42)
  if (tap.transmit(departure) <= 0) return undefined
  const answer = awaitFrame(tap, (f) => {
    return v.getUint16(f.at + 12) === 0x0806 && v.getUint16(f.at + 20) === 2
  })
  return answer && arena.bytes.slice(answer.at + 6, answer.at + 12)
}

/** A TCP segment to a closed port, sequence number 1000; more than 1,460 octets are a super-frame. */
function segment(arena: Arena, at: number, mac: Uint8Array, text: number, ctl: number): Departure {
  const v = arena.view
  const ip = at + 14
  const tcp = ip + 20
  arena.bytes.fill(0, at, at + HEADERS_LEN)
  arena.bytes.set(mac, at)
  arena.bytes.set(OUR_MAC, at + 6)
  v.setUint16(at + 12, 0x0800)
  v.setUint16(ip, 0x4500)
  v.setUint16(ip + 2, 40 + text > 65535 ? 0 : 40 + text)
  v.setUint16(ip + 8, 0x4006)
  v.setInt32(ip + 12, US)
  v.setInt32(ip + 16, GUEST)
  let sum = 0
  for (let i = 0; i < 20; i += 2) sum += v.getUint16(ip + i)
  v.setUint16(ip + 10, ~((sum & 0xffff) + (sum >>> 16)))
  v.setUint16(tcp, 40000)
  v.setUint16(tcp + 2, 9)
  v.setInt32(tcp + 4, 1000)
  v.setUint8(tcp + 12, 0x50)
  v.setUint8(tcp + 13, ctl)
  v.setUint16(tcp + 14, 65535)
  sum = 6 + 20 + text
  for (let i = 12; i < 20; i += 2) sum += v.getUint16(ip + i)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  v.setUint16(tcp + 16, sum)
  const departure = new Departure()
  departure.slices.push(at, HEADERS_LEN)
  departure.csumStart = 34
  departure.csumOffset = 16
  if (text > 0) {
    departure.slices.push(at + HEADERS_LEN, text)
    departure.gsoType = GSO_TCPV4
    departure.gsoSize = 1460
  }
  return departure
}

export function awaitFrame(tap: Tap, isIt: (arrival: Arrival) => boolean): Arrival | undefined {
  const epoll = new Epoll()
  const arrival = new Arrival()
  epoll.add(tap.fd, EPOLLIN, 0)
  try {
    for (const end = performance.now() + 2000; performance.now() < end; ) {
      while (tap.receive(arrival) > 0) if (isIt(arrival)) return arrival
      epoll.wait(100)
    }
    return undefined
  } finally {
    epoll.close()
  }
}
