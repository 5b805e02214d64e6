/**
 * A capture of the frames of a link, as pcapng with complete checksums.
 *
 * Frames are copied to a buffer, and the buffer is written out when the data plane's turn ends, or when it is full. Who
 * does not read (a pipe that is full) loses frames, which are counted, and holds up nobody. A super-frame is captured as
 * it is, as every capture on an interface with segmentation offload has it: with up to 256 KiB, and beyond 64 KiB its IPv4
 * packet's total length is 0.
 */
import type { Arrival, Departure, Memory } from '../stack/link.ts'
import * as checksum from '../stack/wire/checksum.ts'
import * as ethernet from '../stack/wire/ethernet.ts'
import * as ipv4 from '../stack/wire/ipv4.ts'
import * as ipv6 from '../stack/wire/ipv6.ts'
import * as tcp from '../stack/wire/tcp.ts'
import * as udp from '../stack/wire/udp.ts'
import * as pcapng from './pcapng.ts'

/** Writes out as many of the first `len` octets as there is room for, and returns how many; below zero: never again. */
export type WriteOut = (bytes: Uint8Array, len: number) => number

/** Ours: a turn's frames on a busy link. */
const BUFFER_LEN = 2 * 1024 * 1024

export class Capture {
  /** Frames that are in the file, or on their way to it. */
  frames = 0
  /** Frames that are not, because it could not be written. */
  dropped = 0
  readonly #memory: Memory
  readonly #snapLength: number
  readonly #write: WriteOut
  readonly #bytes = new Uint8Array(BUFFER_LEN)
  readonly #view = new DataView(this.#bytes.buffer)
  /** What is not written out yet starts the buffer, up to here. */
  #end = 0
  /** Frames that were dropped since the last one that was not. */
  #gap = 0
  readonly #start = nowUs()
  #isBroken = false

  constructor(memory: Memory, link: pcapng.CapturedInterface, snapLength: number, write: WriteOut) {
    this.#memory = memory
    this.#snapLength = snapLength
    this.#write = write
    this.#end = pcapng.emitSectionHeader(this.#view, 0, 'slipway')
    this.#end = pcapng.emitInterface(this.#view, this.#end, snapLength, link)
  }

  fromGuest(arrival: Arrival): void {
    const len = arrival.end - arrival.at
    if (!this.#hasRoom(len)) return
    const at = this.#end + pcapng.PACKET_OCTETS
    this.#bytes.set(this.#memory.bytes.subarray(arrival.at, arrival.end), at)
    if (arrival.checksummed) sumUp(this.#bytes, this.#view, at, at + len)
    this.#commit(len, pcapng.INBOUND)
  }

  toGuest({ slices, csumStart, csumOffset }: Departure): void {
    const len = slices.total
    if (!this.#hasRoom(len)) return
    const at = this.#end + pcapng.PACKET_OCTETS
    for (let i = 0, to = at; i < slices.count; i++) {
      const from = slices.at[i]!
      this.#bytes.set(this.#memory.bytes.subarray(from, from + slices.len[i]!), to)
      to += slices.len[i]!
    }
    if (csumStart > 0) {
      const sum = checksum.sum(this.#bytes, this.#view, at + csumStart, at + len)
      this.#putSum(at + csumStart + csumOffset, checksum.finish(sum), csumOffset)
    }
    this.#commit(len, pcapng.OUTBOUND)
  }

  #putSum(at: number, sum: number, offset: number): void {
    this.#view.setUint16(at, sum === 0 && offset === udp.CHECKSUM ? 0xffff : sum)
  }

  #hasRoom(len: number): boolean {
    const room = len + pcapng.PACKET_OVERHEAD
    if (this.#end + room > BUFFER_LEN) this.flush()
    if (!this.#isBroken && this.#end + room <= BUFFER_LEN) return true
    this.dropped++
    this.#gap++
    return false
  }

  #commit(len: number, direction: number): void {
    const captured = Math.min(len, this.#snapLength)
    const view = this.#view
    this.#end = pcapng.emitPacket(view, this.#end, nowUs(), captured, len, direction, this.#gap)
    this.#gap = 0
    this.frames++
  }

  /** Writes out what there is room for. */
  flush(): void {
    while (this.#end > 0 && !this.#isBroken) {
      const n = this.#write(this.#bytes, this.#end)
      if (n < 0) this.#isBroken = true
      if (n <= 0) return
      this.#bytes.copyWithin(0, n, this.#end)
      this.#end -= n
    }
  }

  /** Writes out the statistics and all that is left; what finds no room now is lost. */
  finish(): void {
    this.flush()
    if (this.#end + 256 > BUFFER_LEN) return
    const received = this.frames + this.dropped
    const view = this.#view
    this.#end = pcapng.emitStatistics(view, this.#end, this.#start, nowUs(), received, this.dropped)
    this.flush()
  }
}

const nowUs = (): number => Math.round((performance.timeOrigin + performance.now()) * 1000)

/**
 * Writes the transport checksum of a frame whose sender has left it to the link (virtio's NEEDS_CSUM): TCP or UDP, no
 * fragment, no extension headers.
 */
export function sumUp(bytes: Uint8Array, v: DataView, at: number, end: number): void {
  const ip = at + ethernet.HEADER_LEN
  const type = ethernet.type(v, at)
  let protocol: number
  let transport: number
  let pseudo: number
  if (type === ethernet.IPV4 && ipv4.check(v, ip, end)) {
    protocol = ipv4.protocol(v, ip)
    transport = ip + ipv4.headerLen(v, ip)
    end = ip + ipv4.totalLen(v, ip)
    pseudo = checksum.pseudo4(ipv4.src(v, ip), ipv4.dst(v, ip), protocol, end - transport)
  } else if (type === ethernet.IPV6 && ipv6.check(v, ip, end)) {
    protocol = ipv6.nextHeader(v, ip)
    transport = ip + ipv6.HEADER_LEN
    end = transport + ipv6.payloadLen(v, ip)
    const [src, dst] = [ip + ipv6.SRC, ip + ipv6.DST]
    pseudo = checksum.pseudo6(bytes, v, src, dst, protocol, end - transport)
  } else return
  const offset = protocol === ipv4.TCP ? tcp.CHECKSUM : udp.CHECKSUM
  if (protocol !== ipv4.TCP && protocol !== ipv4.UDP) return
  if (transport + offset + 2 > end) return
  v.setUint16(transport + offset, 0)
  const sum = checksum.finish(checksum.sum(bytes, v, transport, end, checksum.fold(pseudo)))
  v.setUint16(transport + offset, sum === 0 && protocol === ipv4.UDP ? 0xffff : sum)
}
