/**
 * UDP: one socket for each guest address and port, whatever they send to.
 *
 * Theory of Operation
 *
 *  Flows. Mapping is endpoint-independent (RFC 4787 REQ-1): the first datagram of a guest's endpoint
 *  makes the socket, all hosts see the same port. Filtering is too: whoever knows that port may
 *  answer (REQ-8). What goes to the DNS address is not for here but for dns-relay.ts.
 *
 *  Data. Nothing is kept: a datagram goes out as it came, with its TTL less one and its DF, or is lost, as
 *  datagrams are; what the host's network says of it is told to the guest (host-errors.ts).
 *
 *  Aging. A flow that carried nothing for its time-out is closed (REQ-5: at least two minutes). At
 *  the limit the flow whose time-out is nearest makes room.
 */

import type { LostPacket } from '../stack/flow-errors.ts'
import { KEY_WORDS } from '../stack/flow-table.ts'
import type { Neighbour } from '../stack/neighbours.ts'
import type { Datagram } from '../stack/stack.ts'
import * as ipv4 from '../stack/wire/ipv4.ts'
import * as udp from '../stack/wire/udp.ts'
import { Batch } from '../sys/batch.ts'
import { EAGAIN, EPOLLERR, EPOLLET, EPOLLIN, SOCK_DGRAM } from '../sys/constants.ts'
import * as io from '../sys/io.ts'
import * as socket from '../sys/socket.ts'
import type { FlowEnd, FlowEntry } from './flow-journal.ts'
import { type GuestFlow, GuestFlows, type GuestKey, nameOf } from './guest-flows.ts'
import { appearAs, type Host, isHostLoopback, translate } from './host.ts'
import { keepErrors, type Sender } from './host-errors.ts'
import { bindOutbound } from './outbound.ts'
import { PathOptions } from './path-options.ts'
import type { Handler } from './reactor.ts'

/** RFC 4787 REQ-5 recommends five minutes. */
const TIMEOUT = 300_000
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
    const flow = this.#flows.get(nameOf(datagram.key)) ?? this.#open(datagram)
    if (flow === undefined) return
    flow.neighbour = datagram.neighbour
    flow.send(datagram, this.#to)
    this.touch(flow)
  }

  #open(datagram: Datagram): UdpFlow | undefined {
    const host = this.#host
    const family = socket.familyOf(this.#to)
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
    this.#flows.keep(flow, this.#host.reactor.now + TIMEOUT)
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

export class UdpFlow implements Handler, GuestFlow, Sender {
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
  readonly #host: Host
  readonly #flows: UdpFlows
  readonly #path = new PathOptions()
  #fd: number

  constructor(host: Host, flows: UdpFlows, fd: number, family: number, datagram: Datagram) {
    this.#host = host
    this.#flows = flows
    this.#fd = fd
    this.family = family
    this.neighbour = datagram.neighbour
    this.key.set(datagram.key)
    this.name = nameOf(datagram.key)
  }

  send(datagram: Datagram, to: socket.Endpoint): void {
    this.#path.follow(this.#fd, this.family, datagram)
    this.entry.fromGuest += datagram.len
    this.#host.errors.send(this.#fd, this, datagram, to)
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
    const { errors } = this.#host
    if (events & EPOLLERR) errors.tell(this.#fd, this)
    const { batch } = this.#flows
    for (let turn = 0; turn < BATCHES; turn++) {
      const n = batch.receive(this.#fd, this.#host.arena)
      if (n < 0) {
        if (n === -EAGAIN) return
        errors.tell(this.#fd, this)
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
    if (!options.hostLoopback && isHostLoopback(peer.words)) return
    appearAs(options, key, peer)
    this.entry.toGuest += batch.len[i]!
    stack.transmitter.sendUdp(key, this.neighbour, batch.at[i]!, batch.len[i]!, reactor.now)
  }

  release(end: FlowEnd): void {
    const { journal, reactor } = this.#host
    reactor.remove(this)
    io.close(this.#fd)
    this.#fd = -1
    journal.close(this.entry, end, reactor.now)
  }
}
