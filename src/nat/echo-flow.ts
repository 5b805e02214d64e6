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
 *  Data. Sequence number, text, TTL less one and DF go through as they are. Nothing is kept. What the host's
 *  network says of a request is told to the guest (host-errors.ts).
 *
 *  Aging. A flow that carried nothing for a minute is closed (RFC 5508 REQ-2). At the limit the flow whose
 *  time-out is nearest makes room.
 */

import type { LostPacket } from '../stack/flow-errors.ts'
import { isIpv4, KEY_WORDS } from '../stack/flow-table.ts'
import type { Neighbour } from '../stack/neighbours.ts'
import type { Datagram } from '../stack/stack.ts'
import * as checksum from '../stack/wire/checksum.ts'
import * as icmp from '../stack/wire/icmp.ts'
import * as icmpv6 from '../stack/wire/icmpv6.ts'
import * as ipv4 from '../stack/wire/ipv4.ts'
import * as ipv6 from '../stack/wire/ipv6.ts'
import type { Batch } from '../sys/batch.ts'
import {
  AF_INET,
  AF_INET6,
  EACCES,
  EAGAIN,
  EPERM,
  EPOLLERR,
  EPOLLET,
  EPOLLIN,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  SOCK_DGRAM,
} from '../sys/constants.ts'
import * as io from '../sys/io.ts'
import * as socket from '../sys/socket.ts'
import { Destinations } from './destinations.ts'
import { type GuestFlow, GuestFlows, type GuestKey, nameOf } from './guest-flows.ts'
import { appearAs, type Host, isHostLoopback, translate } from './host.ts'
import { keepErrors, type Sender } from './host-errors.ts'
import { bindOutbound } from './outbound.ts'
import { PathOptions } from './path-options.ts'
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
    const { counters, options } = host
    this.#flows = new GuestFlows(options.limits.echoFlows, (end) => {
      counters.echoClosed++
      if (end === 'evicted') counters.echoEvicted++
    })
  }

  /** An echo request of the guest goes to the host that it means. */
  receive(echo: Datagram): void {
    if (translate(this.#host, echo.key, this.#to) !== 'direct') return
    const { gate, stack } = this.#host
    const known = this.#flows.get(nameOf(echo.key))
    const destinations = gate && (known?.destinations ?? new Destinations('icmp'))
    if (destinations !== undefined && !destinations.admits(gate!, echo)) {
      return void stack.counters.drop.egressDenied++
    }
    const flow = known ?? this.#open(echo)
    if (flow === undefined) return destinations?.close()
    flow.destinations = destinations
    flow.neighbour = echo.neighbour
    flow.send(echo, this.#to)
    this.touch(flow)
  }

  #open(echo: Datagram): EchoFlow | undefined {
    const { counters, reactor, stack } = this.#host
    this.#flows.makeRoom()
    const family = isIpv4(echo.key) ? AF_INET : AF_INET6
    const protocol = family === AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6
    const fd = socket.socket(family, SOCK_DGRAM, protocol)
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
    const flow = new EchoFlow(this.#host, this, fd, family, echo)
    if (fd < 0 || reactor.add(fd, EPOLLIN | EPOLLET, flow) < 0) {
      if (fd >= 0) io.close(fd)
      counters.resources++
      stack.counters.drop.echoLimit++
      return undefined
    }
    keepErrors(fd, family)
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

export class EchoFlow implements Handler, GuestFlow, Sender {
  token = -1
  isPending = false
  deadline: number = Infinity
  heapIndex = -1
  heapKey = 0
  /** The guest's address and identifier; the host's address is written for each reply. */
  readonly key: Int32Array = new Int32Array(KEY_WORDS)
  readonly name: GuestKey
  readonly family: number
  neighbour: Neighbour
  readonly #host: Host
  readonly #flows: EchoFlows
  readonly #replyType: number
  readonly #path = new PathOptions()
  #fd: number
  /** Whom it may send to, when somebody says so. */
  destinations: Destinations | undefined

  constructor(host: Host, flows: EchoFlows, fd: number, family: number, echo: Datagram) {
    this.#host = host
    this.#flows = flows
    this.#fd = fd
    this.family = family
    this.neighbour = echo.neighbour
    this.key.set(echo.key)
    this.name = nameOf(echo.key)
    this.#replyType = family === AF_INET ? icmp.ECHO_REPLY : icmpv6.ECHO_REPLY
  }

  /** The kernel writes its identifier and the checksum. */
  send(echo: Datagram, to: socket.Endpoint): void {
    to.port = 0
    this.#path.follow(this.#fd, this.family, echo)
    this.#host.errors.send(this.#fd, this, echo, to)
  }

  /** What an ICMP error quotes: the message, with the guest's identifier and the checksum that it had. */
  describe(lost: LostPacket, at: number, len: number): boolean {
    const { view } = this.#host.arena
    if (!icmp.check(at, at + len)) return false
    const identifier = this.key[8]! >>> 16
    const before = (~icmp.checksum(view, at) & 0xffff) + (~icmp.identifier(view, at) & 0xffff)
    const sum = ~checksum.fold(before + identifier) & 0xffff // RFC 1624 equation 3
    lost.protocol = this.family === AF_INET ? ipv4.ICMP : ipv6.ICMPV6
    lost.first = (view.getUint16(at) << 16) | sum
    lost.second = (identifier << 16) | icmp.sequence(view, at)
    lost.at = at + icmp.HEADER_LEN
    lost.len = len - icmp.HEADER_LEN
    return true
  }

  ready(events: number): void {
    const { errors } = this.#host
    if (events & EPOLLERR) errors.tell(this.#fd, this)
    const { batch } = this.#flows
    for (let turn = 0; turn < BATCHES; turn++) {
      const n = batch.receive(this.#fd, this.#host.arena)
      if (n === -EAGAIN) return
      if (n < 0) errors.tell(this.#fd, this)
      for (let i = 0; i < n; i++) this.#arrived(batch, i)
      this.#flows.touch(this)
      if (n >= 0 && n < batch.most) return
    }
    this.#host.reactor.again(this)
  }

  /** A reply from the host, to the guest. */
  #arrived(batch: Batch, i: number): void {
    const { arena, gate, options, stack, reactor } = this.#host
    const peer = batch.peers[i]!
    const at = batch.at[i]!
    const len = batch.len[i]!
    const isReply = icmp.check(at, at + len) && icmp.type(arena.view, at) === this.#replyType
    if (!isReply || (!options.hostLoopback && isHostLoopback(peer.words))) {
      return void stack.counters.drop.icmpUnwanted++
    }
    const { key } = this
    const identifier = key[8]!
    appearAs(options, key, peer)
    key[8] = identifier // a peer of ICMP has no port
    if (gate !== undefined) {
      this.destinations ??= new Destinations('icmp')
      if (!this.destinations.admitsReply(gate, key, this.neighbour, len)) {
        return void stack.counters.drop.egressDenied++
      }
    }
    stack.transmitter.sendEchoReply(key, this.neighbour, at, len, reactor.now)
  }

  release(): void {
    this.destinations?.close()
    this.#host.reactor.remove(this)
    io.close(this.#fd)
    this.#fd = -1
  }
}
