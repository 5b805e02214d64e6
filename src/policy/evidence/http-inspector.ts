/**
 * The client's side of an HTTP/1 connection: the head of each request is judged before it is sent, and what stands between
 * heads is known exactly (RFC 9112 §6.3).
 *
 *   head ──► body of Content-Length octets ──► head
 *        ├─► chunks ──► trailers           ──► head
 *        └─────────────────────────────────► head
 *
 * Servers and proxies read what is not quite right in different ways, and what one takes for a body is the next request for
 * another (request smuggling). So here nothing is mended: one line end, one space, one Host, one way to say how long
 * it is, or the connection ends.
 */
import { canonicalName } from '../names.ts'
import { Gathering, type Inspector, latin1 } from './inspector.ts'

/** Why a request to this host must not pass; undefined: it may. */
export type JudgeHost = (host: string) => string | undefined

/** Ours: servers take 8 to 64 KiB. */
const MAX_HEAD = 64 * 1024
/** Ours, for the line before a chunk, and one line of trailers. */
const MAX_LINE = 4096
const MAX_TRAILERS = 64

const CR = 13
const LF = 10

type Part = 'head' | 'body' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailer'

/** RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP\/1\.([01])$/
/** uri-host and port of RFC 3986 §3.2, no user before it. */
const AUTHORITY = /^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{0,5}))?$/
const CHUNK_SIZE = /^([0-9A-Fa-f]{1,12})(?:[ \t]*;[ \t!-~\x80-\xff]*)?$/
/** Of a value: no control character but tabs (RFC 9110 §5.5). */
const VALUE = /^[\t -~\x80-\xff]*$/

export class HttpInspector implements Inspector {
  state: 'reading' | 'open' | 'denied' = 'reading'
  passed = 0
  hasJudged = false
  problem = ''
  readonly #judge: JudgeHost
  readonly #gathered = new Gathering(MAX_HEAD)
  #part: Part = 'head'
  /** Octets left of a body or a chunk. */
  #left = 0
  #trailers = 0

  constructor(judge: JudgeHost) {
    this.#judge = judge
  }

  feed(octets: Uint8Array, at: number, len: number): void {
    for (const end = at + len; at < end && this.state === 'reading'; ) {
      const isCounted = this.#part === 'body' || this.#part === 'chunk'
      at += isCounted ? this.#skip(end - at) : this.#gatherLine(octets, at, end)
    }
  }

  end(): void {
    if (this.#part === 'head' && this.#gathered.length > 0) this.#deny('it ends within a head')
  }

  #skip(available: number): number {
    const n = Math.min(available, this.#left)
    this.#left -= n
    this.passed += n
    if (this.#left === 0) this.#part = this.#part === 'body' ? 'head' : 'chunk-end'
    return n
  }

  /** Takes octets up to the end of a line; returns how many. */
  #gatherLine(octets: Uint8Array, at: number, end: number): number {
    const lineEnd = octets.subarray(at, end).indexOf(LF)
    const len = lineEnd < 0 ? end - at : lineEnd + 1
    const gathered = this.#gathered
    const most = this.#part === 'head' ? MAX_HEAD : MAX_LINE
    if (gathered.length + len > most || !gathered.add(octets, at, len)) {
      this.#deny(this.#part === 'head' ? 'its head is too long' : 'a line is too long')
      return len
    }
    if (this.#part === 'head' && !this.#mayBeHttp()) {
      this.#deny('it is no HTTP/1')
      return len
    }
    if (lineEnd < 0) return len
    const { octets: line, length } = gathered
    if (line[length - 2] !== CR) this.#deny('a line does not end with CR LF')
    else if (this.#part !== 'head') this.#readLine(latin1(line, 0, length - 2))
    else if (length === 2) this.#deny('an empty line where a request should be')
    else if (line[length - 3] === LF) this.#readHead(latin1(line, 0, length - 4))
    return len
  }

  /** At once: what waits for a line end that never comes would wait for the time-out. */
  #mayBeHttp(): boolean {
    const { octets, length } = this.#gathered
    return length === 0 || (octets[0]! >= 0x41 && octets[0]! <= 0x7a)
  }

  #taken(): void {
    this.passed += this.#gathered.length
    this.#gathered.clear()
  }

  // --- chunks (RFC 9112 §7.1) ---

