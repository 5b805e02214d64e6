/**
 * JSON (RFC 8259) with positions: what stands where in the text, so that a mistake in a policy is shown by line and
 * column. JSON.parse tells neither, takes the last of two members of one name, and says other words in each Node.
 */

/** Where in a document: names of members and indices of elements, from its top. */
export type Path = readonly (string | number)[]

/** Ours: a document that is nested deeper is none of a person's. */
const MAX_DEPTH = 32

export class JsonError extends Error {
  /** Offset in the text. */
  readonly at: number

  constructor(message: string, at: number) {
    super(message)
    this.name = 'JsonError'
    this.at = at
  }
}

export interface JsonDocument {
  readonly value: unknown
  /** The offset of the value at `path`; of the nearest one around it when there is none. */
  offsetOf(path: Path): number
  /** The offset of a member's name; that of its value, where it is no member. */
  offsetOfName(path: Path): number
}

/** Reads a whole text. Throws a {@link JsonError}. */
export function parseJson(text: string): JsonDocument {
  const reader = new Reader(text)
  const value = reader.readDocument()
  const { values, names } = reader
  const offsetOf = (path: Path): number => {
    for (let depth = path.length; depth > 0; depth--) {
      const at = values.get(keyOf(path.slice(0, depth)))
      if (at !== undefined) return at
    }
    return values.get('')!
  }
  return {
    value,
    offsetOf,
    offsetOfName: (path) => names.get(keyOf(path)) ?? offsetOf(path),
  }
}

/** Line and column, both from 1; a column is a UTF-16 unit, as editors count them. */
export function positionOf(text: string, at: number): { line: number; column: number } {
  const before = text.slice(0, at)
  const lineStart = before.lastIndexOf('\n') + 1
  return { line: before.split('\n').length, column: at - lineStart + 1 }
}

const keyOf = (path: Path): string => path.map((step) => `/${step}`.replaceAll('~', '~0')).join('')

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const BLANK = /[ \t\n\r]*/y
const LITERALS: readonly [string, unknown][] = [
  ['true', true],
  ['false', false],
  ['null', null],
]
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}

class Reader {
  readonly values: Map<string, number> = new Map()
  readonly names: Map<string, number> = new Map()
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
    if (text.startsWith('\ufeff')) this.#at = 1
  }

  readDocument(): unknown {
    this.#skipBlank()
    const value = this.#readValue([])
    this.#skipBlank()
    if (this.#at < this.#text.length) throw this.#wrong('the end')
    return value
  }

  #readValue(path: Path): unknown {
    if (path.length > MAX_DEPTH) throw new JsonError('nested too deep', this.#at)
    this.values.set(keyOf(path), this.#at)
    const next = this.#text[this.#at]
    if (next === '{') return this.#readObject(path)
    if (next === '[') return this.#readArray(path)
    if (next === '"') return this.#readString()
    for (const [word, value] of LITERALS) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length
        return value
      }
    }
    const number = this.#match(NUMBER)
    if (number === '') throw this.#wrong('a value')
    return Number(number)
  }

  #readObject(path: Path): object {
    const entries = new Map<string, unknown>()
    this.#readList('}', () => {
      const at = this.#at
      if (this.#text[at] !== '"') throw this.#wrong('a name in quotes')
      const name = this.#readString()
      if (entries.has(name)) throw new JsonError(`"${name}" stands here twice`, at)
      const member = [...path, name]
      this.names.set(keyOf(member), at)
      this.#skipBlank()
      if (this.#text[this.#at] !== ':') throw this.#wrong('a colon')
      this.#at++
      this.#skipBlank()
      entries.set(name, this.#readValue(member))
    })
    return Object.fromEntries(entries)
  }

  #readArray(path: Path): unknown[] {
    const elements: unknown[] = []
    this.#readList(']', () => {
      elements.push(this.#readValue([...path, elements.length]))
    })
    return elements
  }

  /** What stands between a bracket and `end`, with commas in between. */
  #readList(end: string, readOne: () => void): void {
    this.#at++
    this.#skipBlank()
    if (this.#text[this.#at] === end) {
      this.#at++
      return
    }
    for (;;) {
      readOne()
      this.#skipBlank()
      const next = this.#text[this.#at]
      if (next !== ',' && next !== end) throw this.#wrong(`a comma or ${end}`)
      this.#at++
      if (next === end) return
      this.#skipBlank()
    }
  }

  #readString(): string {
    const start = this.#at++
    let value = ''
    for (;;) {
      const octet = this.#text[this.#at]
      if (octet === undefined) throw new JsonError('this text does not end', start)
      if (octet === '"') {
        this.#at++
        return value
      }
      if (octet < ' ') throw new JsonError('a control character in a text', this.#at)
      if (octet === '\\') value += this.#readEscape()
      else {
        value += octet
        this.#at++
      }
    }
  }

  #readEscape(): string {
    const letter = this.#text[this.#at + 1] ?? ''
    if (letter === 'u') {
      const digits = this.#text.slice(this.#at + 2, this.#at + 6)
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw new JsonError('not \\uXXXX', this.#at)
      this.#at += 6
      return String.fromCharCode(Number.parseInt(digits, 16))
    }
    const value = Object.hasOwn(ESCAPES, letter) ? ESCAPES[letter] : undefined
    if (value === undefined) throw new JsonError('not an escape', this.#at)
    this.#at += 2
    return value
  }

  #skipBlank(): void {
    this.#match(BLANK)
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0] ?? ''
    this.#at += found.length
    return found
  }

  #wrong(expected: string): JsonError {
    const found = this.#text[this.#at]
    const what = found === undefined ? 'the text ends' : `there is ${JSON.stringify(found)}`
    return new JsonError(`${what} where ${expected} should be`, this.#at)
  }
}
