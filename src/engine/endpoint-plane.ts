/**
 * The data plane's side of endpoints: what listens where, the connections by id, and the records that come from the main
 * thread and go there (endpoint-records.ts).
 */
import type { FlowEnd } from '../nat/flow-journal.ts'
import type { Nat } from '../nat/nat.ts'
import type { Reactor } from '../nat/reactor.ts'
import { Deadlines } from '../stack/deadlines.ts'
import { isIpv4, KEY_WORDS } from '../stack/flow-table.ts'
import { Slices } from '../stack/slices.ts'
import type { Datagram, Stack } from '../stack/stack.ts'
import type { SynRequest } from '../stack/tcp/syn-request.ts'
import { parse } from '../stack/wire/address.ts'
import type { Arena } from '../sys/arena.ts'
import { EndpointFlow, type FlowHost } from './endpoint-flow.ts'
import * as records from './endpoint-records.ts'
import { RingReader, RingWriter } from './ring.ts'
import type { EndpointOptions } from './types.ts'

export interface EndpointParts {
  readonly arena: Arena
  readonly reactor: Reactor
  readonly stack: Stack
  readonly nat: Nat
  /** Where dials come from: four words each. */
  readonly gateway: Int32Array
  readonly gateway6: Int32Array | undefined
}

/** A listener or a UDP socket. */
interface Listener extends EndpointOptions {
  readonly id: number
  readonly words: Int32Array
  readonly port: number
}

/** RFC 6335 §6: dynamic ports. */
const FIRST_DYNAMIC = 49152
const MAX_DATAGRAM = 65_507
/** What an OPEN needs in the ring, and a little more: with less a SYN is not answered. */
const OPEN_ROOM = 256

export class EndpointPlane implements FlowHost {
  readonly ring: RingWriter
  readonly bytes: Uint8Array
  readonly slices: Slices = new Slices(8)
  readonly #parts: EndpointParts
  readonly #reader: RingReader
  readonly #flows = new Map<number, EndpointFlow>()
  readonly #listeners = new Map<number, Listener>()
  readonly #deadlines = new Deadlines<EndpointFlow>()
  /** Those that have something for the ring, which was full. */
  #blocked = new Set<EndpointFlow>()
  /** Dials that could not be made, and of which the main thread has to be told. */
  readonly #refused: number[] = []
  #lastListener = 0
  #lastAccepted = -1
  /** Where a datagram of the main thread is sent from. */
  readonly #at: number
  /** A payload, as words. */
  readonly #words = new Int32Array(8)
  readonly #head = new Uint8Array(this.#words.buffer)
  readonly #key = new Int32Array(KEY_WORDS)

  /** `wake` makes the main thread look at the rings. */
  constructor(parts: EndpointParts, rings: SharedArrayBuffer, wake: () => void) {
    this.#parts = parts
    this.bytes = parts.arena.bytes
    this.ring = new RingWriter(rings, 'toMain', wake)
    this.#reader = new RingReader(rings, 'toPlane', wake)
    this.#at = parts.arena.reserve(MAX_DATAGRAM)
  }

  // --- commands ---

  /** Throws EADDRINUSE. */
  listen(options: EndpointOptions): { id: number; port: number } {
    const { nat } = this.#parts
    const { proto, address, name } = options
    const words = new Int32Array(4)
    if (!parse(address, words)) throw new TypeError(`not an IP address: ${address}`)
    const id = ++this.#lastListener
    const port =
      proto === 'tcp'
        ? nat.endpoints.listen(words, options.port, { synArrives: (syn) => this.#accept(id, syn) })
        : nat.endpoints.bind(words, options.port, {
            datagramArrives: (datagram) => this.#datagram(id, datagram),
          })
    if (name !== undefined) nat.names.add(name, words)
    this.#listeners.set(id, { ...options, id, words, port })
    return { id, port }
  }

  /** The port is free again; connections go on. False when there is no such listener. */
  unlisten(id: number): boolean {
    const listener = this.#listeners.get(id)
    if (listener === undefined) return false
    const { proto, words, port, name } = listener
    const { endpoints, names } = this.#parts.nat
    this.#listeners.delete(id)
    endpoints.remove(proto, words, port)
    if (name !== undefined) names.remove(name, words)
    return true
  }

  // --- from guests ---

  #accept(listenerId: number, request: SynRequest): void {
    const { nat, reactor, stack } = this.#parts
    const listener = this.#listeners.get(listenerId)!
    if (!this.ring.hasRoom(OPEN_ROOM)) {
      // As with a backlog that is full, the guest's next SYN may find room.
      stack.counters.drop.tcpLimit++
      return request.forget()
    }
    const { key } = request
    const id = this.#freeId()
    const entry = nat.journal.open('tcp', 'guest', key, listener, reactor.now)
    const flow = new EndpointFlow(this, id, entry, listener.window, () => {
      const words = this.#words
      words[0] = listenerId
      words.set(key.subarray(0, 4), 1)
      words[5] = key[8]! >>> 16
      return this.ring.write(records.OPEN, id, this.#head.subarray(0, 24))
    })
    this.#add(flow)
    flow.uses(request.accept(flow, reactor.now))
  }

  #freeId(): number {
    do this.#lastAccepted = (this.#lastAccepted + 2) >>> 0
    while (this.#flows.has(this.#lastAccepted))
    return this.#lastAccepted
  }

  #add(flow: EndpointFlow): void {
    this.#flows.set(flow.id, flow)
    this.#parts.nat.counters.tcpOpened++
  }

  #datagram(id: number, { key, at, len }: Datagram): void {
    const port = key[8]! >>> 16
    // RFC 768: nobody waits for an answer there, and who echoes could not give one.
    if (port === 0) return void this.#parts.stack.counters.drop.hostRefused++
    this.#words.set(key.subarray(0, 4))
    this.#words[4] = port
    const head = this.#head.subarray(0, records.END_LEN)
    const isTold = this.ring.datagram(records.DATAGRAM, id, head, this.bytes, at, len)
    if (!isTold) this.#parts.stack.counters.drop.hostFull++
  }

