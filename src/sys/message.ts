/**
 * Message headers, and the queue of errors: with IP_RECVERR or IPV6_RECVERR a socket keeps each ICMP
 * error that came back, with the datagram it is about.
 *
 *   struct msghdr                                     struct cmsghdr, then the extended error
 *   0      8       16     24       32        40 48    0      8       12     16       20     21     22
 *   | name | n.len | iov  | iovlen | control | c.len  | len  | level | type | errno  | orig | type | code
 *
 * then at 24 the information (the MTU), at 28 data, at 32 the sockaddr of who sent the ICMP message.
 */
import type { Arena } from './arena.ts'
import {
  IP_PKTINFO,
  IP_RECVERR,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_UDP,
  IPV6_PKTINFO,
  IPV6_RECVERR,
  MSG_ERRQUEUE,
  UDP_GRO,
  UDP_SEGMENT,
} from './constants.ts'
import { failure } from './io.ts'
import { libc } from './libc.ts'
import {
  CONTROL,
  CONTROL_LEN,
  fillIovec,
  MSGHDR,
  SOCKADDR,
  scratch,
  setPointer,
} from './scratch.ts'
import { type Endpoint, getSockaddr, isMapped, SOCKADDR6_LEN, setMapped } from './sockaddr.ts'

/** struct cmsghdr, and the alignment of one. */
export const CMSG_LEN = 16
const CMSG_ALIGN = 8
const EXTENDED_ERROR_LEN = 16
const PKTINFO_LEN = 12
const PKTINFO6_LEN = 20

/** Writes a struct msghdr at `at`; addresses of 0 are null pointers. */
export function setMsghdr(
  view: DataView,
  at: number,
  name: number,
  nameLen: number,
  iovecs: number,
  count: number,
  control: number,
  controlLen: number,
): void {
  setPointer(view, at, name)
  view.setInt32(at + 8, nameLen, true)
  view.setInt32(at + 12, 0)
  setPointer(view, at + 16, iovecs)
  view.setInt32(at + 24, count, true)
  view.setInt32(at + 28, 0)
  setPointer(view, at + 32, control)
  view.setInt32(at + 40, controlLen, true)
  view.setInt32(at + 44, 0)
  view.setInt32(at + 48, 0)
  view.setInt32(at + 52, 0)
}

/** Writes the control message at `at` that has the kernel cut what is sent (udp(7)); returns its room. */
export function setSegment(view: DataView, at: number, segment: number): number {
  view.setInt32(at, CMSG_LEN + 2, true)
  view.setInt32(at + 4, 0)
  view.setInt32(at + 8, IPPROTO_UDP, true)
  view.setInt32(at + 12, UDP_SEGMENT, true)
  view.setUint16(at + CMSG_LEN, segment, true)
  return CMSG_LEN + CMSG_ALIGN
}

/**
 * Writes the control message at `at` that says which of our addresses to send from (ip(7), ipv6(7)); returns its room.
 *
 *   struct in_pktinfo   | interface | address | destination |        struct in6_pktinfo   | address | interface |
 */
export function setSource(view: DataView, at: number, from: Int32Array, scope: number): number {
  const info = at + CMSG_LEN
  view.setInt32(at + 4, 0)
  if (isMapped(from)) {
    view.setInt32(at, CMSG_LEN + PKTINFO_LEN, true)
    view.setInt32(at + 8, IPPROTO_IP, true)
    view.setInt32(at + 12, IP_PKTINFO, true)
    view.setInt32(info, 0)
    view.setInt32(info + 4, from[3]!)
    view.setInt32(info + 8, 0)
    return CMSG_LEN + 2 * CMSG_ALIGN
  }
  view.setInt32(at, CMSG_LEN + PKTINFO6_LEN, true)
  view.setInt32(at + 8, IPPROTO_IPV6, true)
  view.setInt32(at + 12, IPV6_PKTINFO, true)
  for (let i = 0; i < 4; i++) view.setInt32(info + 4 * i, from[i]!)
  view.setInt32(info + 16, scope, true)
  return CMSG_LEN + 3 * CMSG_ALIGN
}

