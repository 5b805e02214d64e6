/** stack/segment.ts, fragmenter.ts, fragments.ts: 64 KiB cut and put together, what a link without offload costs. */

import { createCounters } from '../../src/stack/counters.ts'
import { Fragmenter } from '../../src/stack/fragmenter.ts'
import { Fragments } from '../../src/stack/fragments.ts'
import { Departure, GSO_TCPV4 } from '../../src/stack/link.ts'
import { HEADERS_LEN, Segmenter } from '../../src/stack/segment.ts'
import * as ethernet from '../../src/stack/wire/ethernet.ts'
import * as ipv4 from '../../src/stack/wire/ipv4.ts'
import * as tcp from '../../src/stack/wire/tcp.ts'
import { type Bench, call, STEP } from './bench.ts'
import { GUEST, HOST, makeMemory, TEXT } from './memory.ts'

const memory = makeMemory()
const { bytes, view } = memory
const departure = new Departure()
const segmenter = new Segmenter(memory, TEXT - 2 * HEADERS_LEN)
const fragmenter = new Fragmenter(memory, TEXT - HEADERS_LEN)
const fragments = new Fragments(createCounters().drop)
const write = (frame: Departure): number => frame.slices.total

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
  tcp.emitHeader(view, 34, 80, 40_000, 34, 1, tcp.ACK, 1000, 32)
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

/** Where copies of the fragments' IP headers are; the text is whatever follows. */
const pieces: number[] = []
fragmenter.emit(datagram(), 1500, ({ slices }) => {
  const at = pieces.length * STEP + 512
  bytes.copyWithin(at, slices.at[0]! + 14, slices.at[0]! + 34)
  pieces.push(at)
  return 0
})

function reassemble(): number {
  let end = 0
  for (const at of pieces) {
    const whole = fragments.receive(bytes, view, at, at + 1500, 0)
    if (whole !== undefined) end = whole.copyTo(memory, TEXT)
  }
  return end
}

export const benches: readonly Bench[] = [
  call('segmenter: 64 KiB in 46 segments, summed', () => segmenter.emit(superFrame(), write)),
  call('fragmenter: 64 KiB in 45 fragments', () => fragmenter.emit(datagram(), 1500, write)),
  call('fragments: 64 KiB from 45 fragments', reassemble),
]
