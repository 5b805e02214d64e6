/**
 * The host's name servers, as resolv.conf(5) has them now: read again when the file has changed,
 * looked at no more than once in a second.
 */
import { readFileSync, statSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import * as address from '../stack/wire/address.ts'
import type { Endpoint } from '../sys/socket.ts'

export const DNS_PORT = 53
const CHECK_INTERVAL = 1000
/** Ours; glibc knows three (MAXNS). */
const MAX_SERVERS = 8
/** Ours: a server that let so many questions in a row go unanswered is asked last, for so many ms. */
const MAX_SILENCES = 2
const DEMOTION = 30_000
/** resolv.conf(5): without a `nameserver` line the local one is meant. */
const LOCAL: Server = serverOf('127.0.0.1', noZone)!

/** A name server. */
export interface Server extends Endpoint {
  /** Questions in a row that it let go unanswered. */
  silences: number
  /** Until when it is asked last. */
  demotedUntil: number
}

export class Resolvers {
  readonly #path: string
  readonly #clock: () => number
  #servers: Server[] = []
  #search: string[] = []
  #checkedAt = -Infinity
  #version = ''

  constructor(path = '/etc/resolv.conf', clock: () => number = () => performance.now()) {
    this.#path = path
    this.#clock = clock
  }

  /** The name servers in the order in which they are to be asked; there is always one. */
  servers(): readonly Server[] {
    this.#refresh()
    const now = this.#clock()
    const isDemoted = (server: Server): boolean => server.demotedUntil > now
    if (!this.#servers.some(isDemoted)) return this.#servers
    return [
      ...this.#servers.filter((server) => !isDemoted(server)),
      ...this.#servers.filter(isDemoted),
    ]
  }

  /** The server has let a question go unanswered for too long. */
  wasSilent(server: Server): void {
    if (++server.silences >= MAX_SILENCES) server.demotedUntil = this.#clock() + DEMOTION
  }

  /** The server has answered something. */
  hasAnswered(server: Server): void {
    server.silences = 0
    server.demotedUntil = -Infinity
  }

  /** The domains in which a name is looked for. */
  search(): readonly string[] {
    this.#refresh()
    return this.#search
  }

  #refresh(): void {
    const now = this.#clock()
    if (now - this.#checkedAt < CHECK_INTERVAL) return
    this.#checkedAt = now
    try {
      const { mtimeMs, ino, size } = statSync(this.#path)
      const version = `${mtimeMs} ${ino} ${size}`
      if (version === this.#version) return
      const text = readFileSync(this.#path, 'utf8')
      // Just cut to nothing: somebody is writing it anew.
      if (text === '' && this.#servers.length > 0) return
      this.#servers = parseResolvConf(text, zoneOf)
      this.#search = parseSearch(text)
      this.#version = version
    } catch {
      // It is being replaced, or is gone: what was known holds until there is something else.
    }
    if (this.#servers.length === 0) this.#servers = [LOCAL]
  }
}

/**
 * The `nameserver` lines of a resolv.conf, each server once; a line with an address that is none is passed
 * over. `zoneOf` is asked for the index of the interface in fe80::1%eth0.
 */
export function parseResolvConf(text: string, zoneOf: (zone: string) => number): Server[] {
  const servers: Server[] = []
  for (const line of text.split('\n')) {
    const match = /^\s*nameserver\s+(\S+)/.exec(line)
    const server = match && serverOf(match[1]!, zoneOf)
    if (!server || servers.some((known) => isSame(known, server))) continue
    if (servers.push(server) >= MAX_SERVERS) break
  }
  return servers
}

function serverOf(text: string, zoneOf: (zone: string) => number): Server | undefined {
  const [, host = '', zone] = /^([^%]*)(?:%(.+))?$/.exec(text) ?? []
  const words = new Int32Array(4)
  if (!address.parse(host, words)) return undefined
  const scope = zone === undefined ? 0 : zoneOf(zone)
  // Without its interface, the address leads nowhere.
  if (zone !== undefined && scope === 0) return undefined
  return { words, port: DNS_PORT, scope, silences: 0, demotedUntil: -Infinity }
}

const isSame = (a: Server, b: Server): boolean =>
  address.equals(a.words, b.words) && a.scope === b.scope

function noZone(): number {
  return 0
}

/** The index of an interface by its name or in digits; 0: there is none, or it has no IPv6. */
function zoneOf(zone: string): number {
  if (/^\d{1,9}$/.test(zone)) return Number(zone)
  const entries = new Map(Object.entries(networkInterfaces())).get(zone) ?? []
  for (const entry of entries) if (entry.family === 'IPv6' && entry.scopeid) return entry.scopeid
  return 0
}

/** The domains of its last `search` or `domain` line: each takes the place of those before it. */
export function parseSearch(text: string): string[] {
  const last = text.match(/^[ \t]*(?:search|domain)[ \t].*$/gm)?.at(-1)
  return last?.trim().split(/\s+/).slice(1) ?? []
}