  #readLine(line: string): void {
    switch (this.#part) {
      case 'chunk-size': {
        const size = CHUNK_SIZE.exec(line)?.[1]
        if (size === undefined) return this.#deny('a chunk has no size')
        this.#left = Number.parseInt(size, 16)
        this.#part = this.#left === 0 ? 'trailer' : 'chunk'
        this.#trailers = 0
        break
      }
      case 'chunk-end':
        if (line !== '') return this.#deny('a chunk is longer than its size')
        this.#part = 'chunk-size'
        break
      default:
        if (line === '') this.#part = 'head'
        else if (++this.#trailers > MAX_TRAILERS || isFraming(readField(line)?.name)) {
          return this.#deny('it has trailers that it may not have')
        }
    }
    this.#taken()
  }

  // --- heads ---

  #readHead(text: string): void {
    const [requestLine = '', ...lines] = text.split('\r\n')
    const request = REQUEST_LINE.exec(requestLine)
    if (request === null) return this.#deny('it is no HTTP/1')
    const [, method = '', target = '', minor] = request
    const fields = new Map<string, string>()
    for (const line of lines) {
      const field = readField(line)
      if (field === undefined) return this.#deny('a field of its head is malformed')
      const { name, value } = field
      if (ONCE.includes(name) && fields.has(name)) return this.#deny(`it has ${name} twice`)
      fields.set(name, value)
    }
    const problem = this.#judgeHead(method, target, fields) ?? this.#frame(fields, minor === '1')
    if (problem !== undefined) return this.#deny(problem)
    this.#taken()
  }

  #judgeHead(method: string, target: string, fields: Map<string, string>): string | undefined {
    if (method === 'CONNECT') return 'CONNECT makes it a tunnel'
    if (fields.has('upgrade') || fields.has('http2-settings')) return 'it would be another protocol'
    const host = hostOf(fields.get('host'))
    if (host === undefined) return 'it has no Host'
    if (!target.startsWith('/') && !(method === 'OPTIONS' && target === '*')) {
      const [, authority] = /^http:\/\/([^/?#]+)(?:[/?].*)?$/i.exec(target) ?? []
      if (hostOf(authority) !== host) return 'its target is another host'
    }
    this.hasJudged = true
    return this.#judge(host)
  }

  /** How long its body is (RFC 9112 §6.3); a text: nobody can be sure. */
  #frame(fields: Map<string, string>, isHttp11: boolean): string | undefined {
    const coding = fields.get('transfer-encoding')
    const length = fields.get('content-length')
    this.#part = 'head'
    if (coding !== undefined) {
      if (length !== undefined) return 'it has Content-Length and Transfer-Encoding'
      if (!isHttp11 || coding.toLowerCase() !== 'chunked') return 'its Transfer-Encoding is unclear'
      this.#part = 'chunk-size'
    } else if (length !== undefined) {
      if (!/^\d{1,15}$/.test(length)) return 'its Content-Length is unclear'
      this.#left = Number(length)
      if (this.#left > 0) this.#part = 'body'
    }
    return undefined
  }

  #deny(problem: string): void {
    this.state = 'denied'
    this.problem = problem
  }
}

/** Fields of which there must not be two. */
const ONCE = ['host', 'content-length', 'transfer-encoding']

/** May not stand behind a body (RFC 9110 §6.5.1); nor may what is no field. */
const isFraming = (name: string | undefined): boolean => name === undefined || ONCE.includes(name)

/** `Name: value`, no blank before the colon, not folded (RFC 9112 §5.1, §5.2). */
function readField(line: string): { name: string; value: string } | undefined {
  const colon = line.indexOf(':')
  const name = line.slice(0, Math.max(0, colon))
  const value = line.slice(colon + 1)
  if (!TOKEN.test(name) || !VALUE.test(value)) return undefined
  return { name: name.toLowerCase(), value: trimmed(value) }
}

/** Without blanks at its ends. A regular expression would look at blanks within it again and again. */
function trimmed(value: string): string {
  const isBlank = (at: number): boolean => value[at] === ' ' || value[at] === '\t'
  let start = 0
  let end = value.length
  while (start < end && isBlank(start)) start++
  while (end > start && isBlank(end - 1)) end--
  return value.slice(start, end)
}

/** The host of a Host field or an authority, in its canonical form. */
function hostOf(text: string | undefined): string | undefined {
  const [, host = '', port = ''] = AUTHORITY.exec(text ?? '') ?? []
  if (host === '' || Number(port) > 65535) return undefined
  return host.startsWith('[') ? host.toLowerCase() : canonicalName(host)
}
