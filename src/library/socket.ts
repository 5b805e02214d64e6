/**
 * One connection between a guest and the program, as a stream: what a `net.Socket` is between two programs.
 *
 *  this stream                         data plane (engine/endpoint-records.ts)
 *  push(); it takes more: GRANT    ←   TEXT
 *  write(), as much as is granted  →   TEXT
 *  its callback waits              ←   no GRANT: the guest does not read
 *  push(null)                      ←   END
 *  _final                          →   FINISH
 *  destroy                         →   RELEASE
 *  destroyed with ECONNRESET …     ←   CLOSED
 */
import { Duplex, type DuplexOptions } from 'node:stream'
import {
  CLOSED,
  CLOSINGS,
  END,
  FINISH,
  GRANT,
  octetsOf,
  RELEASE,
  TEXT,
  wordsIn,
} from '../engine/endpoint-records.ts'
import type { Exchange, Receiver } from '../engine/exchange.ts'
import { type EndAddress, nodeError } from './endpoint-errors.ts'
import { MAX_TIMEOUT, wrong } from './values.ts'

/** What a stream needs of its network. */
export interface SocketHost {
  readonly exchange: Exchange
  /** The stream keeps the program alive, until `letGo`. */
  hold(): void
  letGo(): void
}

export interface SocketParts {
  readonly id: number
  readonly local: EndAddress
  readonly remote: EndAddress
  /** Octets that may be under way each way; the stream's highWaterMark. */
  readonly window: number
  readonly allowHalfOpen: boolean
}

export class NetworkSocket extends Duplex implements Receiver {
  /** The guest's end. */
  readonly remoteAddress: string
  readonly remotePort: number
  readonly remoteFamily: 'IPv4' | 'IPv6'
  readonly localAddress: string
  readonly localPort: number
  readonly localFamily: 'IPv4' | 'IPv6'
  /** Octets that came, and that were handed on. */
  bytesRead = 0
  bytesWritten = 0
  /** Streams are made when they are connected. */
  readonly connecting: boolean = false
  readonly pending: boolean = false
  /** In ms, as `setTimeout` has it. */
  timeout: number | undefined
  readonly #host: SocketHost
  readonly #id: number
  readonly #window: number
  /** Octets that came and are not granted anew. */
  #owed = 0
  #isWanted = true
  /** Octets that we may send. */
  #credit = 0
  /** What is being written: from `#at` of chunk `#index` on. */
  #chunks: readonly Uint8Array[] = []
  #index = 0
  #at = 0
  #callback: ((error?: Error | null) => void) | undefined
  #isWaiting = false
  #isReset = false
  /** The data plane has forgotten it. */
  #isOver = false
  #isHolding = false
  #timer: NodeJS.Timeout | undefined

  /** Streams are made by `Network.listen` and `Network.connect`. */
  constructor(host: SocketHost, { id, local, remote, window, allowHalfOpen }: SocketParts) {
    // 'close' says whether there was an error, as that of net.Socket: so it is emitted below.
    const options: DuplexOptions = { allowHalfOpen, highWaterMark: window, emitClose: false }
    super(options)
    this.remoteAddress = remote.address
    this.remotePort = remote.port
    this.remoteFamily = remote.family
    this.localAddress = local.address
    this.localPort = local.port
    this.localFamily = local.family
    this.#host = host
    this.#id = id
    this.#window = window
    host.exchange.add(id, this)
    this.ref()
  }

