/**
 * The NAT: what the guest opens goes to the host's sockets, what the host publishes to the guest.
 * It sits above the stack and owns every flow; glue that reads as a list.
 */

import { Slices } from '../stack/slices.ts'
import type { Datagram, Stack, Upper } from '../stack/stack.ts'
import type { SynRequest } from '../stack/tcp/syn-request.ts'
import type { Arena } from '../sys/arena.ts'
import { DhcpResponder } from './dhcp-responder.ts'
import { Dhcpv6Responder } from './dhcpv6-responder.ts'
import type { DnsAsker } from './dns-asker.ts'
import { DnsRelay } from './dns-relay.ts'
import { EchoFlows } from './echo-flow.ts'
import { Endpoints } from './endpoints.ts'
import { FlowJournal } from './flow-journal.ts'
import { type Forwarder, type ForwardPlan, TcpForward, UdpForward } from './forwards.ts'
import type { Gate } from './gate.ts'
import { GuestSockets } from './guest-sockets.ts'
import { type Host, isForDns, type NatCounters, type NatOptions } from './host.ts'
import { HostErrors } from './host-errors.ts'
import { Names } from './names.ts'
import { Pipes } from './pipes.ts'
import type { Reactor } from './reactor.ts'
import { Resolvers } from './resolvers.ts'
import { TcpFlow } from './tcp-flow.ts'
import { UdpBurst } from './udp-burst.ts'
import { UdpFlows } from './udp-flow.ts'

/** Whose a connection is: a flow to the host, or an endpoint's. */
interface FlowUser {
  destroy(): void
}

/** Slices of one read into, or one write from, a queue of a connection. */
const MAX_SLICES = 32

export class Nat implements Upper {
  readonly counters: NatCounters = {
    tcpOpened: 0,
    tcpClosed: 0,
    tcpDialsFailed: 0,
    udpOpened: 0,
    udpClosed: 0,
    udpEvicted: 0,
    echoOpened: 0,
    echoClosed: 0,
    echoEvicted: 0,
    resources: 0,
  }
  readonly journal: FlowJournal = new FlowJournal()
  /** What the program has on the container's network itself. */
  readonly endpoints: Endpoints
  readonly names: Names = new Names()
  readonly #host: Host
  readonly #dhcp: DhcpResponder
  readonly #dhcpv6: Dhcpv6Responder
  readonly #burst: UdpBurst
  readonly #udp: UdpFlows
  readonly #dns: DnsRelay
  readonly #echo: EchoFlows
  readonly #forwards = new Set<Forwarder>()
  /** Of those, UDP, by the guest's port: each is asked whether a datagram from there is an answer. */
  readonly #udpForwards = new Map<number, UdpForward[]>()

