/**
 * Published ports: sockets of the host whose clients are taken to the guest.
 *
 * Theory of Operation
 *
 *  TCP. Where there are sockets in the guest's namespace, what leads to the guest itself goes past the TAP
 *  (spliced-flow.ts). Else the kernel accepts the client, then the guest is dialled from the client's own address; clients
 *  on a loopback address, or one of the guest's subnet, appear as the gateway. Is that address and port in
 *  use already, another port is taken.
 *
 *  UDP. One socket for all clients. The guest sees each client's address, and what it sends to
 *  that address from the published port goes back through this socket to this client.
 */

import { KEY_WORDS } from '../stack/flow-table.ts'
import type { Datagram } from '../stack/stack.ts'
import * as address from '../stack/wire/address.ts'
import * as ipv6 from '../stack/wire/ipv6.ts'
import {
  AF_INET6,
  EACCES,
  EAGAIN,
  ECONNABORTED,
  EPOLLET,
  EPOLLIN,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  SO_REUSEADDR,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../sys/constants.ts'
import { must } from '../sys/errors.ts'
import * as io from '../sys/io.ts'
import * as socket from '../sys/socket.ts'
import { appearAs, type Host, LOOPBACK, LOOPBACK6 } from './host.ts'
import { isFull } from './host-errors.ts'
import type { Splicing } from './pipes.ts'
import type { Handler } from './reactor.ts'
import { SplicedFlow } from './spliced-flow.ts'
import { TcpFlow } from './tcp-flow.ts'
import type { Outlet, Piece } from './udp-burst.ts'
import { UdpClients } from './udp-clients.ts'
import { setBursts, type UdpFlows } from './udp-flow.ts'

/** As many as the kernel lets wait: net.core.somaxconn bounds it. */
const BACKLOG = 4096
/** Fairness: clients accepted in a row. */
const ACCEPTS = 64
/** Ours: accept(2) that failed for want of a descriptor is tried again after this many ms. */
const ACCEPT_RETRY = 100
/** Ours: clients of one UDP port that are remembered. */
const MAX_CLIENTS = 4096

export interface Forwarder extends Handler {
  /** Where the socket is bound. */
  readonly bound: socket.Endpoint
  close(): void
}

/** What is published, and where it leads to. */
export interface ForwardPlan {
  readonly at: socket.Endpoint
  readonly guest: socket.Endpoint
  /** The guest is the one whose namespace it is: its loopback will do as well. */
  readonly isOwnGuest: boolean
  /** At an IPv6 address: clients of IPv4 are not for it. Else `::` takes them, too. */
  readonly ipv6Only: boolean
}

/** Binds and listens; throws the system's error when the address cannot be had. */
function bind({ at: host, ipv6Only }: ForwardPlan, type: number) {
  const what = `cannot listen on ${address.format(host.words)} port ${host.port}`
  const fd = must(socket.reservedSocket(socket.familyOf(host), type), 'socket', what)
  try {
    if (type === SOCK_STREAM) socket.setInt(fd, SOL_SOCKET, SO_REUSEADDR, 1)
    if (socket.familyOf(host) === AF_INET6) {
      socket.setInt(fd, IPPROTO_IPV6, IPV6_V6ONLY, ipv6Only ? 1 : 0)
    }
    const bound = socket.bind(fd, host)
    // bind(2): the only reason for EACCES with an Internet address.
    if (bound === -EACCES) must(bound, 'bind', `${what} (see net.ipv4.ip_unprivileged_port_start)`)
    must(bound, 'bind', what)
    if (type === SOCK_STREAM) must(socket.listen(fd, BACKLOG), 'listen', what)
    const at = { words: new Int32Array(4), port: 0 }
    must(socket.localEndpoint(fd, at), 'getsockname', what)
    return { fd, bound: at }
  } catch (error) {
    io.close(fd)
    throw error
  }
}

export class TcpForward implements Forwarder {
  token = -1
  isPending = false
  readonly bound: socket.Endpoint
  readonly #host: Host
  readonly #guest: socket.Endpoint
  readonly #isOwnGuest: boolean
  readonly #fd: number
  readonly #client = { words: new Int32Array(4), port: 0 }

  constructor(host: Host, plan: ForwardPlan) {
    const { fd, bound } = bind(plan, SOCK_STREAM)
    this.#host = host
    this.#guest = plan.guest
    this.#isOwnGuest = plan.isOwnGuest
    this.#fd = fd
    this.bound = bound
    must(host.reactor.add(fd, EPOLLIN | EPOLLET, this), 'epoll_ctl')
  }

  ready(_events: number): void {
    const { reactor, counters, stack } = this.#host
    for (let i = 0; i < ACCEPTS; i++) {
      const fd = socket.accept(this.#fd, this.#client)
      if (fd >= 0) {
        const full = stack.tcp.whatIsFull()
        if (full === undefined) this.#forward(fd)
        else {
          stack.counters.drop[full]++
          socket.linger0(fd)
          io.close(fd)
        }
      } else if (fd === -EAGAIN) {
        return
      } else if (fd !== -ECONNABORTED) {
        counters.resources++
        return reactor.later(this, ACCEPT_RETRY)
      }
    }
    reactor.again(this)
  }

  #forward(fd: number): void {
    const { splicing } = this.#host
    if (splicing === undefined || !this.#isOwnGuest || !this.#splice(splicing, fd)) {
      this.#forwardByTap(fd, this.#client)
    }
  }

  #splice(splicing: Splicing, fd: number): boolean {
    const { journal, reactor } = this.#host
    const client = copyOf(this.#client)
    const { words, port } = this.#guest
    const to = { words: socket.familyOf(this.#guest) === AF_INET6 ? LOOPBACK6 : LOOPBACK, port }
    const open = () => {
      const key = new Int32Array(KEY_WORDS)
      key.set(words, 0)
      key.set(to.words, 4)
      key[8] = (port << 16) | client.port
      return journal.open('tcp', 'host', key, client, reactor.now)
    }
    const giveBack = () => this.#forwardByTap(fd, client)
    return SplicedFlow.begin(this.#host, splicing, fd, to, open, giveBack)
  }

  #forwardByTap(fd: number, client: socket.Endpoint): void {
    const { options, stack, reactor } = this.#host
    const { words, port } = this.#guest
    key.set(words, 0)
    key[8] = port << 16
    appearAs(options, key, client)
    // Two clients that look alike, one that is in TIME-WAIT, or one that the guest dials from there: any free port will do.
    for (let free = 65535; stack.tcp.isTaken(key); free--) {
      key[8] = (port << 16) | free
    }
    TcpFlow.forward(this.#host, fd, key, client, (user) =>
      stack.tcp.connect(key, stack.neighbours.find(key), user, reactor.now),
    )
  }

  close(): void {
    this.#host.reactor.remove(this)
    io.close(this.#fd)
  }
}

export class UdpForward implements Forwarder, Outlet {
  token = -1
  isPending = false
  readonly bound: socket.Endpoint
  readonly #host: Host
  readonly #guest: socket.Endpoint
  readonly fd: number
  mostSegment: number = Infinity
  readonly #flows: UdpFlows
  readonly #clients = new UdpClients(MAX_CLIENTS)

  /** Octets go the way of those of `flows`. */
  constructor(host: Host, flows: UdpFlows, plan: ForwardPlan) {
    const { fd, bound } = bind(plan, SOCK_DGRAM)
    this.#host = host
    this.#flows = flows
    this.#guest = plan.guest
    this.fd = fd
    setBursts(fd)
    // At all addresses: a client takes answers only from the one that it has asked.
    if (isUnspecified(bound.words)) socket.tellWhereTo(fd, socket.familyOf(bound))
    this.bound = bound
    must(host.reactor.add(fd, EPOLLIN | EPOLLET, this), 'epoll_ctl')
  }

  ready(_events: number): void {
    const { arena, reactor, stack } = this.#host
    const { batch, row } = this.#flows
    const n = batch.receive(this.fd, arena)
    if (n === -EAGAIN) return
    for (let i = 0; i < n; i++) {
      const { words, port } = this.#guest
      key.set(words, 0)
      key[8] = port << 16
      appearAs(this.#host.options, key, batch.peers[i]!)
      this.#clients.hear(batch.peers[i]!, key)
      const neighbour = stack.neighbours.find(key)
      row.add(key, neighbour, batch.at[i]!, batch.len[i]!, batch.segment[i]!, reactor.now)
    }
    row.send(reactor.now)
    reactor.again(this)
  }

  get guestPort(): number {
    return this.#guest.port
  }

  /** Is the guest's datagram an answer to a client of this port? Then it is sent there. */
  answer(datagram: Datagram): boolean {
    const { key: k } = datagram
    const { words, port } = this.#guest
    if (k[8]! >>> 16 !== port || !ipv6.isAddress(k, 0, words)) return false
    const client = this.#clients.find(k)
    if (client === undefined) return false
    this.#flows.burst.add(this, datagram, client)
    return true
  }

  sendOne({ at, len }: Piece, to: socket.Endpoint): void {
    const { arena, stack } = this.#host
    const n = socket.sendTo(this.fd, arena, at, len, to)
    if (n < 0) stack.counters.drop[isFull(-n) ? 'hostFull' : 'hostRefused']++
  }

  isFull(count: number): void {
    this.#host.stack.counters.drop.hostFull += count
  }

  close(): void {
    this.#host.reactor.remove(this)
    io.close(this.fd)
  }
}

const key = new Int32Array(KEY_WORDS)

const isUnspecified = (words: Int32Array): boolean =>
  address.isMapped(words) ? words[3] === 0 : words.every((word) => word === 0)

const copyOf = ({ words, port, scope = 0 }: socket.Endpoint): socket.Endpoint => ({
  words: words.slice(),
  port,
  scope,
})
