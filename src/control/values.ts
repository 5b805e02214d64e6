/**
 * The values of the command line, one reader each: text in, a checked value out, or a `Refusal` in upstream's words.
 * Pure.
 */

import {
  DEFAULT_CIDR,
  KEEP_ALIVE,
  LIMIT_NAMES,
  LIMITS,
  type Limits,
  MAX_MTU,
  MAX_PREFIX,
} from '../engine/limits.ts'
import type { KeepAliveOption } from '../engine/types.ts'
import { parseIpv4 } from '../stack/wire/address.ts'
import type { FlowLogFormat } from './flow-log.ts'
import type { Level } from './log.ts'
import { type MetricsAddress, readMetricsAddress } from './metrics-address.ts'

/** sizeof(sockaddr_un.sun_path), with the NUL that ends it. */
const SUN_PATH_LEN = 108
/** IFNAMSIZ of <linux/if.h>, with the NUL that ends it. */
const IFNAMSIZ = 16
const MAX_INT = 0x7fffffff

/** What is told of a run, to whom, and how much of it. */
export interface Observation {
  logLevel: Level
  flowLog?: FlowLogFormat
  /** The file of the capture. */
  pcap?: string
  /** Where counters are served. */
  metrics?: MetricsAddress
}

/** Ends the parsing. `usage`: does upstream's usage text follow this reason? */
export class Refusal extends Error {
  readonly usage: boolean
  constructor(reason: string, usage: boolean) {
    super(reason)
    this.usage = usage
  }
}
/** The command line is wrong: the usage text follows. */
export const misused = (reason = ''): Refusal => new Refusal(reason, true)
/** A value is wrong, or cannot be had. */
export const refused = (reason: string): Refusal => new Refusal(reason, false)

/** An integer as strtol(3) reads one that fills the whole word. */
function readInteger(text: string): number | undefined {
  return /^\s*[+-]?\d+$/.test(text) ? Number(text) : undefined
}

export function readDescriptor(text: string, what: string): number {
  const fd = readInteger(text)
  if (fd === undefined || fd < 0 || fd > MAX_INT) {
    throw misused(`${what} must be a non-negative integer`)
  }
  return fd
}

export function readPid(text: string): number {
  const pid = readInteger(text)
  if (pid === undefined || pid < 1 || pid > MAX_INT) throw misused('PID must be a positive integer')
  return pid
}

export function readMtu(text: string): number {
  const mtu = readInteger(text)
  if (mtu === undefined || mtu < 1 || mtu > MAX_MTU) {
    throw misused(`MTU must be a positive integer (< ${MAX_MTU + 1})`)
  }
  return mtu
}

export function readTapName(text: string): string {
  // The kernel would cut a longer name, and the interface would not have the name that the caller knows.
  const isName = /^[^/:\s]+$/.test(text) && text !== '.' && text !== '..'
  if (!isName || Buffer.byteLength(text) >= IFNAMSIZ) {
    throw misused(
      `TAPNAME must be an interface name (1 to ${IFNAMSIZ - 1} octets, no "/", no ":", no blank), not "${text}"`,
    )
  }
  return text
}

export function readCidr(text: string): { network: number; prefix: number } {
  const parts = /^(\d{1,3}(?:\.\d{1,3}){3})\/(\d{1,2})$/.exec(text)
  if (!parts) throw refused(`invalid CIDR: ${text}`)
  const [, address = '', length] = parts
  const network = parseIpv4(address)
  if (network === undefined) throw refused(`invalid network address: ${address}`)
  const prefix = Number(length)
  if (prefix < 1 || prefix > MAX_PREFIX) {
    throw refused(`prefix length needs to be 1-${MAX_PREFIX}, not ${prefix}`)
  }
  if (network << prefix !== 0) {
    throw refused(`CIDR needs to be a network address like ${DEFAULT_CIDR}, not like ${text}`)
  }
  return { network, prefix }
}

