/**
 * Endpoints whose data plane is a script: the other side of the rings is in this thread, so the order of what comes in one
 * look is ours to choose.
 */
import * as records from '../../src/engine/endpoint-records.ts'
import { SlipwayError } from '../../src/engine/errors.ts'
import { type Acceptor, Exchange } from '../../src/engine/exchange.ts'
import { createRings, RingReader, RingWriter } from '../../src/engine/ring.ts'
import type { Ending, EndpointOptions, NetworkOptions } from '../../src/engine/types.ts'
import { Endpoints, type Engine } from '../../src/library/endpoints.ts'
import { readAttachOptions } from '../../src/library/options.ts'
import { mapped } from '../../src/stack/wire/address.ts'

/** 10.0.2.100, as four words. */
const GUEST = new Int32Array(4)
mapped(0x0a000264, GUEST)

export interface Heard {
  readonly kind: number
  readonly id: number
  readonly payload: Uint8Array
}

export class ScriptedPlane implements Engine {
  readonly endpoints: Endpoints
  onEnded: ((ending: Ending) => void) | undefined
  /** Connections that keep the program alive. */
  holders = 0
  /** What comes between a listener's being made and the answer. */
  beforeAnswer: ((id: number) => void) | undefined
  readonly #rings = createRings()
  readonly #writer = new RingWriter(this.#rings, 'toMain', () => {})
  readonly #reader = new RingReader(this.#rings, 'toPlane', () => {})
  #exchange: Exchange | undefined
  #isStopped = false
  #lastListener = 0

  constructor(options: Partial<NetworkOptions> = {}) {
    const { network } = readAttachOptions({ target: { pid: 1 } })
    this.endpoints = new Endpoints(this, { ...network, ...options })
  }

  // --- what a WorkerNetwork does ---

  exchange(acceptor: Acceptor): Exchange {
    if (this.#isStopped) throw new SlipwayError('ERR_NETWORK_CLOSED', 'the network is closed')
    this.#exchange ??= new Exchange(this.#rings, acceptor, () => {})
    return this.#exchange
  }

  async listen({ port }: EndpointOptions): Promise<{ id: number; port: number }> {
    const id = ++this.#lastListener
    this.beforeAnswer?.(id)
    return { id, port }
  }

  async unlisten(): Promise<boolean> {
    return true
  }

  hold(): void {
    this.holders++
  }

  letGo(): void {
    this.holders--
  }

  stop(): void {
    this.#isStopped = true
  }

  end(ending: Ending = { reason: 'closed' }): void {
    this.#isStopped = true
    this.#exchange?.close()
    this.onEnded?.(ending)
  }

  // --- what the data plane tells ---

  opened(id: number, listener: number, port = 40_000): void {
    this.#writer.write(records.OPEN, id, records.octetsOf(listener, ...GUEST, port))
  }

  datagram(socket: number, text: string): void {
    const head = records.octetsOf(...GUEST, 40_000)
    const octets = Buffer.from(text)
    this.#writer.datagram(records.DATAGRAM, socket, head, octets, 0, octets.length)
  }

  established(id: number): void {
    this.#writer.write(records.ESTABLISHED, id, records.octetsOf(...GUEST, 50_000))
  }

  granted(id: number, octets: number): void {
    this.#writer.write(records.GRANT, id, records.octetsOf(octets))
  }

  closed(id: number, closing: records.Closing): void {
    this.#writer.write(records.CLOSED, id, records.octetsOf(records.CLOSINGS.indexOf(closing)))
  }

  /** The main thread looks at all that was told. */
  look(): void {
    this.#writer.publish()
    this.#exchange!.look()
  }

  /** What the main thread has told, as far as it is published. */
  async heard(): Promise<Heard[]> {
    await new Promise(setImmediate)
    const heard: Heard[] = []
    this.#reader.look()
    while (this.#reader.next()) {
      const { kind, id, length } = this.#reader
      const payload = new Uint8Array(length)
      this.#reader.copy(0, payload, 0, length)
      this.#reader.release()
      heard.push({ kind, id, payload })
    }
    return heard
  }
}
