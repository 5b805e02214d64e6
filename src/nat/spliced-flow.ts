/**
 * A TCP flow past the TAP: a client of a published port joined to a socket that stands in the guest's namespace, and
 * connects to its loopback. The kernel carries the octets (splice(2)); the guest's server sees 127.0.0.1.
 *
 * Theory of Operation
 *
 *  Flows. Two sockets, and for each direction a pipe, which is borrowed as long as it is needed.
 *
 *  Setup. The kernel has accepted the client; the guest is dialled. When nothing listens at its loopback, the client is
 *  given back: it goes by the TAP, where something may listen at the guest's address.
 *
 *  Data and back-pressure. What is readable is moved to the pipe, what is in the pipe to the other socket. A pipe that
 *  is full is not filled any further, so the kernel closes the sender's window.
 *
 *  Close.
 *
 *  one side                            other side
 *  FIN, after the last octet       →   shutdown(WR)      half-closed: the other way stays open
 *  RST, or an error                →   RST
 *
 *  Limits. There are as many as there are sockets in the namespace (guest-sockets.ts); more clients go by the TAP.
 */
import {
  EAGAIN,
  EINPROGRESS,
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
} from '../sys/constants.ts'
import * as io from '../sys/io.ts'
import * as socket from '../sys/socket.ts'
import { type Pipe, splice } from '../sys/splice.ts'
import type { FlowEnd, FlowEntry } from './flow-journal.ts'
import type { Host, Orphan } from './host.ts'
import { keepAliveSocket } from './keep-alive.ts'
import { PIPE_LEN, type Splicing } from './pipes.ts'
import type { Handler } from './reactor.ts'

const EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET
/** Fairness: octets in one direction before another flow has its turn. */
const BUDGET = 4 * PIPE_LEN

export class SplicedFlow implements Orphan {
  readonly #host: Host
  readonly #splicing: Splicing
  readonly #client: End
  readonly #guest: End
  readonly #toGuest: Lane
  readonly #fromGuest: Lane
  /** While the guest is dialled: what becomes of the client when it cannot be. */
  #giveBack: (() => void) | undefined
  readonly #open: () => FlowEntry
  #entry: FlowEntry | undefined