  constructor(arena: Arena, reactor: Reactor, options: NatOptions, stack: Stack) {
    this.#host = {
      arena,
      reactor,
      options,
      counters: this.counters,
      journal: this.journal,
      errors: new HostErrors({ arena, reactor, options, stack }),
      orphans: new Set(),
      resolvers: new Resolvers(),
      names: this.names,
      slices: new Slices(MAX_SLICES),
      splicing: options.guestSockets && {
        sockets: new GuestSockets(options.guestSockets),
        pipes: new Pipes(),
      },
      stack,
      gate: undefined,
    }
    this.endpoints = new Endpoints(options, stack)
    this.#dhcp = new DhcpResponder(this.#host)
    this.#dhcpv6 = new Dhcpv6Responder(this.#host)
    this.#burst = new UdpBurst(arena)
    this.#udp = new UdpFlows(this.#host, this.#burst)
    this.#dns = new DnsRelay(this.#host, this.#udp.batch)
    this.#echo = new EchoFlows(this.#host, this.#udp.batch)
  }

  synArrives(request: SynRequest): void {
    const whose = this.endpoints.synArrives(request)
    if (whose === 'nat') TcpFlow.dial(this.#host, request)
    else if (whose === 'endpoint') this.#host.gate?.tookEndpoint(request)
  }

  datagramArrives(datagram: Datagram): void {
    if (this.endpoints.datagramArrives(datagram, this.#host.reactor.now)) return
    if (this.#dhcp.receive(datagram) || this.#dhcpv6.receive(datagram)) return
    const { gate, options } = this.#host
    if (gate !== undefined && isForDns(options, datagram.key)) {
      if (!this.#dns.answersItself(datagram)) gate.receiveQuestion(datagram)
      return
    }
    if (this.#dns.receive(datagram)) return
    if (!this.#isAnswer(datagram)) this.#udp.receive(datagram)
  }

  #isAnswer(datagram: Datagram): boolean {
    const forwards = this.#udpForwards.get(datagram.key[8]! >>> 16)
    if (forwards === undefined) return false
    for (let i = 0; i < forwards.length; i++) if (forwards[i]!.answer(datagram)) return true
    return false
  }

  /** The batch of frames is over: what waits for others goes. */
  flush(): void {
    this.#burst.send()
  }

  echoArrives(echo: Datagram): void {
    this.#echo.receive(echo)
  }

  /**
   * From now on the gate is asked before anything of the guest goes out. What is there already stays, as far as it lets
   * it.
   */
  guard<G extends Gate>(makeGate: (host: Host, asker: DnsAsker) => G): G {
    const gate = makeGate(this.#host, this.#dns.asker)
    this.#host.gate = gate
    const { connections } = this.#host.stack.tcp
    for (const { user } of connections.entries()) if (user instanceof TcpFlow) user.readmit(gate)
    return gate
  }

  /** Publishes a port of the host; throws the system's error when it cannot be had. */
  forward(proto: 'tcp' | 'udp', plan: ForwardPlan): Forwarder {
    if (proto === 'tcp') {
      const forward = new TcpForward(this.#host, plan)
      this.#forwards.add(forward)
      return forward
    }
    const forward = new UdpForward(this.#host, this.#udp, plan)
    this.#forwards.add(forward)
    this.#ofGuestPort(forward, (list) => [...list, forward])
    return forward
  }

  /** The port is free again; flows that came through it go on. */
  unforward(forward: Forwarder): void {
    this.#burst.send()
    this.#forwards.delete(forward)
    if (forward instanceof UdpForward)
      this.#ofGuestPort(forward, (list) => list.filter((other) => other !== forward))
    forward.close()
  }

  #ofGuestPort({ guestPort }: UdpForward, change: (list: UdpForward[]) => UdpForward[]): void {
    const list = change(this.#udpForwards.get(guestPort) ?? [])
    if (list.length > 0) this.#udpForwards.set(guestPort, list)
    else this.#udpForwards.delete(guestPort)
  }

  deadline(): number {
    const flows = Math.min(this.#udp.deadline(), this.#echo.deadline(), this.#dns.deadline())
    return Math.min(flows, this.#host.gate?.deadline() ?? Infinity)
  }

  timeout(now: number): void {
    this.#udp.timeout(now)
    this.#dns.timeout(now)
    this.#echo.timeout(now)
    this.#host.gate?.timeout(now)
  }

  /** Closes every socket; TCP peers see a RST. */
  destroy(): void {
    for (const forward of [...this.#forwards]) this.unforward(forward)
    this.#udp.destroy()
    this.#dns.destroy()
    this.#echo.destroy()
    const { connections, requests } = this.#host.stack.tcp
    for (const { user } of connections.entries()) (user as unknown as FlowUser).destroy()
    for (const request of requests.entries()) request.onGivenUp?.('closed')
    for (const orphan of this.#host.orphans) orphan.destroy()
    this.#host.gate?.destroy()
    this.#host.splicing?.sockets.destroy()
    this.#host.splicing?.pipes.destroy()
  }
}
