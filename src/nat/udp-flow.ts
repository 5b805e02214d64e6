/**
 * UDP: one socket for each guest address and port, whatever they send to.
 *
 * Theory of Operation
 *
 *  Flows. Mapping is endpoint-independent (RFC 4787 REQ-1): the first datagram of a guest's endpoint
 *  makes the socket, all hosts see the same port. Filtering is what is asked for (udp-filter.ts), by
 *  default that whoever knows that port may answer (REQ-8). What goes to the DNS address is not for
 *  here but for dns-relay.ts.
 *
 *  Data. Nothing is kept: a datagram goes out as it came, with its TTL less one and its DF, or is lost, as
 *  datagrams are; what the host's network says of it is told to the guest (host-errors.ts). What comes in a burst
 *  goes in one: udp-burst.ts, udp-row.ts.
 *
 *  Aging. A flow that carried nothing for its time-out, either way, is closed (REQ-5: at least two
 *  minutes; REQ-6). One that only asked name servers is over soon: resolvers take a new port for each
 *  question. At the limit the flow whose time-out is nearest makes room.
 */

import type { LostPacket } from '../stack/flow-errors.ts'
import { KEY_WORDS } from '../stack/flow-table.ts'
import type { Neighbour } from '../stack/neighbours.ts'
import type { Datagram } from '../stack/stack.ts'
import * as ipv4 from '../stack/wire/ipv4.ts'
import * as udp from '../stack/wire/udp.ts'
import { Batch } from '../sys/batch.ts'
import {
  EAGAIN,
  EPOLLERR,
  EPOLLET,
  EPOLLIN,
  IPPROTO_UDP,
  SO_RCVBUF,
  SO_SNDBUF,
  SOCK_DGRAM,
  SOL_SOCKET,
  UDP_GRO,
} from '../sys/constants.ts'
import * as io from '../sys/io.ts'
import * as socket from '../sys/socket.ts'
import { Destinations } from './destinations.ts'
import type { FlowEnd, FlowEntry } from './flow-journal.ts'
import { type GuestFlow, GuestFlows, type GuestKey, nameOf } from './guest-flows.ts'
import { appearAs, type Host, isHostLoopback, translate } from './host.ts'
import { keepErrors, type Sender } from './host-errors.ts'
import { bindOutbound } from './outbound.ts'
import { PathOptions } from './path-options.ts'
import type { Handler } from './reactor.ts'
import { DNS_PORT } from './resolvers.ts'
import type { Outlet, Piece, UdpBurst } from './udp-burst.ts'
import { UdpFilter } from './udp-filter.ts'
import { BATCH, UdpRow } from './udp-row.ts'

/** RFC 4787 REQ-5 recommends five minutes. */
const TIMEOUT = 300_000
/** REQ-5 (a) lets well-known ports have shorter ones; who waits for an answer asks again after 5 s. */
const DNS_TIMEOUT = 10_000
/** Fairness: batches of one flow before another has its turn. */
const BATCHES = 4
const ROOM = 65536
/** Ours: rooms begin where another begins in no cache: their starts are all that small datagrams touch. */
const STRIDE: number = ROOM + 2112
/** Ours: the kernel gives what an ordinary user may have, net.core.rmem_max and wmem_max. */
const BUFFER = 4 * 1024 * 1024

export class UdpFlows {
  readonly #host: Host
  readonly #flows: GuestFlows<UdpFlow>
  readonly #to = { words: new Int32Array(4), port: 0 }
  readonly batch: Batch = new Batch(BATCH)
  readonly row: UdpRow
  readonly burst: UdpBurst

