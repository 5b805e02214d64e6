/**
 * ICMP echo to the outside: one ping socket (icmp(7), SOCK_DGRAM) for each guest address and identifier.
 *
 * Theory of Operation
 *
 *  Flows. A ping socket has an identifier of its own, as a UDP socket has a port; the kernel writes it
 *  into what is sent and gives us the replies that have it. So guests may use the same identifier, and
 *  what they send to several hosts with one of them goes through one socket (RFC 5508 REQ-1, REQ-2).
 *
 *  Setup. The host's net.ipv4.ping_group_range says who may have ping sockets. Where we may not, the guest
 *  is told that it is prohibited, each time: a raw socket would need privileges that we do not want.
 *
 *  Data. Sequence number and text go through as they are. Nothing is kept.
 *
 *  Aging. A flow that carried nothing for a minute is closed (RFC 5508 REQ-2). At the limit the flow whose
 *  time-out is nearest makes room.
 */

import { isIpv4, KEY_WORDS } from '../stack/flow-table.ts'
import type { Neighbour } from '../stack/neighbours.ts'
import type { Datagram } from '../stack/stack.ts'
import * as icmp from '../stack/wire/icmp.ts'
import * as icmpv6 from '../stack/wire/icmpv6.ts'
import type { Batch } from '../sys/batch.ts'
import {
  AF_INET,
  AF_INET6,
  EACCES,
  EAGAIN,
  EPERM,
  EPOLLET,
  EPOLLIN,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  SOCK_DGRAM,
} from '../sys/constants.ts'
import * as io from '../sys/io.ts'
import * as socket from '../sys/socket.ts'
import { type GuestFlow, GuestFlows, type GuestKey, nameOf } from './guest-flows.ts'
import { appearAs, type Host, isHostLoopback, translate } from './host.ts'
import { bindOutbound } from './outbound.ts'
import type { Handler } from './reactor.ts'

/** RFC 5508 REQ-2: at least 60 s. */
const TIMEOUT = 60_000
/** Fairness: batches of one flow before another has its turn. */
const BATCHES = 4

export class EchoFlows {
  readonly batch: Batch
  readonly #host: Host
  readonly #flows: GuestFlows<EchoFlow>
  readonly #to = { words: new Int32Array(4), port: 0 }

  /** `batch` is borrowed for each receive. */
  constructor(host: Host, batch: Batch) {
    this.#host = host
    this.batch = batch
    this.#flows = new GuestFlows(host.options.limits.echoFlows, () => host.counters.echoClosed++)
  }

  /** An echo request of the guest goes to the host that it means. */
  receive(echo: Datagram): void {
    if (translate(this.#host, echo.key, this.#to) !== 'direct') return
    const flow = this.#flows.get(nameOf(echo.key)) ?? this.#open(echo)
    if (flow === undefined) return
    flow.neighbour = echo.neighbour
    flow.send(echo, this.#to)
    this.touch(flow)
  }

  #open(echo: Datagram): EchoFlow | undefined {
    const { counters, reactor, stack } = this.#host
    this.#flows.makeRoom()
    const fd = isIpv4(echo.key)
      ? socket.socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP)
      : socket.socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6)
    if (fd === -EACCES || fd === -EPERM) {
      stack.counters.drop.echoDenied++
      stack.refuseDatagram(echo, 'prohibited', reactor.now)
      return undefined
    }
    if (fd >= 0 && bindOutbound(this.#host, fd, this.#to) < 0) {
      io.close(fd)
      stack.refuseDatagram(echo, 'net-unreachable', reactor.now)
      return undefined
    }
    const flow = new EchoFlow(this.#host, this, fd, echo)
    if (fd < 0 || reactor.add(fd, EPOLLIN | EPOLLET, flow) < 0) {
      if (fd >= 0) io.close(fd)
      counters.resources++
      stack.counters.drop.echoLimit++
      return undefined
    }
    this.#flows.add(flow)
    counters.echoOpened++
    return flow
  }

  /** The flow carried something. */
  touch(flow: EchoFlow): void {
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

export class EchoFlow implements Handler, GuestFlow {
  token = -1
  isPending = false
  deadline: number = Infinity
  heapIndex = -1
  heapKey = 0
  /** The guest's address and identifier; the host's address is written for each reply. */
  readonly key: Int32Array = new Int32Array(KEY_WORDS)
  readonly name: GuestKey
  neighbour: Neighbour
  readonly #host: Host
  readonly #flows: EchoFlows
  readonly #replyType: number
  #fd: number

  constructor(host: Host, flows: EchoFlows, fd: number, echo: Datagram) {
    this.#host = host
    this.#flows = flows
    this.#fd = fd
    this.neighbour = echo.neighbour
    this.key.set(echo.key)
    this.name = nameOf(echo.key)
    this.#replyType = isIpv4(echo.key) ? icmp.ECHO_REPLY : icmpv6.ECHO_REPLY
  }

  /** The kernel writes its identifier and the checksum; what it does not take is lost. */
  send(echo: Datagram, to: socket.Endpoint): void {
    to.port = 0
    socket.sendTo(this.#fd, this.#host.arena, echo.at, echo.len, to)
  }

  ready(_events: number): void {
    const { batch } = this.#flows
    for (let turn = 0; turn < BATCHES; turn++) {
      const n = batch.receive(this.#fd, this.#host.arena)
      if (n === -EAGAIN) return
      for (let i = 0; i < n; i++) this.#arrived(batch, i)
      this.#flows.touch(this)
      if (n >= 0 && n < batch.most) return
    }
    this.#host.reactor.again(this)
  }

  /** A reply from the host, to the guest. */
  #arrived(batch: Batch, i: number): void {
    const { arena, options, stack, reactor } = this.#host
    const peer = batch.peers[i]!
    const at = batch.at[i]!
    const len = batch.len[i]!
    if (!icmp.check(at, at + len) || icmp.type(arena.view, at) !== this.#replyType) return
    if (!options.hostLoopback && isHostLoopback(peer.words)) return
    const { key } = this
    const identifier = key[8]!
    appearAs(options, key, peer)
    key[8] = identifier // a peer of ICMP has no port
    stack.transmitter.sendEchoReply(key, this.neighbour, at, len, reactor.now)
  }

  release(): void {
    this.#host.reactor.remove(this)
    io.close(this.#fd)
    this.#fd = -1
  }
}
