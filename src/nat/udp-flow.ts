/**
 * UDP: one socket for each guest address and port, whatever they send to.
 *
 * Theory of Operation
 *
 *  Flows. Mapping is endpoint-independent (RFC 4787 REQ-1): the first datagram of a guest's endpoint
 *  makes the socket, all hosts see the same port. Filtering is too: whoever knows that port may
 *  answer (REQ-8). Datagrams to the DNS address have a socket of their own, since what the name
 *  server answers has to look as if it came from there.
 *
 *  Data. Nothing is kept: a datagram goes out as it came, or is lost, as datagrams are.
 *
 *  Aging. A flow that carried nothing for its time-out is closed (REQ-5: at least two minutes; DNS is
 *  over with its answer). At the limit the flow whose time-out is nearest makes room.
 */

import { KEY_WORDS } from '../stack/flow-table.ts'
import type { Reason } from '../stack/icmp-errors.ts'
import type { Neighbour } from '../stack/neighbours.ts'
import type { Datagram } from '../stack/stack.ts'
import * as icmp from '../stack/wire/icmp.ts'
import * as icmpv6 from '../stack/wire/icmpv6.ts'
import * as ipv4 from '../stack/wire/ipv4.ts'
import * as udp from '../stack/wire/udp.ts'
import { Batch } from '../sys/batch.ts'
import {
  AF_INET,
  EAGAIN,
  EPOLLERR,
  EPOLLET,
  EPOLLIN,
  IP_RECVERR,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_RECVERR,
  SOCK_DGRAM,
} from '../sys/constants.ts'
import * as io from '../sys/io.ts'
import { QueuedError, readErrorQueue } from '../sys/message.ts'
import * as socket from '../sys/socket.ts'
import { type GuestFlow, GuestFlows, type GuestKey, nameOf } from './guest-flows.ts'
import { appearAs, appearAsDns, type Host, isHostLoopback, translate } from './host.ts'
import { bindOutbound, bindTowards } from './outbound.ts'
import type { Handler } from './reactor.ts'

/** RFC 4787 REQ-5 recommends five minutes. */
const TIMEOUT = 300_000
/** Ours: longer than a resolver waits for its last try. */
const DNS_TIMEOUT = 30_000
/** Datagrams received with one system call. */
const BATCH = 32
/** Fairness: batches of one flow before another has its turn. */
const BATCHES = 4
const ROOM = 65536

export class UdpFlows {
  readonly #host: Host
  readonly #flows: GuestFlows<UdpFlow>
  readonly #to = { words: new Int32Array(4), port: 0 }
  readonly batch: Batch = new Batch(BATCH)

  constructor(host: Host, arena: { reserve(len: number): number }) {
    this.#host = host
    this.#flows = new GuestFlows(host.options.limits.datagramFlows, () => host.counters.udpClosed++)
    const at = arena.reserve(BATCH * ROOM)
    for (let i = 0; i < BATCH; i++) {
      this.batch.at[i] = at + i * ROOM
      this.batch.room[i] = ROOM
    }
  }