  constructor(host: Host, burst: UdpBurst) {
    const { arena } = host
    this.#host = host
    this.row = new UdpRow(host.stack)
    this.burst = burst
    const { counters, options } = host
    this.#flows = new GuestFlows(options.limits.datagramFlows, (end) => {
      counters.udpClosed++
      if (end === 'evicted') counters.udpEvicted++
    })
    const at = arena.reserve(BATCH * STRIDE)
    for (let i = 0; i < BATCH; i++) {
      this.batch.at[i] = at + i * STRIDE
      this.batch.room[i] = ROOM
    }
  }

  /** A datagram of the guest goes to the host that it means. */
  receive(datagram: Datagram): void {
    const host = this.#host
    const known = this.#flows.get(nameOf(datagram.key))
    const destinations = host.gate && (known?.destinations ?? new Destinations('udp'))
    if (destinations !== undefined && !destinations.admits(host.gate!, datagram)) {
      return void host.stack.counters.drop.egressDenied++
    }
    const where = translate(host, datagram.key, this.#to)
    if (where === 'refused' || where === 'prohibited') {
      const reason = where === 'refused' ? 'port-unreachable' : 'prohibited'
      host.stack.refuseDatagram(datagram, reason, host.reactor.now)
      if (known === undefined) destinations?.close()
      return
    }
    const flow = known ?? this.#open(datagram)
    if (flow === undefined) return destinations?.close()
    flow.destinations = destinations
    flow.neighbour = datagram.neighbour
    flow.send(datagram, this.#to)
    this.touch(flow)
  }

  #open(datagram: Datagram): UdpFlow | undefined {
    const host = this.#host
    const family = socket.familyOf(this.#to)
    this.burst.send() // of a flow that may have to go
    this.#flows.makeRoom()
    const fd = socket.socket(family, SOCK_DGRAM)
    if (fd < 0) {
      host.counters.resources++
      host.stack.counters.drop.udpLimit++
      return undefined
    }
    if (bindOutbound(host, fd, this.#to) < 0) {
      io.close(fd)
      host.stack.refuseDatagram(datagram, 'net-unreachable', host.reactor.now)
      return undefined
    }
    keepErrors(fd, family)
    setBursts(fd)
    const flow = new UdpFlow(host, this, fd, family, datagram)
    if (host.reactor.add(fd, EPOLLIN | EPOLLET, flow) < 0) {
      io.close(fd)
      host.stack.counters.drop.udpLimit++
      return undefined
    }
    this.#flows.add(flow)
    host.counters.udpOpened++
    const key = datagram.key.slice()
    flow.entry = host.journal.open('udp', 'guest', key, this.#to, host.reactor.now)
    return flow
  }

  /** The flow carried something. */
  touch(flow: UdpFlow): void {
    const timeout = flow.isDns ? DNS_TIMEOUT : TIMEOUT
    this.#flows.keep(flow, this.#host.reactor.now + timeout)
  }

  deadline(): number {
    return this.#flows.deadline()
  }

  timeout(now: number): void {
    this.#flows.timeout(now)
  }

  destroy(): void {
    this.#flows.destroy()
  }
}

/** The socket takes datagrams in a row as one, and has room for many. */
export function setBursts(fd: number): void {
  socket.setInt(fd, IPPROTO_UDP, UDP_GRO, 1)
  socket.setInt(fd, SOL_SOCKET, SO_RCVBUF, BUFFER)
  socket.setInt(fd, SOL_SOCKET, SO_SNDBUF, BUFFER)
}

export class UdpFlow implements Handler, GuestFlow, Outlet, Sender {
  token = -1
  isPending = false
  deadline: number = Infinity
  heapIndex = -1
  heapKey = 0
  /** The guest's address and port; the host's side is written for each datagram that comes. */
  readonly key: Int32Array = new Int32Array(KEY_WORDS)
  readonly name: GuestKey
  readonly family: number
  neighbour: Neighbour
  entry!: FlowEntry
  /** It has sent to nobody but name servers. */
  isDns = true
  readonly #filter: UdpFilter | undefined
  readonly #host: Host
  readonly #flows: UdpFlows
  readonly #path = new PathOptions()
  fd: number
  mostSegment: number = Infinity
  /** Where it may send to, when somebody says so. */
  destinations: Destinations | undefined

  constructor(host: Host, flows: UdpFlows, fd: number, family: number, datagram: Datagram) {
    this.#host = host
    this.#flows = flows
    this.fd = fd
    this.family = family
    this.neighbour = datagram.neighbour
    const { filtering } = host.options
    if (filtering !== 'endpoint-independent') this.#filter = new UdpFilter(filtering)
    this.key.set(datagram.key)
    this.name = nameOf(datagram.key)
  }

  send(datagram: Datagram, to: socket.Endpoint): void {
    const { burst } = this.#flows
    if (to.port !== DNS_PORT) this.isDns = false
    this.#filter?.note(to)
    if (this.#path.changes(datagram)) {
      burst.send()
      this.#path.follow(this.fd, this.family, datagram)
    }
    this.entry.fromGuest += datagram.len
    burst.add(this, datagram, to)
  }

  sendOne(piece: Piece, to: socket.Endpoint): void {
    this.#host.errors.send(this.fd, this, piece, to)
  }

  isFull(count: number): void {
    this.#host.stack.counters.drop.hostFull += count
  }

  /** RFC 768: what an ICMP error quotes. */
  describe(lost: LostPacket, at: number, len: number): boolean {
    lost.protocol = ipv4.UDP
    lost.first = lost.key[8]!
    lost.second = (udp.HEADER_LEN + len) << 16
    lost.at = at
    lost.len = len
    return true
  }

  ready(events: number): void {
    const { errors, reactor } = this.#host
    if (events & EPOLLERR) errors.tell(this.fd, this)
    const { batch, row } = this.#flows
    for (let turn = 0; turn < BATCHES; turn++) {
      const n = batch.receive(this.fd, this.#host.arena)
      if (n < 0) {
        if (n === -EAGAIN) return
        errors.tell(this.fd, this)
        continue
      }
      for (let i = 0; i < n; i++) this.#arrived(batch, i)
      row.send(reactor.now)
      this.#flows.touch(this)
      if (n < batch.most) return
    }
    reactor.again(this)
  }

  /** A datagram from the host, to the guest. */
  #arrived(batch: Batch, i: number): void {
    const { gate, options, reactor, stack } = this.#host
    const peer = batch.peers[i]!
    const { key, neighbour } = this
    const isLoopback = !options.hostLoopback && isHostLoopback(peer.words)
    if (isLoopback || this.#filter?.admits(peer) === false) {
      this.#host.stack.counters.drop.udpFiltered++
      return
    }
    appearAs(options, key, peer)
    const len = batch.len[i]!
    if (gate !== undefined) {
      this.destinations ??= new Destinations('udp')
      if (!this.destinations.admitsReply(gate, key, neighbour, len)) {
        return void stack.counters.drop.egressDenied++
      }
    }
    this.entry.toGuest += len
    this.#flows.row.add(key, neighbour, batch.at[i]!, len, batch.segment[i]!, reactor.now)
  }

  release(end: FlowEnd): void {
    const { journal, reactor } = this.#host
    this.destinations?.close()
    reactor.remove(this)
    io.close(this.fd)
    this.fd = -1
    journal.close(this.entry, end, reactor.now)
  }
}