  // --- from the main thread ---

  /** Called when the main thread has woken us. */
  look(): void {
    const reader = this.#reader
    reader.look()
    while (reader.next()) {
      this.#arrived(reader)
      reader.release()
    }
    this.#tellRefused()
    if (this.#blocked.size === 0) return
    const blocked = this.#blocked
    this.#blocked = new Set()
    for (const flow of blocked) flow.unblocked()
  }

  #arrived(reader: RingReader): void {
    const { kind, id, length } = reader
    if (kind === records.TEXT) return this.#flows.get(id)?.take(reader, length)
    if (kind === records.DATAGRAM) return this.#send(id, reader)
    reader.copy(0, this.#head, 0, Math.min(length, this.#head.length))
    if (kind === records.DIAL) return this.#dial(id)
    const flow = this.#flows.get(id)
    if (flow === undefined) return // it is over, and the main thread is about to learn of it
    if (kind === records.GRANT) flow.granted(this.#words[0]!)
    else if (kind === records.FINISH) flow.finish()
    else if (kind === records.RELEASE) flow.release(this.#words[0] === 1)
  }

  #dial(id: number): void {
    const { nat, reactor, stack, gateway, gateway6 } = this.#parts
    const key = new Int32Array(KEY_WORDS)
    key.set(this.#words.subarray(0, 4))
    const window = this.#words[5]!
    const guestPort = this.#words[4]!
    const source = isIpv4(key) ? gateway : gateway6!
    key.set(source, 4)
    const port = stack.tcp.whatIsFull() !== undefined ? undefined : this.#freePort(key, guestPort)
    if (port === undefined) {
      this.#refused.push(id)
      return this.#tellRefused()
    }
    const local = { words: source, port }
    const entry = nat.journal.open('tcp', 'host', key, local, reactor.now)
    const flow = new EndpointFlow(this, id, entry, window, () => {
      records.putEnd(this.#words, local)
      return this.ring.write(records.ESTABLISHED, id, this.#head.subarray(0, records.END_LEN))
    })
    this.#add(flow)
    flow.uses(stack.tcp.connect(key, stack.neighbours.find(key), flow, reactor.now))
  }

  /** Those that were dialled in vain, as far as the ring has room. */
  #tellRefused(): void {
    const full = records.octetsOf(records.CLOSINGS.indexOf('full'))
    for (let id = this.#refused[0]; id !== undefined; id = this.#refused[0]) {
      if (!this.ring.write(records.CLOSED, id, full)) return
      this.#refused.shift()
    }
  }

  /** From a random port on (RFC 6056 §3.3.1), written into the key. */
  #freePort(key: Int32Array, guestPort: number): number | undefined {
    const count = 65536 - FIRST_DYNAMIC
    const start = Math.floor(Math.random() * count)
    for (let i = 0; i < count; i++) {
      const port = FIRST_DYNAMIC + ((start + i) % count)
      key[8] = (guestPort << 16) | port
      if (!this.#parts.stack.tcp.isTaken(key)) return port
    }
    return undefined
  }

  #send(id: number, reader: RingReader): void {
    const socket = this.#listeners.get(id)
    const len = reader.length - records.END_LEN
    if (socket === undefined || len > MAX_DATAGRAM) return
    const { stack, reactor } = this.#parts
    reader.copy(0, this.#head, 0, records.END_LEN)
    reader.copy(records.END_LEN, this.bytes, this.#at, len)
    const key = this.#key
    key.set(this.#words.subarray(0, 4))
    key.set(socket.words, 4)
    key[8] = (this.#words[4]! << 16) | socket.port
    stack.transmitter.sendUdp(key, stack.neighbours.find(key), this.#at, len, reactor.now)
  }

  // --- what flows ask for ---

  now(): number {
    return this.#parts.reactor.now
  }

  block(flow: EndpointFlow): void {
    this.#blocked.add(flow)
  }

  schedule(flow: EndpointFlow): void {
    this.#deadlines.update(flow)
  }

  forget(flow: EndpointFlow, end: FlowEnd): void {
    if (!this.#flows.delete(flow.id)) return
    const { nat } = this.#parts
    this.#deadlines.remove(flow)
    this.#blocked.delete(flow)
    nat.counters.tcpClosed++
    nat.journal.close(flow.entry, end, this.now())
  }

  // --- time ---

  deadline(): number {
    return this.#deadlines.next()
  }

  timeout(now: number): void {
    for (let flow = this.#deadlines.pop(now); flow !== undefined; flow = this.#deadlines.pop(now)) {
      flow.timeout()
    }
  }

  /** At the end of a turn: the main thread learns of all that was written. */
  flush(): void {
    this.ring.publish()
  }

  /** What the stack has forgotten, and has text for the main thread. */
  close(): void {
    for (const flow of [...this.#flows.values()]) flow.destroy()
  }
}