  /** As of `net.Socket`. */
  get readyState(): 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.readable) return this.writable ? 'open' : 'readOnly'
    return this.writable ? 'writeOnly' : 'closed'
  }

  /** Our end. */
  address(): EndAddress {
    return { address: this.localAddress, family: this.localFamily, port: this.localPort }
  }

  // --- from the data plane ---

  /** The library's own: a record for this stream. */
  arrived(kind: number, payload: Uint8Array): void {
    this.#timer?.refresh()
    if (kind === TEXT) this.#received(payload)
    else if (kind === END) this.push(null)
    else if (kind === GRANT) {
      this.#credit += wordsIn(payload)[0]!
      this.#move()
    } else if (kind === CLOSED) this.#closed(wordsIn(payload)[0]!)
  }

  #received(octets: Uint8Array): void {
    this.bytesRead += octets.length
    this.#owed += octets.length
    this.#isWanted = this.push(octets)
    this.#grant()
  }

  override _read(): void {
    this.#isWanted = true
    this.#grant()
  }

  /** Half of the window at a time: what is left of the window keeps the guest sending meanwhile. */
  #grant(): void {
    if (!this.#isWanted || this.#owed < this.#window / 2 || this.#isOver) return
    this.#send(GRANT, this.#owed)
    this.#owed = 0
  }

  #closed(index: number): void {
    this.#isOver = true
    const closing = CLOSINGS[index]!
    if (closing === 'finished') return
    const remote = { address: this.remoteAddress, port: this.remotePort }
    this.#end(nodeError(closing === 'timeout' ? 'ETIMEDOUT' : 'ECONNRESET', 'read', remote))
  }

  /** The library's own: the network is over. */
  networkEnded(error: Error | undefined): void {
    this.#isOver = true
    this.#end(error)
  }

  /** Not at once: who has just been given the stream listens to 'error' only when their `await` goes on. */
  #end(error: Error | undefined): void {
    queueMicrotask(() => this.destroy(error))
  }

  // --- to the data plane ---

  override _write(
    chunk: Uint8Array,
    _encoding: BufferEncoding,
    callback: (error?: Error | null) => void,
  ): void {
    this.#write([chunk], callback)
  }

  override _writev(
    chunks: { chunk: Uint8Array; encoding: BufferEncoding }[],
    callback: (error?: Error | null) => void,
  ): void {
    this.#write(
      chunks.map(({ chunk }) => chunk),
      callback,
    )
  }

  #write(chunks: readonly Uint8Array[], callback: (error?: Error | null) => void): void {
    this.#chunks = chunks
    this.#index = 0
    this.#at = 0
    this.#callback = callback
    this.#move()
  }

  /** Hands on what is granted; the rest waits for GRANT, or for room. */
  #move(): void {
    if (this.#callback === undefined) return
    this.#timer?.refresh()
    for (; this.#index < this.#chunks.length; this.#index++) {
      const chunk = this.#chunks[this.#index]!
      while (this.#at < chunk.length) {
        const len = Math.min(this.#credit, chunk.length - this.#at)
        if (len === 0) return
        const n = this.#host.exchange.text(this.#id, chunk, this.#at, len)
        this.#at += n
        this.#credit -= n
        this.bytesWritten += n
        if (n < len) return this.#waitForRoom()
      }
      this.#at = 0
    }
    this.#chunks = []
    const callback = this.#callback
    this.#callback = undefined
    callback()
  }

  #waitForRoom(): void {
    if (this.#isWaiting) return
    this.#isWaiting = true
    this.#host.exchange.whenRoom(() => {
      this.#isWaiting = false
      this.#move()
    })
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#send(FINISH)
    callback()
  }

  #send(kind: number, word = 0): void {
    if (!this.#isOver) this.#host.exchange.send(kind, this.#id, octetsOf(word))
  }

  // --- the end ---

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearTimeout(this.#timer)
    this.unref()
    this.#send(RELEASE, this.#isReset ? 1 : 0)
    this.#isOver = true
    this.#host.exchange.remove(this.#id)
    const remote = { address: this.remoteAddress, port: this.remotePort }
    this.#callback?.(error ?? nodeError('ECANCELED', 'write', remote))
    this.#callback = undefined
    callback(error)
    process.nextTick(() => this.emit('close', error !== null))
  }

  /** Ends it when all that was written is handed on. */
  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', () => this.destroy())
  }

  /** The guest sees a reset, also when `end` was called before. */
  resetAndDestroy(): this {
    this.#isReset = true
    return this.destroy()
  }

  // --- what a net.Socket has ---

  /**
   * Calls back, and emits 'timeout', when nothing has come or gone for so many ms; 0: never. Without effect when the stream
   * is destroyed.
   */
  setTimeout(ms: number, callback?: () => void): this {
    if (this.destroyed) return this
    if (typeof ms !== 'number' || !(ms >= 0 && ms < Infinity)) {
      throw wrong(ms, 'ms', 'a finite number from 0 on', typeof ms === 'number')
    }
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.timeout = ms
    if (ms > 0) {
      if (callback) this.once('timeout', callback)
      this.#timer = setTimeout(() => this.emit('timeout'), Math.min(ms, MAX_TIMEOUT)).unref()
    } else if (callback) {
      this.off('timeout', callback)
    }
    return this
  }

  /** What is written is sent at once in any case. */
  setNoDelay(_noDelay?: boolean): this {
    return this
  }

  /** There is no path between a guest and its network that could be gone unnoticed. */
  setKeepAlive(_enable?: boolean, _initialDelay?: number): this {
    return this
  }

  /** Keeps the program alive while it is open (the default). */
  ref(): this {
    if (!this.#isHolding && !this.#isOver) {
      this.#isHolding = true
      this.#host.hold()
    }
    return this
  }

  unref(): this {
    if (this.#isHolding) {
      this.#isHolding = false
      this.#host.letGo()
    }
    return this
  }
}