/** What a datagram that came had with it. Made once and overwritten. */
export class Arrived {
  /** UDP_GRO: octets in one segment; 0 when it is a single datagram. */
  segment = 0
  /** Which of our addresses it was sent to; true when that is known, and it is one to answer from. */
  readonly to: Int32Array = new Int32Array(4)
  hasTo = false

  /** Reads the control messages in [at, end). */
  read(view: DataView, at: number, end: number): void {
    this.segment = 0
    this.hasTo = false
    while (at + CMSG_LEN <= end) {
      const len = view.getInt32(at, true)
      if (len < CMSG_LEN || at + len > end) return
      this.#take(view, at + CMSG_LEN, view.getInt32(at + 8, true), view.getInt32(at + 12, true))
      at += Math.ceil(len / CMSG_ALIGN) * CMSG_ALIGN
    }
  }

  #take(view: DataView, at: number, level: number, type: number): void {
    if (level === IPPROTO_UDP && type === UDP_GRO) this.segment = view.getInt32(at, true)
    else if (level === IPPROTO_IP && type === IP_PKTINFO) {
      setMapped(this.to, view.getInt32(at + 4))
      this.hasTo = true
    } else if (level === IPPROTO_IPV6 && type === IPV6_PKTINFO) {
      for (let i = 0; i < 4; i++) this.to[i] = view.getInt32(at + 4 * i)
      this.hasTo = view.getUint8(at) !== 0xff // a group answers nobody
    }
  }
}

/** An error taken from a socket's queue. Made once and overwritten. */
export class QueuedError {
  /** What the error means, as a number > 0: ECONNREFUSED, EHOSTUNREACH, EMSGSIZE, … */
  errno = 0
  /** SO_EE_ORIGIN_LOCAL, _ICMP or _ICMP6. */
  origin = 0
  /** The ICMP message's type and code. */
  type = 0
  code = 0
  /** For EMSGSIZE: the path's MTU. */
  info = 0
  /** The sender of the ICMP message; `::` when there is none. */
  readonly offender: Endpoint = { words: new Int32Array(4), port: 0 }
  /** Where the datagram that it is about was sent to. */
  readonly destination: Endpoint = { words: new Int32Array(4), port: 0 }
}

/**
 * Takes one error from the queue, and the start of the datagram that it is about into [at, at + len).
 * Returns how many octets of that came, or -errno: -EAGAIN when the queue is empty.
 */
export function readErrorQueue(
  fd: number,
  arena: Arena,
  at: number,
  len: number,
  error: QueuedError,
): number {
  const { view, base } = scratch()
  const iovec = fillIovec(arena, at, len)
  for (;;) {
    setMsghdr(view, MSGHDR, base + SOCKADDR, SOCKADDR6_LEN, iovec, 1, base + CONTROL, CONTROL_LEN)
    const n = libc().recvmsg(fd, base + MSGHDR, MSG_ERRQUEUE)
    if (n >= 0) {
      parse(view, error)
      return n
    }
    const failed = failure()
    if (failed < 0) return failed
  }
}

function parse(view: DataView, error: QueuedError): void {
  getSockaddr(view, SOCKADDR, error.destination)
  error.errno = 0
  const end = CONTROL + Math.min(view.getInt32(MSGHDR + 40, true), CONTROL_LEN)
  for (let at = CONTROL; at + CMSG_LEN <= end; ) {
    const len = view.getInt32(at, true)
    if (len < CMSG_LEN || at + len > end) return
    const level = view.getInt32(at + 8, true)
    const type = view.getInt32(at + 12, true)
    const isError =
      (level === IPPROTO_IP && type === IP_RECVERR) ||
      (level === IPPROTO_IPV6 && type === IPV6_RECVERR)
    if (isError && len >= CMSG_LEN + EXTENDED_ERROR_LEN + SOCKADDR6_LEN - 12) {
      parseError(view, at + CMSG_LEN, error)
      return
    }
    at += Math.ceil(len / CMSG_ALIGN) * CMSG_ALIGN
  }
}

function parseError(view: DataView, at: number, error: QueuedError): void {
  error.errno = view.getInt32(at, true)
  error.origin = view.getUint8(at + 4)
  error.type = view.getUint8(at + 5)
  error.code = view.getUint8(at + 6)
  error.info = view.getUint32(at + 8, true)
  getSockaddr(view, at + EXTENDED_ERROR_LEN, error.offender)
}
