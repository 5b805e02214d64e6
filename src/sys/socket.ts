/**
 * Sockets of the host. Every function returns what the call returns, n ≥ 0, or -errno; none throws
 * for what the system says and none allocates. Sockets are made not to block and to be closed at
 * exec. What to do with an address family that does not fit is the kernel's answer (-EAFNOSUPPORT).
 */
import { type Arena, addressOf } from './arena.ts'
import {
  AF_INET,
  AF_UNSPEC,
  IP_PKTINFO,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_RECVPKTINFO,
  MSG_NOSIGNAL,
  SHUT_WR,
  SO_ERROR,
  SO_LINGER,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOL_SOCKET,
  TCP_CLOSE,
  TCP_INFO,
} from './constants.ts'
import { failure, readv, unreserved } from './io.ts'
import { libc } from './libc.ts'
import { setMsghdr, setSegment, setSource } from './message.ts'
import {
  CONTROL,
  fillIovec,
  fillIovecs,
  LENGTH,
  MSGHDR,
  type Places,
  SOCKADDR,
  scratch,
  VALUE,
} from './scratch.ts'
import { type Endpoint, getSockaddr, SOCKADDR_LEN, SOCKADDR6_LEN, setSockaddr } from './sockaddr.ts'

export { type Endpoint, familyOf } from './sockaddr.ts'

const MADE = SOCK_NONBLOCK | SOCK_CLOEXEC

/** -EMFILE also when only reserved descriptors are left (io.ts). */
export function socket(family: number, type: number, protocol = 0): number {
  return unreserved(reservedSocket(family, type, protocol))
}

/** The same for what is not a flow. */
export function reservedSocket(family: number, type: number, protocol = 0): number {
  return result(libc().socket(family, type | MADE, protocol))
}

export function bind(fd: number, endpoint: Endpoint): number {
  const { view, base } = scratch()
  const len = setSockaddr(view, SOCKADDR, endpoint)
  return result(libc().bind(fd, base + SOCKADDR, len))
}

export function listen(fd: number, backlog: number): number {
  return result(libc().listen(fd, backlog))
}

/** The new socket; where its peer is goes into `peer`. -EMFILE, and the client is lost, where only reserved ones are left. */
export function accept(fd: number, peer: Endpoint): number {
  const { view, base } = scratch()
  for (;;) {
    view.setUint32(LENGTH, SOCKADDR6_LEN, true)
    const accepted = libc().accept4(fd, base + SOCKADDR, base + LENGTH, MADE)
    if (accepted >= 0) {
      getSockaddr(view, SOCKADDR, peer)
      return unreserved(accepted)
    }
    const failed = failure()
    if (failed < 0) return failed
  }
}

/** -EINPROGRESS is the ordinary answer for TCP. */
export function connect(fd: number, endpoint: Endpoint): number {
  const { view, base } = scratch()
  const len = setSockaddr(view, SOCKADDR, endpoint)
  return result(libc().connect(fd, base + SOCKADDR, len))
}

/** Ends the connection of a TCP socket, by a RST where the peer still has it; it may then `connect` anew. */
export function disconnect(fd: number): number {
  const { view, base } = scratch()
  view.setInt32(SOCKADDR, AF_UNSPEC, true)
  return result(libc().connect(fd, base + SOCKADDR, SOCKADDR_LEN))
}

/** Of a TCP socket: is nothing left of its connection here (CLOSED; another may wait in TIME-WAIT)? */
export function isClosed(fd: number): boolean {
  return (getInt(fd, IPPROTO_TCP, TCP_INFO) & 0xff) === TCP_CLOSE
}

export function send(fd: number, arena: Arena, at: number, len: number): number {
  const address = addressOf(arena, at, len)
  for (;;) {
    const n = libc().send(fd, address, len, MSG_NOSIGNAL)
    if (n >= 0) return n
    const failed = failure()
    if (failed < 0) return failed
  }
}

export function recv(fd: number, arena: Arena, at: number, len: number): number {
  const address = addressOf(arena, at, len)
  for (;;) {
    const n = libc().recv(fd, address, len, 0)
    if (n >= 0) return n
    const failed = failure()
    if (failed < 0) return failed
  }
}

/** As `send`, from several places. */
export function sendv(fd: number, arena: Arena, slices: Places): number {
  if (slices.count === 1) return send(fd, arena, slices.at[0]!, slices.len[0]!)
  const { view, base } = scratch()
  setMsghdr(view, MSGHDR, 0, 0, fillIovecs(arena, slices), slices.count, 0, 0)
  for (;;) {
    const n = libc().sendmsg(fd, base + MSGHDR, MSG_NOSIGNAL)
    if (n >= 0) return n
    const failed = failure()
    if (failed < 0) return failed
  }
}

/** As `recv`, into several places. */
export function recvv(fd: number, arena: Arena, slices: Places): number {
  return readv(fd, arena, slices)
}

/**
 * Sends the octets of all places to `to` as datagrams of `segment` octets each, of which the last may be shorter
 * (UDP_SEGMENT, udp(7)); at most 64 of them and an IP packet's worth.
 */
