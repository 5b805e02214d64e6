/**
 * The host's name servers, as resolv.conf(5) has them now: read again when the file has changed,
 * looked at no more than once in a second.
 */
import { readFileSync, statSync } from 'node:fs'
import * as address from '../stack/wire/address.ts'

const CHECK_INTERVAL = 1000

export class Resolvers {
  readonly #path: string
  #servers: Int32Array[] = []
  #search: string[] = []
  #checkedAt = -Infinity
  #version = ''

  constructor(path = '/etc/resolv.conf') {
    this.#path = path
  }

  /** The name server to ask: four words; undefined when there is none. */
  current(): Int32Array | undefined {
    this.#refresh()
    return this.#servers[0]
  }

  /** The domains in which a name is looked for. */
  search(): readonly string[] {
    this.#refresh()
    return this.#search
  }

  #refresh(): void {
    const now = performance.now()
    if (now - this.#checkedAt < CHECK_INTERVAL) return
    this.#checkedAt = now
    try {
      const { mtimeMs, ino, size } = statSync(this.#path)
      const version = `${mtimeMs} ${ino} ${size}`
      if (version === this.#version) return
      const text = readFileSync(this.#path, 'utf8')
      this.#servers = parseResolvConf(text)
      this.#search = parseSearch(text)
      this.#version = version
    } catch {
      // It is being replaced, or is gone: what was known holds until there is something else.
    }
  }
}

/** The `nameserver` lines of a resolv.conf; a line with an address that is none is passed over. */
export function parseResolvConf(text: string): Int32Array[] {
  const servers: Int32Array[] = []
  for (const line of text.split('\n')) {
    const match = /^\s*nameserver\s+(\S+)/.exec(line)
    const words = new Int32Array(4)
    // A zone (fe80::1%eth0) cannot be reached by an address alone.
    if (match && address.parse(match[1]!, words)) servers.push(words)
  }
  return servers
}

/** The domains of its last `search` or `domain` line: each takes the place of those before it. */
export function parseSearch(text: string): string[] {
  const last = text.match(/^[ \t]*(?:search|domain)[ \t].*$/gm)?.at(-1)
  return last?.trim().split(/\s+/).slice(1) ?? []
}
