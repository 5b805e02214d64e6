/**
 * What passes between the stack and a link: a frame that came, a frame that goes. Both are records
 * made once and overwritten for each frame; both are **borrowed**: who is called reads them before
 * it returns and keeps nothing.
 *
 * All octets lie in one {@link Memory}, and a place in it is a number. So the stack, the rings of
 * the flows and the frames of the device can share octets without a copy, and no pointer is seen.
 */
import { Slices } from './slices.ts'

/** The one memory in which frames and rings lie. A DataView reads big-endian: network order. */
export interface Memory {
  readonly bytes: Uint8Array
  readonly view: DataView
  /** Copies `len` octets within it, however many they are. */
  copy(to: number, from: number, len: number): void
}

/** A memory that is these octets, from the start of their buffer. */
export function memoryOf(bytes: Uint8Array): Memory {
  return {
    bytes,
    view: new DataView(bytes.buffer),
    copy: (to, from, len) => void bytes.copyWithin(to, from, from + len),
  }
}

/** A frame from the guest, at [at, end): an Ethernet header first. */
export class Arrival {
  at = 0
  end = 0
  /** The link vouches for the transport checksum (virtio NEEDS_CSUM or DATA_VALID). */
  checksummed = false
  /**
   * The octets of text in each of the datagrams that the frame holds, of which the last may be shorter; 0 when it holds
   * one packet. Of TCP's super-segments nobody asks.
   */
  udpSegment = 0
  /** Another may follow at once, and the octets of this one stay until the stack's `gather` or `flush`, which has to come. */
  more = false
}

/** Kinds of segmentation offload; the values are virtio_net_hdr's `gso_type`. */
export const GSO_NONE = 0
export const GSO_TCPV4 = 1
export const GSO_TCPV6 = 4
export const GSO_UDP_L4 = 5

/** The most slices of one frame: its headers, and 256 KiB of text from 16-KiB chunks, or datagrams of one super-datagram. */
export const MAX_SLICES: number = 1 + 32

/** A frame to the guest. The first slice holds all headers and nothing else. */
export class Departure {
  readonly slices: Slices = new Slices(MAX_SLICES)
  /**
   * Where the transport header starts, in octets from the frame's start, when its checksum field
   * holds the pseudo-header's sum only and the link completes it; 0 when nothing is left to do.
   */
  csumStart = 0
  /** Where the checksum field is, in octets from `csumStart`. */
  csumOffset = 0
  gsoType: number = GSO_NONE
  /** The most octets of text in one segment, when `gsoType` is not GSO_NONE. */
  gsoSize = 0
}

/** A link as the stack sees it. */
export interface Link {
  /** Sends the frame, or drops and counts it: a link that is down or full loses frames. */
  transmit(departure: Departure): void
}
