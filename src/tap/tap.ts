/**
 * The TAP as a link. Frames in, several with one system call where io_uring is there; frames out, one each. Nothing is
 * allocated.
 *
 * With a vnet header (virtio.ts) a frame has up to 64 KiB of text, to the guest 256 KiB, and its transport checksum is not
 * computed by anyone: the kernel cuts and sums only what leaves the machine. Without it, segment.ts
 * does both in software; the stack above does not notice.
 *
 * What the device says, and what it means (KERNEL.md calls these tried):
 *
 *   EAGAIN         nothing there; on write: the queue is full, a drop
 *   ENOBUFS        on write: no room for a frame as long as this; it is cut here
 *   EIO on write   the interface is down: a drop, and flows stay
 *   EBADFD         the interface was deleted: the end, told to the caller
 */
import { type Arrival, type Departure, GSO_UDP_L4, type Link } from '../stack/link.ts'
import { HEADERS_LEN, Segmenter } from '../stack/segment.ts'
import * as ethernet from '../stack/wire/ethernet.ts'
import * as ipv4 from '../stack/wire/ipv4.ts'
import type { Arena } from '../sys/arena.ts'
import { EAGAIN, EBADF, EBADFD, EIO, EMSGSIZE, ENOBUFS, ENODEV, ENOMEM } from '../sys/constants.ts'
import { close, prefixedWritev, read } from '../sys/io.ts'
import { MOST_READS, type ReadRing } from '../sys/read-ring.ts'
import { type AttachedTap, detach, type Offload } from './attach.ts'
import * as virtio from './virtio.ts'

/**
 * Room for one frame: at MTU 65520 it has 65,544 octets with its headers. A cache line more than pages, lest the headers
 * of all frames share a few lines of the processor's cache.
 */
export const SLOT_LEN: number = 68 * 1024 + 64
/** The most frames that stay where they were read. */
const SLOTS = MOST_READS
/** Ours: where they are long, no more of them stay than a processor's cache holds. */
const KEPT_LEN = 512 * 1024

/** Ours: the longest IPv4 packet of TCP's where BIG TCP is known. In its frame it fits a capture (libpcap's MAXIMUM_SNAPLEN). */
const GSO_IPV4_MAX_SIZE = 256 * 1024 - ethernet.HEADER_LEN
/** struct tun_pi, before all else when the TAP was made without IFF_NO_PI. */
const PACKET_INFORMATION_LEN = 4

/** Memory is there, but not so much at once. */
const NO_ROOM: ReadonlySet<number> = new Set([EMSGSIZE, ENOBUFS, ENOMEM])

/** What went through, and what did not and why. */
export class TapCounters {
  received = 0
  receivedOctets = 0
  sent = 0
  sentOctets = 0
  /** Frames to the guest that were lost because the interface is down. */
  droppedDown = 0
  /** … because the kernel had no room. */
  droppedFull = 0
  /** … because the kernel refused the frame. */
  droppedRefused = 0
  /** Frames from the guest without a frame in them. */
  droppedShort = 0
}

export class Tap implements Link {
  readonly fd: number
  readonly name: string
  readonly mtu: number
  /** What the device does itself. The stack may leave all of it to the link in any case. */
  readonly offload: Offload
  /** The longest IPv4 packet of TCP's that may be left to it, in octets. */
  readonly gsoIpv4MaxSize: number
  readonly counters: TapCounters = new TapCounters()
  readonly #attached: AttachedTap
  readonly #arena: Arena
  /** What stands before a frame: packet information and vnet header, either may be missing. */
  readonly #prefixLen: number
  readonly #vnet: number
  /** Reads several frames at a time, where there is one; closed with the device. */
  ring: ReadRing | undefined
  /** Where the slots are, and what was read into each: its length or -errno. */
  readonly #slots: number
  readonly #results = new Int32Array(SLOTS)
  /** How many slots may be used before they are used anew. */
  #room = SLOTS
  /** Into how many was read. */
  #filled = 0
  /** Of how many `receive` has told. */
  #told = 0
  /** Up to which there are frames: what was read behind them brought nothing. */
  #used = 0
  /** Of the frames that stay, with what stands before it, in octets. */
  #longest = 1
  readonly #out: number
  /** For what the device does not do itself. */
  readonly #segmenter: Segmenter
  readonly #write = (frame: Departure): number => this.#emit(frame)