  /** A datagram of the guest goes to the host that it means. */
  receive(datagram: Datagram): void {
    const host = this.#host
    const where = translate(host, datagram.key, this.#to)
    if (where === 'refused' || where === 'prohibited') {
      const reason = where === 'refused' ? 'port-unreachable' : 'prohibited'
      return host.stack.refuseDatagram(datagram, reason, host.reactor.now)
    }
    const isDns = where === 'dns'
    const family = socket.familyOf(this.#to)
    let flow = this.#flows.get(nameOf(datagram.key, isDns))
    const isLocal = isDns && isHostLoopback(this.#to.words)
    if (flow !== undefined && (flow.family !== family || flow.isLocal !== isLocal)) {
      this.#flows.close(flow) // resolv.conf names a server now that this socket is not for
      flow = undefined
    }
    flow ??= this.#open(datagram, isDns, family)
    if (flow === undefined) return
    flow.neighbour = datagram.neighbour
    flow.send(datagram, this.#to)
    this.touch(flow)
  }

  #open(datagram: Datagram, isDns: boolean, family: number): UdpFlow | undefined {
    const host = this.#host
    this.#flows.makeRoom()
    const fd = socket.socket(family, SOCK_DGRAM)
    if (fd < 0) {
      host.counters.resources++
      host.stack.counters.drop.udpLimit++
      return undefined
    }
    const bound = isDns ? bindTowards(host, fd, this.#to) : bindOutbound(host, fd, this.#to)
    if (bound < 0) {
      io.close(fd)
      host.stack.refuseDatagram(datagram, 'net-unreachable', host.reactor.now)
      return undefined
    }
    if (family === AF_INET) socket.setInt(fd, IPPROTO_IP, IP_RECVERR, 1)
    else socket.setInt(fd, IPPROTO_IPV6, IPV6_RECVERR, 1)
    const flow = new UdpFlow(host, this, fd, family, datagram, isDns)
    flow.isLocal = isDns && isHostLoopback(this.#to.words)
    if (host.reactor.add(fd, EPOLLIN | EPOLLET, flow) < 0) {
      io.close(fd)
      host.stack.counters.drop.udpLimit++
      return undefined
    }
    this.#flows.add(flow)
    host.counters.udpOpened++
    return flow
  }

  /** The flow carried something. */
  touch(flow: UdpFlow): void {
    this.#flows.keep(flow, this.#host.reactor.now + (flow.isDns ? DNS_TIMEOUT : TIMEOUT))
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

export class UdpFlow implements Handler, GuestFlow {
  token = -1
  isPending = false
  deadline: number = Infinity
  heapIndex = -1
  heapKey = 0
  /** The guest's address and port; the host's side is written for each datagram that comes. */
  readonly key: Int32Array = new Int32Array(KEY_WORDS)
  readonly name: GuestKey
  readonly family: number
  readonly isDns: boolean
  /** Of DNS: the server is on the host's loopback, which is not reached from the outbound address. */
  isLocal = false
  neighbour: Neighbour
  readonly #host: Host
  readonly #flows: UdpFlows
  #fd: number

  constructor(
    host: Host,
    flows: UdpFlows,
    fd: number,
    family: number,
    datagram: Datagram,
    isDns: boolean,
  ) {
    this.#host = host
    this.#flows = flows
    this.#fd = fd
    this.family = family
    this.isDns = isDns
    this.neighbour = datagram.neighbour
    this.key.set(datagram.key)
    this.name = nameOf(datagram.key, isDns)
  }

  send(datagram: Datagram, to: socket.Endpoint): void {
    const { arena } = this.#host
    const n = socket.sendTo(this.#fd, arena, datagram.at, datagram.len, to)
    // With IP_RECVERR the error of an earlier datagram comes first, and this one was not sent.
    if (n < 0 && n !== -EAGAIN && this.#readErrors()) {
      socket.sendTo(this.#fd, arena, datagram.at, datagram.len, to)
    }
  }

  ready(events: number): void {
    if (events & EPOLLERR) this.#readErrors()
    const { batch } = this.#flows
    for (let turn = 0; turn < BATCHES; turn++) {
      const n = batch.receive(this.#fd, this.#host.arena)
      if (n < 0) {
        if (n === -EAGAIN) return
        this.#readErrors()
        continue
      }
      for (let i = 0; i < n; i++) this.#arrived(batch, i)
      this.#flows.touch(this)
      if (n < batch.most) return
    }
    this.#host.reactor.again(this)
  }

  /** A datagram from the host, to the guest. */
  #arrived(batch: Batch, i: number): void {
    const { options, stack, reactor } = this.#host
    const peer = batch.peers[i]!
    const { key } = this
    if (!this.isDns && !options.hostLoopback && isHostLoopback(peer.words)) return
    if (this.isDns) appearAsDns(options, key)
    else appearAs(options, key, peer)
    stack.transmitter.sendUdp(key, this.neighbour, batch.at[i]!, batch.len[i]!, reactor.now)
  }

  /** Takes the ICMP errors of the socket, and tells the guest. Were there any? */
  #readErrors(): boolean {
    const { arena, options, stack } = this.#host
    const { now } = this.#host.reactor
    const at = this.#flows.batch.at[0]!
    let count = 0
    for (; count < MAX_ERRORS; count++) {
      const n = readErrorQueue(this.#fd, arena, at, ROOM, queuedError)
      if (n < 0) break
      const { destination, origin, type, code } = queuedError
      const reason = reasonOf(origin, type, code)
      if (reason === undefined) continue
      if (this.isDns) appearAsDns(options, this.key)
      else appearAs(options, this.key, destination)
      const word = (udp.HEADER_LEN + n) << 16
      stack.errors.aboutFlow(this.key, this.neighbour, ipv4.UDP, word, reason, now)
    }
    // The socket's own copy of the error, which the next call would give.
    return socket.getError(this.#fd) < 0 || count > 0
  }

  release(): void {
    this.#host.reactor.remove(this)
    io.close(this.#fd)
    this.#fd = -1
  }
}

const MAX_ERRORS = 64
/** What the codes of ICMP destination unreachable say; all others: that the host is. */
const REASONS: Readonly<Record<number, Reason>> = {
  [icmp.NET_UNREACHABLE]: 'net-unreachable',
  [icmp.PROTOCOL_UNREACHABLE]: 'protocol-unreachable',
  [icmp.PORT_UNREACHABLE]: 'port-unreachable',
  [icmp.NET_PROHIBITED]: 'prohibited',
  [icmp.HOST_PROHIBITED]: 'prohibited',
  [icmp.ADMINISTRATIVELY_PROHIBITED]: 'prohibited',
}
/** The same of ICMPv6. */
const REASONS6: Readonly<Record<number, Reason>> = {
  [icmpv6.NO_ROUTE]: 'net-unreachable',
  [icmpv6.PROHIBITED]: 'prohibited',
  [icmpv6.PORT_UNREACHABLE]: 'port-unreachable',
}
/** SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6 (linux/errqueue.h). */
const ORIGIN_ICMP = 2
const ORIGIN_ICMP6 = 3

/** Why a datagram did not arrive; undefined when the error says something else. */
function reasonOf(origin: number, type: number, code: number): Reason | undefined {
  if (origin === ORIGIN_ICMP && type === icmp.UNREACHABLE)
    return REASONS[code] ?? 'host-unreachable'
  if (origin !== ORIGIN_ICMP6 || type !== icmpv6.UNREACHABLE) return undefined
  return REASONS6[code] ?? 'host-unreachable'
}
const queuedError = new QueuedError()
