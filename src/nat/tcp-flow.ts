/**
 * A TCP flow: a connection of the guest joined to a socket of the host.
 *
 * Theory of Operation
 *
 *  Flows. One Connection, one non-blocking socket, two directions that know little of each other.
 *
 *  Setup. The host is dialled first; the guest's SYN is answered when the host has answered. For a
 *  forwarded port the host's client is accepted by the kernel, then the guest is dialled.
 *
 *  Data and back-pressure.
 *
 *  guest side (Connection)             host side (socket)
 *  text                            →   send() straight from the frames of a batch (gro.ts)
 *  the rest waits in recvQueue,    ←   the socket is full
 *    RCV.WND closes with it
 *  recvQueue empties, window opens ←   the socket is writable
 *  recv() into sendQueue           ←   readable
 *  sendQueue is full: stop reading →   the kernel's buffer fills, the host's window closes
 *
 *  Close.
 *
 *  RST to the guest                ←   ECONNREFUSED; other errors of the dial: ICMP unreachable
 *  FIN, after the last octet       →   shutdown(WR)      half-closed: the other way stays open
 *  FIN, after the last octet       ←   recv() = 0
 *  RST                             →   SO_LINGER 0, close(): RST
 *  RST                             ←   ECONNRESET, ETIMEDOUT, EPIPE …
 *  nothing, it is tried again      ←   ENOBUFS, ENOMEM
 *
 *  Aging. None: an idle flow lives as long as both its ends do, which keep-alives find out (keep-alive.ts).
 *
 *  Gate. Where there is one, it says whether the host is dialled, and may read the guest's octets before they
 *  are sent: then they all go by way of the receive queue (inspection.ts), until it has seen enough.
 *
 *  Limits. At the most connections a SYN is answered with RST; without a descriptor for the socket too. A connection whose
 *  both ends have said their last counts as long as the host has not taken all of it, which it must go on to do.
 */

import { isIpv4 } from '../stack/flow-table.ts'
import type { Slices } from '../stack/slices.ts'
import { sendLimit } from '../stack/tcp/buffers.ts'
import * as tcp from '../stack/tcp/connection.ts'
import type { SynRequest } from '../stack/tcp/syn-request.ts'
import {
  AF_INET,
  AF_INET6,
  EAGAIN,
  ECONNREFUSED,
  EINPROGRESS,
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDHUP,
  IPPROTO_TCP,
  SO_OOBINLINE,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_NODELAY,
} from '../sys/constants.ts'
import * as io from '../sys/io.ts'
import * as socket from '../sys/socket.ts'
import type { FlowEnd, FlowEntry } from './flow-journal.ts'
import type { Gate, Passage } from './gate.ts'
import { type Host, isForDns, translate } from './host.ts'
import { isShortage, keepErrors, reasonOf } from './host-errors.ts'
import { Inspection } from './inspection.ts'
import { keepAliveOf, keepAliveSocket } from './keep-alive.ts'
import { bindTowards } from './outbound.ts'
import { setHops } from './path-options.ts'
import type { Handler } from './reactor.ts'
import { dialEnd, ENDS, Patience } from './tcp-end.ts'

const EVENTS = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET

/** Fairness: octets that one flow reads from its socket before another has its turn. */
const READ_BUDGET = 512 * 1024
/** What a read asks for at first; it grows while reads fill it. */
const FIRST_READ = 16 * 1024
/** Ours: a host that has not answered the dial after this many ms is given up where there is a next one. */
const PATIENCE = 1500
/** Ours: when the pool is empty, or the kernel short of memory, it is tried again after this many ms. */
const SHORTAGE_RETRY = 5

export class TcpFlow implements Handler, tcp.ConnectionUser {
  token = -1
  isPending = false
  readonly #host: Host
  #fd: number
  /** The guest's SYN while the host is dialled. */
  #request: SynRequest | undefined
  #connection: tcp.Connection | undefined
  /** The socket may have something to read: nothing said EAGAIN since the last event. */
  #isReadable = false
  #isWritable = false
  /** recv() gave 0: the host has sent its last octet. */
  #isHostDone = false
  /** The peer's FIN, a RST or an urgent mark is in the socket: a short read is not the end of what is there. */
  #hasMore = false
  /** The guest's FIN waits for what is unread before it. */
  #isGuestDone = false
  #isShutdown = false
  /** The connection is gone, and what it left unread is still to be delivered, as long as this lasts. */
  #patience: Patience | undefined
  #readSize = FIRST_READ
  readonly #entry: FlowEntry
  /** Of DNS: name servers that were not dialled yet; or what the gate says. */
  #others: readonly socket.Endpoint[] = []
  /** When the next one is dialled, should this one be silent. */
  #impatientAt: number = Infinity
  /** While the host is dialled, the socket keeps what the network says of it. */
  #keepsErrors = false

