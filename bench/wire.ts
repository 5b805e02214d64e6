/**
 * `npm run build && node scripts/run.mjs bench/wire.ts [NAME ...]`
 *
 * What the hot functions on octets cost: the best of some rounds, in ns a call. Each works on 64
 * places in turn, so that it is the code which is measured and not one line of the cache.
 */
import { cpus } from 'node:os'
import { Fragmenter } from '../src/stack/fragmenter.ts'
import { Fragments } from '../src/stack/fragments.ts'
import { Departure, GSO_TCPV4 } from '../src/stack/link.ts'
import { HEADERS_LEN, Segmenter } from '../src/stack/segment.ts'
import * as checksum from '../src/stack/wire/checksum.ts'
import * as ethernet from '../src/stack/wire/ethernet.ts'
import * as ipv4 from '../src/stack/wire/ipv4.ts'
import * as tcp from '../src/stack/wire/tcp.ts'

const ROUNDS = 25
const PLACES = 64
const STEP = 2048
const TEXT = PLACES * STEP

const bytes = new Uint8Array(TEXT + 70_000).map((_, i) => i * 167 + (i >>> 8))
const view = new DataView(bytes.buffer)
const memory = { bytes, view }
const HOST = 0x0a000202
const GUEST = 0x0a000264

/** Keeps what is computed from being left out. */
let sink = 0

/** Each calls its function once, at the place. */
const benches: Record<string, { calls: number; run: (at: number) => number }> = {
  'checksum.sum, 20 octets': {
    calls: 100_000,
    run: (at) => checksum.sum(bytes, view, at, at + 20),
  },
  'checksum.sum, 1480 octets': {
    calls: 20_000,
    run: (at) => checksum.sum(bytes, view, at, at + 1480),
  },
  'checksum.sum, 65495 octets': {
    calls: 500,
    run: (at) => checksum.sum(bytes, view, at, at + 65_495),
  },
  'ipv4.check, checksumOk': {
    calls: 100_000,
    run: (at) => Number(ipv4.check(view, at, at + 1500) && ipv4.checksumOk(bytes, view, at)),
  },
  'ipv4.emit': {
    calls: 100_000,
    run: (at) => ipv4.emit(view, at, 1500, at & 0xffff, ipv4.DF, 64, ipv4.TCP, HOST, GUEST),
  },
  'tcp.parse, timestamps': { calls: 100_000, run: (at) => parse(at + 20, 32) },
  'tcp.parse, SYN': { calls: 100_000, run: (at) => parse(at + 100, 40) },
  'tcp.parse, timestamps and 3 SACK blocks': {
    calls: 100_000,
    run: (at) => parse(at + 200, 60),
  },
  'tcp.emitHeader, emitTimestamp': {
    calls: 100_000,
    run: (at) => tcp.emitTimestamp(view, emitTcp(at + 20, tcp.ACK, 32), at, at),
  },
  'Segmenter, 64 KiB in 46 segments': {
    calls: 200,
    run: () => segmenter.emit(superFrame(), write),
  },
  'Fragmenter, 64 KiB in 45 fragments': {
    calls: 200,
    run: () => fragmenter.emit(datagram(), 1500, keep),
  },
  'Fragments, 64 KiB from 45 fragments': { calls: 200, run: reassemble },
}

const seg = new tcp.Segment()
const segmenter = new Segmenter(memory, TEXT - 2 * HEADERS_LEN)
const fragmenter = new Fragmenter(memory, TEXT - HEADERS_LEN)
const fragments = new Fragments()
const departure = new Departure()
const write = (frame: Departure): number => frame.slices.total

function parse(at: number, len: number): number {
  tcp.parse(view, at, at + len, seg)
  return seg.seq ^ seg.tsVal ^ seg.mss
}

function emitTcp(at: number, ctl: number, headerLen: number): number {
  return tcp.emitHeader(view, at, 80, 40_000, at, 1, ctl, 1000, headerLen)
}

/** A frame's headers at the first place, `headers` octets of them, and 65,400 octets of text. */
function depart(headers: number, protocol: number): void {
  ethernet.emit(view, 0, ethernet.BROADCAST, ethernet.BROADCAST, ethernet.IPV4)
  ipv4.emit(view, 14, headers - 14 + 65_400, 7, 0, 64, protocol, HOST, GUEST)
  departure.slices.clear()
  departure.slices.push(0, headers)
  for (let i = 0; i < 4; i++) departure.slices.push(TEXT + i * 16_350, 16_350)
}

function superFrame(): Departure {
  depart(66, ipv4.TCP)
  emitTcp(34, tcp.ACK, 32)
  departure.csumStart = 34
  departure.csumOffset = tcp.CHECKSUM
  departure.gsoType = GSO_TCPV4
  departure.gsoSize = 1448
  return departure
}

function datagram(): Departure {
  depart(42, ipv4.UDP)
  departure.csumStart = 0
  return departure
}

/** Copies of the fragments' headers and text lengths; the text is whatever follows. */
const pieces: number[] = []
function keep(fragment: Departure): void {
  if (pieces.length >= 45) return
  const at = pieces.length * STEP + 512
  bytes.copyWithin(at, fragment.slices.at[0]! + 14, fragment.slices.at[0]! + 34)
  pieces.push(at)
}

function reassemble(): number {
  let end = 0
  for (const at of pieces) {
    const whole = fragments.receive(bytes, view, at, at + 1500, 0)
    if (whole !== undefined) end = whole.copyTo(memory, TEXT)
  }
  return end
}

function prepare(): void {
  const blocks = Int32Array.of(1, 2, 3, 4, 5, 6)
  for (let at = 0; at < TEXT - STEP; at += STEP) {
    ipv4.emit(view, at, 1500, 7, ipv4.DF, 64, ipv4.TCP, GUEST, HOST)
    tcp.emitTimestamp(view, emitTcp(at + 20, tcp.ACK, 32), 1, 2)
    let end = tcp.emitMss(view, emitTcp(at + 100, tcp.SYN, 40), 1460)
    end = tcp.emitSackPermitted(view, end)
    end = tcp.emitTimestamp(view, end, 1, 2)
    end = tcp.emitTimestamp(view, emitTcp(at + 200, tcp.ACK, 60), 1, 2)
    tcp.emitSack(view, end, blocks, 3)
  }
  fragmenter.emit(datagram(), 1500, keep)
}

/** ns a call, the best of all rounds. */
function measure(calls: number, run: (at: number) => number): number {
  let best = Infinity
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint()
    for (let i = 0; i < calls; i++) sink ^= run((i % (PLACES - 2)) * STEP)
    best = Math.min(best, Number(process.hrtime.bigint() - start) / calls)
  }
  return best
}

prepare()
const chosen = process.argv.slice(2)
console.log(`Node ${process.version}, ${cpus()[0]?.model}; ns a call, the best of ${ROUNDS} rounds`)
for (const [name, { calls, run }] of Object.entries(benches)) {
  if (chosen.length > 0 && !chosen.some((word) => name.includes(word))) continue
  console.log(`${measure(calls, run).toFixed(1).padStart(10)}  ${name}`)
}
if (sink === 0.5) throw new Error('never')
