/**
 * What is common to cutting a frame into smaller ones, be they fragments (fragmenter.ts) or segments
 * (segment.ts): the text is shared, never copied, and checksums run over its slices. Hot when
 * the link has no segmentation offload.
 */
import type { Departure, Memory } from './link.ts'
import type { Slices } from './slices.ts'
import * as checksum from './wire/checksum.ts'
import { CHECKSUM as UDP_CHECKSUM } from './wire/udp.ts'

/** Room for the headers of a piece: Ethernet, and IP and TCP with all options, are 134 octets. */
export const HEADERS_LEN = 192

/** A place in the text of a frame: behind the headers, which lie in the first slice. */
export class TextCursor {
  #slices: Slices | undefined
  #index = 0
  #offset = 0

  /** Goes to the start of the text, behind `headers` octets of the first slice. */
  begin(slices: Slices, headers: number): void {
    this.#slices = slices
    this.#index = 0
    this.#offset = headers
  }

  /** Adds the next `len` octets to `into`; there must be as many. */
  take(len: number, into: Slices): void {
    const { at, len: lens } = this.#slices!
    while (len > 0) {
      const rest = lens[this.#index]! - this.#offset
      const n = Math.min(rest, len)
      if (n > 0) into.push(at[this.#index]! + this.#offset, n)
      len -= n
      this.#offset += n
      if (n < rest) return
      this.#index++
      this.#offset = 0
    }
  }
}

/** The sum of a frame's octets from `start` on, which lies in its first slice. */
export function sumFrom(memory: Memory, slices: Slices, start: number): number {
  const { bytes, view } = memory
  let partial = 0
  let isOdd = false
  for (let i = 0; i < slices.count; i++) {
    const skip = i === 0 ? start : 0
    const at = slices.at[i]! + skip
    const len = slices.len[i]! - skip
    const part = checksum.sum(bytes, view, at, at + len)
    partial += isOdd ? checksum.swap(part) : part
    if ((len & 1) !== 0) isOdd = !isOdd
  }
  return checksum.fold(partial)
}

/**
 * Completes the transport checksum, whose field holds the pseudo-header's sum. A UDP checksum that
 * comes out as zero is sent as ones, for zero means none (RFC 768); to TCP they are the same.
 */
export function completeChecksum(memory: Memory, departure: Departure): void {
  const { slices, csumStart, csumOffset } = departure
  const sum = checksum.finish(sumFrom(memory, slices, csumStart))
  const field = slices.at[0]! + csumStart + csumOffset
  memory.view.setUint16(field, sum === 0 && csumOffset === UDP_CHECKSUM ? 0xffff : sum)
  departure.csumStart = 0
}
