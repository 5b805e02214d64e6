/**
 * The main thread's side of endpoints: sends records to the data plane and hands out what comes from it, by id.
 *
 * What is sent within one turn of Node's loop wakes the data plane once. Text is refused when the ring is full, and who
 * sent it is called when there is room; everything else is kept here until then.
 */
import { DATAGRAM, OPEN, TEXT } from './endpoint-records.ts'
import { rethrow } from './rethrow.ts'
import { RingReader, RingWriter } from './ring.ts'

/** Who gets the records of an id. `payload` is the receiver's to keep. */
export interface Receiver {
  arrived(kind: number, payload: Uint8Array): void
}

/** Gets what no receiver is there for yet: OPEN and DATAGRAM. */
export interface Acceptor {
  opened(id: number, payload: Uint8Array): void
  datagram(id: number, payload: Uint8Array): void
}

export class Exchange {
  readonly #writer: RingWriter
  readonly #reader: RingReader
  readonly #receivers = new Map<number, Receiver>()
  readonly #acceptor: Acceptor
  /** Records that found no room. */
  readonly #kept: [kind: number, id: number, payload: Uint8Array | undefined][] = []
  #waiting: (() => void)[] = []
  #isPublishing = false
  #isClosed = false
  /** How often reading was paused, and is not resumed. */
  #pauses = 0
  #lastId = 0

  /** `wake` makes the data plane look at the rings. */
  constructor(rings: SharedArrayBuffer, acceptor: Acceptor, wake: () => void) {
    this.#writer = new RingWriter(rings, 'toPlane', wake)
    this.#reader = new RingReader(rings, 'toMain', wake)
    this.#acceptor = acceptor
  }

  // --- to the data plane ---

  /** The id of a connection that is dialled. */
  dialId(): number {
    do this.#lastId = (this.#lastId + 2) >>> 0
    while (this.#receivers.has(this.#lastId))
    return this.#lastId
  }

  send(kind: number, id: number, payload?: Uint8Array): void {
    if (this.#isClosed) return
    if (this.#kept.length > 0 || !this.#writer.write(kind, id, payload)) {
      this.#kept.push([kind, id, payload])
    }
    this.#publish()
  }

  /** Takes octets of `chunk` from `at` on, as many as there is room for; answers how many. */
  text(id: number, chunk: Uint8Array, at: number, len: number): number {
    if (this.#isClosed || this.#kept.length > 0) return 0
    const n = this.#writer.text(TEXT, id, chunk, at, len)
    if (n > 0) this.#publish()
    return n
  }

  /** False when it found no room: it is lost. */
  datagram(id: number, head: Uint8Array, octets: Uint8Array): boolean {
    if (this.#isClosed) return false
    const isSent = this.#writer.datagram(DATAGRAM, id, head, octets, 0, octets.length)
    if (isSent) this.#publish()
    return isSent
  }

  /** Calls back once, when there is room again. */
  whenRoom(callback: () => void): void {
    this.#waiting.push(callback)
  }

  #publish(): void {
    if (this.#isPublishing) return
    this.#isPublishing = true
    process.nextTick(() => {
      this.#isPublishing = false
      if (!this.#isClosed) this.#writer.publish()
    })
  }

  // --- from the data plane ---

  add(id: number, receiver: Receiver): void {
    this.#receivers.set(id, receiver)
  }

  remove(id: number): void {
    this.#receivers.delete(id)
  }

  /** The data plane has woken us. A receiver or a callback that throws costs nobody else a record or a call. */
  look(): void {
    if (this.#isClosed) return
    this.#goOn()
    if (this.#pauses > 0) return
    const reader = this.#reader
    reader.look()
    while (!this.#isClosed && reader.next()) {
      const { kind, id, length } = reader
      const payload = Buffer.allocUnsafeSlow(length)
      reader.copy(0, payload, 0, length)
      reader.release()
      try {
        this.#deliver(kind, id, payload)
      } catch (error) {
        rethrow(error)
      }
    }
  }

  /** Nothing is read until `resume`: of a listener that is being made the data plane may tell before it answers. */
  pause(): void {
    this.#pauses++
  }

  /** Goes on when all who have waited for the same promise had their turn. */
  resume(): void {
    this.#pauses--
    setImmediate(() => this.look())
  }

  #deliver(kind: number, id: number, payload: Uint8Array): void {
    if (kind === OPEN) this.#acceptor.opened(id, payload)
    else if (kind === DATAGRAM) this.#acceptor.datagram(id, payload)
    else this.#receivers.get(id)?.arrived(kind, payload)
  }

  #goOn(): void {
    while (this.#kept.length > 0) {
      const [kind, id, payload] = this.#kept[0]!
      if (!this.#writer.write(kind, id, payload)) return
      this.#kept.shift()
      this.#publish()
    }
    const waiting = this.#waiting
    this.#waiting = []
    for (const callback of waiting) {
      try {
        callback()
      } catch (error) {
        rethrow(error)
      }
    }
  }

  /** The network is over. */
  close(): void {
    this.#isClosed = true
    this.#receivers.clear()
    this.#kept.length = 0
    this.#waiting = []
  }
}
