/** What lets octets of the container through, once it has read what there is to be known of them. */

export interface Inspector {
  /**
   * `'reading'`: octets beyond `passed` must wait. `'open'`: all may pass, and nobody needs to look any more. `'denied'`: none may,
   * `problem` says why.
   */
  readonly state: 'reading' | 'open' | 'denied'
  /** How many octets, from the first on, may be sent. */
  readonly passed: number
  /** Has it judged anything yet? Until then there is a time limit. */
  readonly hasJudged: boolean
  readonly problem: string
  /** The octets that follow those before, at [at, at + len); borrowed. Each is shown once. */
  feed(octets: Uint8Array, at: number, len: number): void
  /** The container has sent its last octet. */
  end(): void
}

/** Octets that are kept until there are enough to be read, no more than a limit. */
export class Gathering {
  octets: Uint8Array = new Uint8Array(1024)
  length = 0
  readonly #most: number

  constructor(most: number) {
    this.#most = most
  }

  /** False when there would be too many. */
  add(from: Uint8Array, at: number, len: number): boolean {
    const length = this.length + len
    if (length > this.#most) return false
    if (length > this.octets.length) {
      const larger = new Uint8Array(Math.min(this.#most, Math.max(length, 2 * this.octets.length)))
      larger.set(this.octets.subarray(0, this.length))
      this.octets = larger
    }
    this.octets.set(from.subarray(at, at + len), this.length)
    this.length = length
    return true
  }

  clear(): void {
    this.length = 0
  }
}

/** Each octet a letter. */
export function latin1(octets: Uint8Array, at: number, end: number): string {
  let text = ''
  for (let from = at; from < end; from += 4096) {
    text += String.fromCharCode(...octets.subarray(from, Math.min(end, from + 4096)))
  }
  return text
}