  #passage: Passage | undefined
  /** While there is one, it knows whether the socket is writable, and `#isWritable` is false. */
  #inspection: Inspection | undefined
  /** The gate has reset it. */
  #isRevoked = false

  constructor(host: Host, fd: number, entry: FlowEntry) {
    this.#host = host
    this.#fd = fd
    this.#entry = entry
  }

  // --- setup ---

  /** The guest's SYN: dials the host that it means, as soon as it may. */
  static dial(host: Host, request: SynRequest): void {
    const { gate } = host
    if (gate === undefined) return TcpFlow.#dial(host, request, undefined)
    if (isForDns(host.options, request.key)) return gate.openDns(request)
    gate.openTcp(request, (passage) => TcpFlow.#dial(host, request, passage))
  }

  static #dial(host: Host, request: SynRequest, passage: Passage | undefined): void {
    const [first, ...others] = passage?.destinations ?? []
    if (first !== undefined) copy(first, endpoint)
    const where = first === undefined ? translate(host, request.key, endpoint) : 'direct'
    if (where === 'refused' || where === 'prohibited') {
      passage?.closed(0, 0)
      return where === 'refused' ? request.refuse() : request.fail(where, host.reactor.now)
    }
    const family = socket.familyOf(endpoint)
    const fd = socket.socket(family, SOCK_STREAM)
    if (fd < 0) {
      host.counters.resources++
      passage?.closed(0, 0)
      return request.refuse()
    }
    if (where === 'direct') {
      setHops(fd, family, request.ttl)
      keepErrors(fd, family)
    }
    const { journal, reactor } = host
    const entry = journal.open('tcp', 'guest', request.key, endpoint, reactor.now)
    const flow = new TcpFlow(host, fd, entry)
    flow.#keepsErrors = where === 'direct'
    flow.#request = request
    request.onGivenUp = (why) => flow.#release(why)
    host.counters.tcpOpened++
    flow.#others = where === 'dns' ? host.resolvers.servers().slice(1) : others
    flow.#passage = passage
    if (passage !== undefined) passage.revoke = () => flow.#revoke()
    flow.#connect(endpoint)
  }