export function readMac(text: string): Uint8Array {
  const invalid = (more = '') =>
    refused(
      `"${text}" is an invalid MAC address.${more}\n` +
        "macaddress has to be a valid MAC address (hex string, 6 bytes, each byte separated by a ':').",
    )
  if (text.split(':').length > 6) throw invalid('  Is it too long?')
  if (!/^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i.test(text)) throw invalid()
  const octets = Uint8Array.from(text.split(':'), (octet) => Number.parseInt(octet, 16))
  // The kernel has both refused for an interface (is_valid_ether_addr), but only when the TAP is there already.
  if (octets[0]! & 1) throw invalid('  It is a group address.')
  if (octets.every((octet) => octet === 0)) throw invalid('  It is all zero.')
  return octets
}

export function readChoice<Choice extends string>(
  text: string,
  option: string,
  choices: readonly Choice[],
): Choice {
  const choice = choices.find((each) => each === text)
  if (choice !== undefined) return choice
  throw misused(`--${option} must be one of ${choices.join(', ')}, not "${text}"`)
}

/** A number, in decimal; with K, M or G it is of 1024, 1024² or 1024³. */
function readAmount(text: string): number | undefined {
  const [, number, unit = ''] = /^(\d+)([KMG]?)$/.exec(text) ?? []
  return number === undefined ? undefined : Number(number) * 1024 ** ' KMG'.indexOf(unit || ' ')
}

/** NAME=NUMBER of --limit; the names are the library's, written with dashes. */
export function readLimit(text: string): Partial<Limits> {
  const [option = '', ...rest] = text.split('=')
  const name = LIMIT_NAMES.find((known) => dashed(known) === option)
  if (name === undefined) {
    const names = LIMIT_NAMES.map(dashed).join(', ')
    throw misused(`--limit must be NAME=NUMBER with one of ${names}, not "${text}"`)
  }
  const { least, most } = LIMITS[name]
  const amount = readAmount(rest.join('='))
  if (amount === undefined || amount < least || amount > most) {
    throw misused(
      `--limit=${option} must be an integer from ${least} to ${most}, not "${rest.join('=')}"`,
    )
  }
  return { [name]: amount }
}

export const dashed = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/** IDLE[,INTERVAL[,PROBES]] in seconds, or `off`. */
export function readKeepAlive(text: string): KeepAliveOption {
  if (text === 'off') return 'off'
  const given = text.split(',')
  const part = (index: number, name: keyof typeof KEEP_ALIVE, unit: number): number | undefined => {
    const { least, most, default: otherwise } = KEEP_ALIVE[name]
    const { [index]: word } = given
    if (word === undefined) return otherwise
    const value = /^\d+$/.test(word) ? Number(word) * unit : undefined
    return value !== undefined && value >= least && value <= most ? value : undefined
  }
  const idle = part(0, 'idle', 1000)
  const interval = part(1, 'interval', 1000)
  const probes = part(2, 'probes', 1)
  if (given.length > 3 || idle === undefined || interval === undefined || probes === undefined) {
    throw misused(
      '--keepalive must be off or IDLE[,INTERVAL[,PROBES]], seconds from 1 to 32767 and a number from 1 to 127, ' +
        `not "${text}"`,
    )
  }
  return { idle, interval, probes }
}

export function readFilePath(text: string, option: string): string {
  if (text === '') throw misused(`--${option} must not be empty`)
  return text
}

export function readMetrics(text: string): MetricsAddress {
  const address = readMetricsAddress(text)
  if (address === undefined) {
    throw misused(
      `--metrics must be a path with a slash in it or an address such as 127.0.0.1:9100, not "${text}"`,
    )
  }
  if ('path' in address && Buffer.byteLength(address.path) >= SUN_PATH_LEN) {
    throw refused(`the path of --metrics is too long (>= ${SUN_PATH_LEN})`)
  }
  return address
}

/** A path that a socket can be bound to. `what` is upstream's name for the socket. */
export function readSocketPath(text: string, what: 'API' | 'BESS'): string {
  if (text === '') throw misused(`the ${what} socket path must not be empty`)
  if (Buffer.byteLength(text) >= SUN_PATH_LEN) {
    throw refused(`the specified ${what} socket path is too long (>= ${SUN_PATH_LEN})`)
  }
  return text
}
