/**
 * The client's side of a TLS connection up to where nothing can be read any more.
 *
 *   ClientHello ──► records ─┬─ application data              open, unless early data was offered: then more may follow
 *   (judged)                 ├─ change cipher spec, alert     go on
 *                            ├─ a second ClientHello          judged again, and must name whom the first named: open
 *                            └─ another handshake message     TLS 1.2, which has no second one: open
 *
 * A second ClientHello answers a HelloRetryRequest (RFC 8446 §4.1.4). It may come behind early data, which the server
 * has thrown away then, and behind a change cipher spec, which means nothing there (§D.4). In TLS 1.2 what follows that is
 * encrypted, and looks like a ClientHello once in four thousand million times.
 *
 * A ClientHello may come in any number of segments and records. What is no TLS, or more than a ClientHello, is denied.
 */
import { type ClientHello, readClientHello } from './client-hello.ts'
import { Gathering, type Inspector } from './inspector.ts'

/** Why it must not pass; undefined: it may. */
export type JudgeHello = (hello: ClientHello) => string | undefined

/** Ours: keys that withstand quantum computers make it some 2 KiB. */
const MAX_HELLO = 32 * 1024
const RECORD_HEADER_LEN = 5
/** RFC 8446 §5.1, and what encryption may add (§5.2). */
const MAX_RECORD = 16_384 + 256
const CHANGE_CIPHER_SPEC = 20
const ALERT = 21
const HANDSHAKE = 22
const APPLICATION_DATA = 23
const CLIENT_HELLO = 1
const HANDSHAKE_HEADER_LEN = 4

export class TlsInspector implements Inspector {
  state: 'reading' | 'open' | 'denied' = 'reading'
  passed = 0
  hasJudged = false
  problem = ''
  readonly #judge: JudgeHello
  /** Octets shown so far. */
  #shown = 0
  readonly #header = new Uint8Array(RECORD_HEADER_LEN)
  #headerLen = 0
  #type = 0
  /** What is left of the record's body. */
  #left = 0
  /** The handshake message, with its header. */
  readonly #message = new Gathering(HANDSHAKE_HEADER_LEN + MAX_HELLO)
  #first: ClientHello | undefined
  #hasChangedCipher = false

  constructor(judge: JudgeHello) {
    this.#judge = judge
  }

  feed(octets: Uint8Array, at: number, len: number): void {
    for (const end = at + len; at < end && this.state === 'reading'; ) {
      if (this.#left === 0) {
        this.#header[this.#headerLen++] = octets[at++]!
        this.#shown++
        if (this.#headerLen === RECORD_HEADER_LEN) this.#readHeader()
      } else {
        const n = Math.min(end - at, this.#left)
        this.#left -= n
        this.#shown += n
        this.#readBody(octets, at, n)
        at += n
      }
    }
    if (this.state === 'open') this.passed = Infinity
  }

  end(): void {
    if (this.#first === undefined) this.#deny('it ends before its ClientHello does')
  }

  #readHeader(): void {
    const [type = 0, major = 0, , high = 0, low = 0] = this.#header
    const len = (high << 8) | low
    this.#headerLen = 0
    this.#type = type
    this.#left = len
    if (this.#first === undefined) {
      const isOne = type === HANDSHAKE && major === 3 && len > 0 && len <= MAX_RECORD
      if (!isOne) this.#deny('it is no TLS')
      return
    }
    if (this.#message.length > 0) {
      // In the middle of a message: the rest of it, or nothing (§5.1).
      if (type !== HANDSHAKE || len === 0) this.#deny('a ClientHello is broken off')
      return
    }
    if (type === CHANGE_CIPHER_SPEC) this.#hasChangedCipher = true
    const isKnown = type === CHANGE_CIPHER_SPEC || type === ALERT || type === HANDSHAKE
    const isEarly = type === APPLICATION_DATA && this.#first.hasEarlyData
    if (!isKnown && !isEarly) this.state = 'open'
    else if (type !== HANDSHAKE) this.passed = this.#shown
  }

  #readBody(octets: Uint8Array, at: number, len: number): void {
    if (this.#type !== HANDSHAKE) {
      this.passed = this.#shown
      return
    }
    const message = this.#message
    if (!message.add(octets, at, len)) return this.#deny('its ClientHello is too long')
    if (!this.#isHello()) {
      if (this.#first === undefined) this.#deny('it is no ClientHello')
      else this.state = 'open'
      return
    }
    if (message.length < HANDSHAKE_HEADER_LEN) return
    const [, high = 0, middle = 0, low = 0] = message.octets
    const end = HANDSHAKE_HEADER_LEN + (high << 16) + (middle << 8) + low
    if (end > HANDSHAKE_HEADER_LEN + MAX_HELLO) return this.#deny('its ClientHello is too long')
    if (message.length < end) return
    if (message.length > end || this.#left > 0)
      return this.#deny('there is more than a ClientHello')
    this.#judgeMessage(end)
  }

  /** Can what was gathered be the start of a ClientHello? */
  #isHello(): boolean {
    const { octets, length } = this.#message
    if (octets[0] !== CLIENT_HELLO) return false
    if (!this.#hasChangedCipher) return true
    // Perhaps it is encrypted: then length and version are as good as random.
    const isShort = length < 2 || octets[1] === 0
    const hasMajor = length < 5 || octets[4] === 3
    return isShort && hasMajor && (length < 6 || octets[5]! <= 3)
  }

  #judgeMessage(end: number): void {
    const hello = readClientHello(this.#message.octets.subarray(HANDSHAKE_HEADER_LEN), end - 4)
    this.#message.clear()
    if (hello === undefined) return this.#deny('its ClientHello is malformed')
    const first = this.#first
    if (first !== undefined && first.sni !== hello.sni) {
      return this.#deny('its second ClientHello names another host')
    }
    const problem = this.#judge(hello)
    this.hasJudged = true
    if (problem !== undefined) return this.#deny(problem)
    this.#first = hello
    this.passed = this.#shown
    if (first !== undefined) this.state = 'open'
  }

  #deny(problem: string): void {
    this.state = 'denied'
    this.problem = problem
  }
}
