/**
 * Where a request of the API ends. Clients differ: some close their side, some wait for the answer; some send octet
 * by octet. So the end is found in the octets themselves: this counts brackets, outside of strings, and leaves it to
 * JSON.parse to judge what is between them. Each octet is looked at once. Pure.
 *
 *   incomplete ──► complete     the value's last octet is there; what follows it is not looked at, as upstream does
 *              └─► too-large    MAX_REQUEST octets came before that
 */

/** As upstream: this many octets are too many. */
export const MAX_REQUEST = 4096

const QUOTE = 0x22
const BACKSLASH = 0x5c
const isOpening = (octet: number) => octet === 0x5b || octet === 0x7b // [ {
const isClosing = (octet: number) => octet === 0x5d || octet === 0x7d // ] }
const isBlank = (octet: number) => octet <= 0x20
/** The octets of a byte order mark, which upstream's parser skips. JSON begins with no octet of this kind. */
const isMark = (octet: number) => octet === 0xef || octet === 0xbb || octet === 0xbf

export class Request {
  #octets = Buffer.allocUnsafe(MAX_REQUEST)
  #length = 0
  /** All before this has been looked at. */
  #at = 0
  #depth = 0
  #inString = false
  #isEscaped = false

  take(chunk: Buffer): 'incomplete' | 'complete' | 'too-large' {
    if (this.#length + chunk.length >= MAX_REQUEST) return 'too-large'
    this.#length += chunk.copy(this.#octets, this.#length)
    while (this.#at < this.#length) {
      if (this.#endsAt(this.#octets[this.#at++]!)) return 'complete'
    }
    return 'incomplete'
  }

  /** The value, or what there is of it. */
  text(): string {
    return new TextDecoder().decode(this.#octets.subarray(0, this.#at))
  }

  #endsAt(octet: number): boolean {
    if (this.#inString) {
      if (this.#isEscaped) this.#isEscaped = false
      else if (octet === BACKSLASH) this.#isEscaped = true
      else if (octet === QUOTE) this.#inString = false
    } else if (isOpening(octet)) {
      this.#depth++
    } else if (isClosing(octet)) {
      return --this.#depth <= 0
    } else if (this.#depth > 0) {
      this.#inString = octet === QUOTE
    } else if (!isBlank(octet) && !isMark(octet)) {
      // No object: it is refused however it ends, so it ends with what has come.
      this.#at = this.#length
      return true
    }
    return false
  }
}