  #connect(to: socket.Endpoint): void {
    const { reactor } = this.#host
    const bound = bindTowards(this.#host, this.#fd, to)
    if (bound < 0) return this.#dialFailed(-bound)
    const result = socket.connect(this.#fd, to)
    setOptions(this.#host, this.#fd) // while the SYN is on its way
    if (result < 0 && result !== -EINPROGRESS) return this.#dialFailed(-result)
    if (reactor.add(this.#fd, EVENTS, this) < 0) return this.#dialFailed(ECONNREFUSED)
    this.#impatientAt = reactor.now + PATIENCE
    this.#considerNext()
  }

  /** Dials the next one when it is time to. */
  #considerNext(): void {
    if (this.#others.length === 0) return
    const { reactor } = this.#host
    const rest = this.#impatientAt - reactor.now
    if (rest > 0) reactor.later(this, rest)
    else this.#dialNext()
  }

  /** The next one, in place of one that cannot be reached. False when there is none. */
  #dialNext(): boolean {
    const [next, ...others] = this.#others
    if (next === undefined) return false
    const fd = socket.socket(socket.familyOf(next), SOCK_STREAM)
    if (fd < 0) return false
    this.#host.reactor.remove(this)
    io.close(this.#fd)
    this.#fd = fd
    this.#others = others
    this.#connect(next)
    return true
  }

  /** A client of a forwarded port: dials the guest. */
  static forward(
    host: Host,
    fd: number,
    key: Int32Array,
    client: socket.Endpoint,
    open: (user: tcp.ConnectionUser) => tcp.Connection,
  ): TcpFlow {
    setOptions(host, fd)
    const entry = host.journal.open('tcp', 'host', key.slice(), client, host.reactor.now)
    const flow = new TcpFlow(host, fd, entry)
    host.counters.tcpOpened++
    flow.#connection = open(flow)
    // Registered now, so that a client that gives up is noticed; read once the guest has answered.
    if (host.reactor.add(fd, EVENTS, flow) < 0) host.stack.tcp.abort(flow.#connection, 'aborted')
    return flow
  }

  #dialFailed(errno: number): void {
    if (this.#dialNext()) return
    const request = this.#request!
    this.#request = undefined
    const { counters, errors, reactor } = this.#host
    counters.tcpDialsFailed++
    const reason = errors.judgeDial(this.#fd, request.key) ?? reasonOf(errno)
    this.#release(dialEnd(typeof reason === 'object' ? reason.reason : reason))
    if (reason === undefined) request.refuse()
    else request.fail(reason, reactor.now)
  }

  // --- events of the socket ---

  ready(events: number): void {
    if (this.#request !== undefined) return this.#dialed(events)
    if (events & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) this.#hasMore = true
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) this.#isReadable = true
    if (events & EPOLLOUT) {
      if (this.#inspection === undefined) this.#isWritable = true
      else this.#inspection.isWritable = true
    }
    if (events & EPOLLERR && this.#isOver()) return this.#hostFailed()
    this.#drain()
    this.#pump()
    if (this.#patience !== undefined) this.#waitForHost(this.#patience)
  }

  /** Will no read tell of the socket's error? */
  #isOver(): boolean {
    return this.#isHostDone || this.#connection!.state === 'SYN-SENT'
  }

  #dialed(events: number): void {
    if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) return this.#considerNext()
    // Without these there is at most a soft error, of an attempt before the one that went through.
    const error = events & (EPOLLERR | EPOLLHUP) ? socket.getError(this.#fd) : 0
    if (error < 0) return this.#dialFailed(-error)
    const request = this.#request!
    this.#request = undefined
    // From here on what the network says is a soft error (RFC 9293 §3.9.2.2): TCP tries again.
    if (this.#keepsErrors) keepErrors(this.#fd, isIpv4(request.key) ? AF_INET : AF_INET6, false)
    this.#isWritable = true
    const inspector = this.#passage?.inspector
    if (inspector !== undefined) {
      this.#inspection = new Inspection(this.#passage!, inspector, this.#host.arena)
      this.#isWritable = false
    }
    this.#isReadable = (events & EPOLLIN) !== 0
    this.#hasMore = (events & (EPOLLPRI | EPOLLRDHUP)) !== 0
    this.#connection = request.accept(this, this.#host.reactor.now)
  }

  // --- host to guest ---

  /** Reads what the send queue takes. */
  #pump(): void {
    const c = this.#connection
    if (c === undefined || this.#isHostDone || c.state === 'SYN-SENT') return
    const { slices, arena, reactor } = this.#host
    for (let budget = READ_BUDGET; this.#isReadable; ) {
      const room = Math.min(tcp.sendRoom(c), this.#readSize)
      if (room === 0) return // `writable` goes on
      if (budget <= 0) return reactor.again(this)
      slices.clear()
      tcp.reserve(c, room, slices)
      if (slices.total === 0) return reactor.later(this, SHORTAGE_RETRY)
      const asked = slices.total
      const n = socket.recvv(this.#fd, arena, slices)
      tcp.sent(c, Math.max(0, n))
      if (n > 0) {
        this.#entry.toGuest += n
        budget -= n
        if (n === asked) this.#readSize = Math.min(READ_BUDGET, 2 * this.#readSize)
        else {
          this.#readSize = Math.max(FIRST_READ, this.#readSize >> 1)
          // A short read of a stream emptied it (epoll(7)), unless its end is behind it.
          if (!this.#hasMore) this.#isReadable = false
        }
      } else if (n === 0) {
        this.#isHostDone = true
        tcp.close(c)
        return
      } else if (n === -EAGAIN) {
        this.#isReadable = false
      } else if (isShortage(-n)) {
        return reactor.later(this, SHORTAGE_RETRY)
      } else {
        return this.#hostFailed()
      }
    }
  }

  established(c: tcp.Connection): void {
    const { options, reactor } = this.#host
    tcp.setKeepAlive(c, keepAliveOf(options.keepAlive), reactor.now)
    this.#pump()
  }

  /** A quarter of the buffer at a time: one large read wakes the host's sender once. */
  writable(c: tcp.Connection): void {
    if (this.#isReadable && tcp.sendRoom(c) >= sendLimit(c) / 4) this.#host.reactor.again(this)
  }

  // --- guest to host ---

  text(_c: tcp.Connection, text: Slices): number {
    if (!this.#isWritable) {
      const inspection = this.#inspection
      return inspection ? this.#inspected(inspection, inspection.text(this.#fd, text)) : 0
    }
    const n = socket.sendv(this.#fd, this.#host.arena, text)
    if (n > 0) this.#entry.fromGuest += n
    if (n === text.total) return n
    if (n >= 0 || n === -EAGAIN) {
      this.#isWritable = false
      return Math.max(0, n)
    }
    if (isShortage(-n)) {
      this.#host.reactor.later(this, SHORTAGE_RETRY)
      return 0
    }
    this.#hostFailed()
    return 0
  }

  /** Octets that somebody read before they were sent, or -errno. */
  #inspected(inspection: Inspection, n: number): number {
    if (inspection.isDenied) this.#revoke()
    else if (isShortage(-n)) this.#host.reactor.later(this, SHORTAGE_RETRY)
    else if (n < 0) this.#hostFailed()
    else {
      this.#entry.fromGuest += n
      if (inspection.isOver) this.#endInspection(inspection)
    }
    return Math.max(0, n)
  }

  #endInspection({ isWritable }: Inspection): void {
    this.#inspection = undefined
    this.#isWritable = isWritable
  }

  readable(_c: tcp.Connection): void {
    this.#drain()
  }

  /** Writes what waits in the receive queue, then the guest's FIN. */
  #drain(): void {
    const c = this.#connection
    if (c === undefined) return
    const inspection = this.#inspection
    if (inspection !== undefined) {
      while (this.#inspected(inspection, inspection.drain(this.#fd, c, this.#isGuestDone)) > 0);
      if (this.#fd < 0) return
    }
    const { slices, arena } = this.#host
    while (this.#isWritable && c.rcvQueued > 0) {
      slices.clear()
      tcp.unread(c, slices)
      const n = socket.sendv(this.#fd, arena, slices)
      if (isShortage(-n)) return this.#host.reactor.later(this, SHORTAGE_RETRY)
      if (n < slices.total) this.#isWritable = false
      if (n > 0) {
        this.#entry.fromGuest += n
        tcp.consume(c, n)
      } else if (n !== -EAGAIN) return this.#hostFailed()
    }
    if (c.rcvQueued > 0) return
    if (this.#isGuestDone && !this.#isShutdown) {
      this.#isShutdown = true
      socket.shutdownWrite(this.#fd)
    }
    if (this.#patience !== undefined) this.#release('finished')
  }

  finArrived(_c: tcp.Connection): void {
    this.#isGuestDone = true
    this.#drain()
  }

  // --- close ---

  /** The host's socket is broken: what was in flight is lost, and the guest has to know. */
  #hostFailed(): void {
    const c = this.#connection!
    if (this.#patience !== undefined) return this.#release('host-reset')
    this.#host.stack.tcp.abort(c, 'aborted')
  }

  /** The gate says that it must not go on. */
  #revoke(): void {
    if (this.#fd < 0) return
    this.#isRevoked = true
    const request = this.#request
    this.#request = undefined
    if (request === undefined && this.#patience === undefined) {
      return this.#host.stack.tcp.abort(this.#connection!, 'aborted')
    }
    socket.linger0(this.#fd)
    this.#release('prohibited')
    request?.refuse()
  }

  /** A flow that was there before the gate. */
  readmit(gate: Gate): void {
    if (this.#passage !== undefined || this.#entry.origin === 'host') return
    if (!gate.adopt(this.#entry.key)) this.#revoke()
  }

  closed(c: tcp.Connection, reason: tcp.CloseReason): void {
    if (reason === 'finished' && c.rcvQueued > 0) {
      this.#patience = new Patience()
      this.#host.orphans.add(this)
      this.#host.stack.tcp.undelivered++
      return this.#waitForHost(this.#patience)
    }
    if (reason !== 'finished' && this.#fd >= 0) socket.linger0(this.#fd)
    this.#release(this.#isRevoked ? 'prohibited' : ENDS[reason])
  }

  /** An orphan that the host takes nothing from is given up in the end, and the host sees that octets are missing. */
  #waitForHost(patience: Patience): void {
    if (this.#fd < 0) return
    const { reactor } = this.#host
    const rest = patience.rest(this.#entry.fromGuest, reactor.now)
    if (rest > 0) return reactor.later(this, rest)
    socket.linger0(this.#fd)
    this.#release('expired')
  }

  #release(end: FlowEnd): void {
    if (this.#fd < 0) return
    if (this.#host.orphans.delete(this)) this.#host.stack.tcp.undelivered--
    if (this.#connection !== undefined) tcp.discard(this.#connection)
    this.#host.reactor.remove(this)
    io.close(this.#fd)
    this.#fd = -1
    this.#host.counters.tcpClosed++
    this.#host.journal.close(this.#entry, end, this.#host.reactor.now)
    if (this.#passage === undefined) return
    this.#passage.revoke = undefined
    this.#passage.closed(this.#entry.fromGuest, this.#entry.toGuest)
  }

  /** The network is closed: the host's side sees a RST, as of a machine that is gone. */
  destroy(): void {
    if (this.#fd >= 0) socket.linger0(this.#fd)
    this.#release('closed')
  }
}

/** Octets go on as they come, urgent ones in their place (RFC 6093 §5). */
function setOptions({ options }: Host, fd: number): void {
  socket.setInt(fd, IPPROTO_TCP, TCP_NODELAY, 1)
  socket.setInt(fd, SOL_SOCKET, SO_OOBINLINE, 1)
  keepAliveSocket(fd, options.keepAlive)
}

function copy(from: socket.Endpoint, to: socket.Endpoint): void {
  to.words.set(from.words)
  to.port = from.port
  to.scope = from.scope ?? 0
}

const endpoint = { words: new Int32Array(4), port: 0 }