  /**
   * Joins the client's socket to `to`, an address of the guest's loopback. `open` is called when the guest has answered,
   * `giveBack` when it has not: the client's socket is the caller's again. False, and nothing was done, when there is no
   * socket for it.
   */
  static begin(
    host: Host,
    splicing: Splicing,
    client: number,
    to: socket.Endpoint,
    open: () => FlowEntry,
    giveBack: () => void,
  ): boolean {
    const inside = splicing.sockets.take(to)
    if (inside < 0) return false
    const flow = new SplicedFlow(host, splicing, client, inside, open, giveBack)
    const result = socket.connect(inside, to)
    const isOnItsWay = result >= 0 || result === -EINPROGRESS
    if (isOnItsWay && host.reactor.add(inside, EVENTS, flow.#guest) >= 0) {
      host.orphans.add(flow)
      return true
    }
    splicing.sockets.giveBroken(inside)
    return false
  }

  private constructor(
    host: Host,
    splicing: Splicing,
    client: number,
    inside: number,
    open: () => FlowEntry,
    giveBack: () => void,
  ) {
    this.#host = host
    this.#splicing = splicing
    this.#client = new End(this, client)
    this.#guest = new End(this, inside)
    this.#toGuest = new Lane(this.#client, this.#guest)
    this.#fromGuest = new Lane(this.#guest, this.#client)
    this.#open = open
    this.#giveBack = giveBack
  }

  /** One of the two sockets has something to tell, or goes on. */
  ready(end: End, events: number): void {
    if (this.#giveBack !== undefined) return this.#dialed(events)
    end.hear(events)
    // Where nothing is read or written any more, no call would tell of it.
    if (events & EPOLLERR && socket.getError(end.fd) < 0) return this.#break(end)
    const broken = this.#carry(this.#toGuest) ?? this.#carry(this.#fromGuest)
    if (broken !== undefined) return this.#break(broken)
    if (this.#toGuest.isShut && this.#fromGuest.isShut) this.#end('finished')
  }

  #dialed(events: number): void {
    if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) return
    const giveBack = this.#giveBack!
    const { counters, options, orphans, reactor } = this.#host
    if (socket.getError(this.#guest.fd) < 0) {
      orphans.delete(this)
      this.#letGuestGo(false)
      return giveBack()
    }
    this.#giveBack = undefined
    this.#entry = this.#open()
    counters.tcpOpened++
    this.#guest.hear(events)
    keepAliveSocket(this.#client.fd, options.keepAlive)
    if (reactor.add(this.#client.fd, EVENTS, this.#client) < 0) this.#break(this.#client)
  }

  /** Moves what can be moved in one direction. Answers which of its sockets is broken, if one is. */
  #carry(lane: Lane): End | undefined {
    for (let budget = BUDGET; !lane.isShut; ) {
      const filled = this.#fill(lane)
      if (filled < 0) return lane.from
      const emptied = this.#empty(lane)
      if (emptied < 0) return lane.to
      if (lane.isEnded && lane.held === 0) {
        lane.isShut = true
        socket.shutdownWrite(lane.to.fd)
      } else if (filled + emptied === 0) break
      budget -= emptied
      if (budget <= 0) {
        this.#host.reactor.again(lane.from)
        break
      }
    }
    if (lane.held === 0) this.#putBack(lane)
    return undefined
  }

  /** From its socket to the pipe: how many octets, or -errno when the socket is broken. */
  #fill(lane: Lane): number {
    const { from, held } = lane
    if (lane.isEnded || !from.isReadable || held === PIPE_LEN) return 0
    lane.pipe ??= this.#splicing.pipes.take()
    if (lane.pipe === undefined) {
      this.#host.counters.resources++
      this.#host.reactor.later(from, PIPE_RETRY)
      return 0
    }
    const n = splice(from.fd, lane.pipe.writeEnd, PIPE_LEN - held)
    if (n === 0) lane.isEnded = true
    if (n > 0) lane.held += n
    if (n !== -EAGAIN) return n
    // With something in it, the pipe may have been what had no room: it has places for pages, not octets.
    if (held === 0) from.isReadable = false
    return 0
  }

  /** From the pipe to the other socket, likewise. */
  #empty(lane: Lane): number {
    const { held, pipe, to } = lane
    if (held === 0 || !to.isWritable) return 0
    const n = splice(pipe!.readEnd, to.fd, held)
    if (n === -EAGAIN) {
      to.isWritable = false
      return 0
    }
    if (n > 0) {
      lane.held -= n
      this.#host.reactor.carried(n)
      if (lane === this.#toGuest) this.#entry!.toGuest += n
      else this.#entry!.fromGuest += n
    }
    return n
  }

  #putBack(lane: Lane): void {
    if (lane.pipe !== undefined) this.#splicing.pipes.give(lane.pipe, lane.held === 0)
    lane.pipe = undefined
  }

  #break(end: End): void {
    this.#end(end === this.#guest ? 'guest-reset' : 'host-reset')
  }

  #end(end: FlowEnd): void {
    const { counters, journal, orphans, reactor } = this.#host
    orphans.delete(this)
    this.#putBack(this.#toGuest)
    this.#putBack(this.#fromGuest)
    const { fd } = this.#client
    if (end !== 'finished') socket.linger0(fd)
    reactor.remove(this.#client)
    io.close(fd)
    this.#letGuestGo(end === 'finished')
    if (this.#entry === undefined) return
    counters.tcpClosed++
    journal.close(this.#entry, end, reactor.now)
  }

  #letGuestGo(isFinished: boolean): void {
    const { fd } = this.#guest
    this.#host.reactor.release(fd, this.#guest)
    if (isFinished) this.#splicing.sockets.give(fd)
    else this.#splicing.sockets.giveBroken(fd)
  }

  /** The network is closed. */
  destroy(): void {
    this.#end('closed')
  }
}

/** Ours, in ms. */
const PIPE_RETRY = 20

/** One of the two sockets. */
class End implements Handler {
  token = -1
  isPending = false
  readonly fd: number
  /** Nothing said EAGAIN since the last event. */
  isReadable = false
  isWritable = false
  readonly #flow: SplicedFlow

  constructor(flow: SplicedFlow, fd: number) {
    this.#flow = flow
    this.fd = fd
  }

  hear(events: number): void {
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) this.isReadable = true
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) this.isWritable = true
  }

  ready(events: number): void {
    this.#flow.ready(this, events)
  }
}

/** One direction. */
class Lane {
  readonly from: End
  readonly to: End
  pipe: Pipe | undefined
  /** Octets in the pipe. */
  held = 0
  /** The last octet was read from `from`. */
  isEnded = false
  /** … and has left for `to`, with a FIN behind it. */
  isShut = false

  constructor(from: End, to: End) {
    this.from = from
    this.to = to
  }
}