export function sendSegments(
  fd: number,
  arena: Arena,
  slices: Places,
  segment: number,
  to: Endpoint,
): number {
  const { view, base } = scratch()
  const iovecs = fillIovecs(arena, slices)
  const nameLen = setSockaddr(view, SOCKADDR, to)
  const segmentLen = setSegment(view, CONTROL, segment)
  const controlLen = segmentLen + setSourceOf(view, CONTROL + segmentLen, to)
  const [name, control] = [base + SOCKADDR, base + CONTROL]
  setMsghdr(view, MSGHDR, name, nameLen, iovecs, slices.count, control, controlLen)
  for (;;) {
    const n = libc().sendmsg(fd, base + MSGHDR, MSG_NOSIGNAL)
    if (n >= 0) return n
    const failed = failure()
    if (failed < 0) return failed
  }
}

/** Where the peer is to be answered from a certain address, says so; the room that takes. */
function setSourceOf(view: DataView, at: number, { from, scope = 0 }: Endpoint): number {
  return from === undefined ? 0 : setSource(view, at, from, scope)
}

/** Tells of each datagram that comes to this socket to which of our addresses it was sent (`Endpoint.from`). */
export function tellWhereTo(fd: number, family: number): number {
  return family === AF_INET
    ? setInt(fd, IPPROTO_IP, IP_PKTINFO, 1)
    : setInt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
}

function sendToFrom(fd: number, arena: Arena, at: number, len: number, to: Endpoint): number {
  const { view, base } = scratch()
  const iovec = fillIovec(arena, at, len)
  const nameLen = setSockaddr(view, SOCKADDR, to)
  const controlLen = setSourceOf(view, CONTROL, to)
  setMsghdr(view, MSGHDR, base + SOCKADDR, nameLen, iovec, 1, base + CONTROL, controlLen)
  for (;;) {
    const n = libc().sendmsg(fd, base + MSGHDR, MSG_NOSIGNAL)
    if (n >= 0) return n
    const failed = failure()
    if (failed < 0) return failed
  }
}

export function sendTo(fd: number, arena: Arena, at: number, len: number, to: Endpoint): number {
  if (to.from !== undefined) return sendToFrom(fd, arena, at, len, to)
  const { view, base } = scratch()
  const address = addressOf(arena, at, len)
  const addressLen = setSockaddr(view, SOCKADDR, to)
  for (;;) {
    const n = libc().sendto(fd, address, len, MSG_NOSIGNAL, base + SOCKADDR, addressLen)
    if (n >= 0) return n
    const failed = failure()
    if (failed < 0) return failed
  }
}

export function recvFrom(
  fd: number,
  arena: Arena,
  at: number,
  len: number,
  from: Endpoint,
): number {
  const { view, base } = scratch()
  const address = addressOf(arena, at, len)
  for (;;) {
    view.setUint32(LENGTH, SOCKADDR6_LEN, true)
    const n = libc().recvfrom(fd, address, len, 0, base + SOCKADDR, base + LENGTH)
    if (n >= 0) {
      getSockaddr(view, SOCKADDR, from)
      return n
    }
    const failed = failure()
    if (failed < 0) return failed
  }
}

export function shutdownWrite(fd: number): number {
  return result(libc().shutdown(fd, SHUT_WR))
}

export function shutdown(fd: number, how: number): number {
  return result(libc().shutdown(fd, how))
}

/** The error that waits at the socket, as -errno, and 0 when there is none; it is taken away. */
export function getError(fd: number): number {
  const error = getInt(fd, SOL_SOCKET, SO_ERROR)
  return error > 0 ? -error : error
}

export function setInt(fd: number, level: number, option: number, value: number): number {
  const { view, base } = scratch()
  view.setInt32(VALUE, value, true)
  return result(libc().setsockopt(fd, level, option, base + VALUE, 4))
}

/** The value, or -errno: for options whose values are not negative. */
export function getInt(fd: number, level: number, option: number): number {
  const { view, base } = scratch()
  view.setUint32(LENGTH, 4, true)
  const n = libc().getsockopt(fd, level, option, base + VALUE, base + LENGTH)
  return n < 0 ? result(n) : view.getInt32(VALUE, true)
}

/** Makes `close` send a RST (SO_LINGER of no time). */
export function linger0(fd: number): number {
  const { view, base } = scratch()
  view.setInt32(VALUE, 1, true)
  view.setInt32(VALUE + 4, 0, true)
  return result(libc().setsockopt(fd, SOL_SOCKET, SO_LINGER, base + VALUE, 8))
}

/** Where the socket is bound. */
export function localEndpoint(fd: number, out: Endpoint): number {
  const { view, base } = scratch()
  view.setUint32(LENGTH, SOCKADDR6_LEN, true)
  const n = libc().getsockname(fd, base + SOCKADDR, base + LENGTH)
  if (n >= 0) getSockaddr(view, SOCKADDR, out)
  return result(n)
}

/** Whom the socket is connected to. */
export function peerEndpoint(fd: number, out: Endpoint): number {
  const { view, base } = scratch()
  view.setUint32(LENGTH, SOCKADDR6_LEN, true)
  const n = libc().getpeername(fd, base + SOCKADDR, base + LENGTH)
  if (n >= 0) getSockaddr(view, SOCKADDR, out)
  return result(n)
}

function result(n: number): number {
  return n < 0 ? -libc().errno() : n
}