  constructor(attached: AttachedTap, arena: Arena, mtu: number) {
    this.fd = attached.fd
    this.name = attached.name
    this.mtu = mtu
    this.offload = attached.offload
    this.gsoIpv4MaxSize = this.offload.bigTcp ? GSO_IPV4_MAX_SIZE : ipv4.MAX_LEN
    this.#attached = attached
    this.#arena = arena
    this.#vnet = attached.packetInformation ? PACKET_INFORMATION_LEN : 0
    this.#prefixLen = this.#vnet + attached.headerLen
    this.#out = arena.reserve(this.#prefixLen)
    // Such that the IP header lies at a multiple of four: it follows the Ethernet header's 14.
    const shift = (4 - ((this.#prefixLen + 14) % 4)) % 4
    this.#segmenter = new Segmenter(arena, arena.reserve(HEADERS_LEN))
    this.#slots = arena.reserve(SLOTS * SLOT_LEN + shift) + shift
  }

  /**
   * The next frame. Returns its length with `arrival` filled, 0 when there is none, or -errno when
   * there will never be one again. Its octets are good until `reuse`, or until the next call when `isFull`.
   * `expected`: so many may be there, and are read with one system call where that can be done.
   *
   * A frame with NEEDS_CSUM holds only the pseudo-header's sum in its checksum field.
   */
  receive(arrival: Arrival, expected = 1): number {
    if (this.isFull) this.reuse()
    const prefixLen = this.#prefixLen
    for (;;) {
      if (this.#told === this.#filled) {
        if (this.#filled === this.#room) return 0
        this.#read(expected)
      }
      const slot = this.#slots + this.#told * SLOT_LEN
      let n = this.#results[this.#told++]!
      // A ring may fail by itself, for want of memory: the last word has read(2).
      if (n < 0 && !this.#isNothing(n)) n = read(this.fd, this.#arena, slot, SLOT_LEN)
      if (n > prefixLen) {
        arrival.at = slot + prefixLen
        arrival.end = slot + n
        arrival.udpSegment = this.offload.uso
          ? virtio.udpSegment(this.#arena.view, slot + this.#vnet)
          : 0
        arrival.checksummed = this.offload.csum && this.#isChecksummed(arrival, slot)
        this.#used = this.#told
        this.#longest = Math.max(this.#longest, n)
        this.counters.received++
        this.counters.receivedOctets += n - prefixLen
        return n - prefixLen
      }
      if (n > 0) this.counters.droppedShort++
      else if (!this.#isNothing(n)) return n === 0 ? -EBADFD : n
      else if (this.#told === this.#filled) {
        // Nothing that came while these were read stands behind it.
        this.#filled = this.#told = this.#used
        return 0
      }
    }
  }

  /** Does a read that gave no octets mean no more than that? A socket's end is for epoll to tell. */
  #isNothing(n: number): boolean {
    return n === -EAGAIN || n === -EIO || (n === 0 && this.#attached.isSocket === true)
  }

  /** Was told of all that there is room for? */
  get isFull(): boolean {
    return this.#told === this.#filled && this.#filled === this.#room
  }

  /** Nobody needs the octets of frames that came. */
  reuse(): void {
    this.#room = Math.min(SLOTS, Math.ceil(KEPT_LEN / this.#longest))
    this.#longest = 1
    this.#filled = this.#told = this.#used = 0
  }

  /**
   * Writes one frame. Returns its length, 0 when it was dropped (and counted), or -errno when the
   * device is gone. The frame's octets may be used again at once.
   */
  transmit(departure: Departure): number {
    const { csum, uso } = this.offload
    const isForDevice = csum && (uso || departure.gsoType !== GSO_UDP_L4)
    return isForDevice ? this.#emit(departure) : this.#segmenter.emit(departure, this.#write)
  }

  /** Leaves the device as one expects to find it, and closes it. */
  close(): void {
    detach(this.#attached)
    this.ring?.close()
    this.ring = undefined
    close(this.fd)
  }

  /** Reads what is there, into one slot at least. */
  #read(expected: number): void {
    const { fd, ring } = this
    const first = this.#filled
    const results = this.#results
    const at = this.#slots + first * SLOT_LEN
    const count = Math.min(expected, this.#room - first)
    if (ring !== undefined && count > 1) {
      if (ring.read(fd, this.#arena, at, SLOT_LEN, count, results, first) === 0) {
        this.#filled += count
        return
      }
      // It will not do better another time.
      ring.close()
      this.ring = undefined
    }
    results[first] = read(fd, this.#arena, at, SLOT_LEN)
    this.#filled++
  }

  /** Does the device vouch for the transport checksum? What it left to do further in is done. */
  #isChecksummed({ at, end }: Arrival, slot: number): boolean {
    const { bytes, view } = this.#arena
    const header = slot + this.#vnet
    if (!virtio.isChecksummed(view, header)) return false
    return !virtio.finishInner(bytes, view, header, at, end)
  }

  #emit(frame: Departure): number {
    const { slices } = frame
    if (this.#prefixLen > this.#vnet) virtio.emit(this.#arena.view, this.#out + this.#vnet, frame)
    const n = prefixedWritev(this.fd, this.#arena, this.#out, this.#prefixLen, slices)
    if (n < 0) {
      const isTooLong = slices.total > SLOT_LEN && NO_ROOM.has(-n)
      return isTooLong ? this.#segmenter.emit(frame, this.#write) : this.#lost(n)
    }
    this.counters.sent++
    this.counters.sentOctets += slices.total
    return slices.total
  }

  #lost(error: number): number {
    switch (-error) {
      case EBADFD:
      case EBADF:
      case ENODEV:
        return error
      case EIO:
        this.counters.droppedDown++
        return 0
      case EAGAIN:
        this.counters.droppedFull++
        return 0
      default:
        this.counters.droppedRefused++
        return 0
    }
  }
}
