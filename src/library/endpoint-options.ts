/** Options of endpoints, checked before anything is asked of the data plane: as in options.ts. */
import { addressesOf, ipv6Subnet } from '../engine/addresses.ts'
import type { EndpointOptions, NetworkOptions } from '../engine/types.ts'
import * as address from '../stack/wire/address.ts'
import {
  MAX_TIMEOUT,
  mistyped,
  readBoolean,
  readInteger,
  readObject,
  readSignal,
  wrong,
} from './values.ts'

/** What has to do with a stream's buffers and its end, as of `net.Server` and `net.Socket`. */
export interface StreamOptions {
  /** When the guest has sent its last octet, end our side, too (false, the default), or leave it open. */
  readonly allowHalfOpen?: boolean | undefined
  /**
   * Octets that may wait in the program, each way, before the guest's window closes or `write` answers false: 4096 to 1 MiB.
   * Default: 256 KiB.
   */
  readonly highWaterMark?: number | undefined
}

export interface ListenOptions extends StreamOptions {
  /**
   * Any address, IPv4 or, with `ipv6`, IPv6, that no guest has and that is not loopback, link-local IPv6 or multicast. One that is neither the
   * gateway's nor the name server's is the program's as long as it has a port there: it answers ping, and all other ports of it are refused.
   * Default: the gateway's.
   */
  readonly address?: string | undefined
  /** 0 is any that is free. */
  readonly port: number
  /** Asked for this name, `addresses.dns` answers with the address. Only with `dns`. */
  readonly name?: string | undefined
}

export interface ConnectOptions extends StreamOptions {
  /** An address of the container's subnet. Default: `addresses.guest`. */
  readonly host?: string | undefined
  readonly port: number
  /** Rejects with ETIMEDOUT after so many ms. Default: some three minutes. */
  readonly timeout?: number | undefined
  /** Cancels dialling. Without effect on a stream that is there. */
  readonly signal?: AbortSignal | undefined
}

export interface BindOptions {
  /** As of `listen`. Default: the gateway's. */
  readonly address?: string | undefined
  /** 0, the default, is any that is free. */
  readonly port?: number | undefined
  readonly name?: string | undefined
}

const DEFAULT_WINDOW = 256 * 1024
/** As much as the stack queues for one connection. */
const MAX_WINDOW = 1024 * 1024
const MIN_WINDOW = 4096
/** RFC 1035 §2.3.4. */
const MAX_NAME = 253

const ENDPOINT = ['address', 'port', 'name'] as const
const STREAM = ['allowHalfOpen', 'highWaterMark'] as const

export function readListenOptions(
  given: unknown,
  network: NetworkOptions,
): { endpoint: EndpointOptions; allowHalfOpen: boolean } {
  const options = readObject(given, 'options', [...ENDPOINT, ...STREAM])
  const { port } = options
  return {
    endpoint: { proto: 'tcp', ...readPlace(options, port, network), window: readWindow(options) },
    allowHalfOpen: readBoolean(options, 'allowHalfOpen', false),
  }
}

export function readBindOptions(given: unknown, network: NetworkOptions): EndpointOptions {
  const options = readObject(given, 'options', ENDPOINT)
  const { port = 0 } = options
  return { proto: 'udp', ...readPlace(options, port, network), window: 0 }
}

export interface Dial {
  readonly host: Int32Array
  /** Nobody said a host. */
  readonly isDefault: boolean
  readonly port: number
  /** 0: as long as TCP tries. */
  readonly timeout: number
  readonly signal: AbortSignal | undefined
  readonly window: number
  readonly allowHalfOpen: boolean
}

export function readConnectOptions(given: unknown, network: NetworkOptions): Dial {
  const names = ['host', 'port', 'timeout', 'signal', ...STREAM] as const
  const options = readObject(given, 'options', names)
  const { host, port, timeout = 0, signal } = options
  return {
    host: readGuest(host, 'options.host', network),
    isDefault: host === undefined,
    port: readInteger(port, 'options.port', 1, 65535),
    timeout: readInteger(timeout, 'options.timeout', 0, MAX_TIMEOUT),
    signal: readSignal(signal),
    window: readWindow(options),
    allowHalfOpen: readBoolean(options, 'allowHalfOpen', false),
  }
}

/** A guest's address as four words; undefined is the one that is configured. */
export function readGuest(
  given: unknown,
  name: string,
  { cidr, ipv6 }: NetworkOptions,
): Int32Array {
  const words = new Int32Array(4)
  const { network, prefix } = cidr
  if (given === undefined) {
    address.mapped(addressesOf(network, prefix).guest, words)
    return words
  }
  const { prefix: prefix6 } = ipv6Subnet(false)
  const isThere =
    typeof given === 'string' &&
    address.parse(given, words) &&
    (address.isMapped(words)
      ? address.isIn(words[3]!, network, prefix)
      : ipv6 && (isLinkLocal6(words) || (words[0] === prefix6[0] && words[1] === prefix6[1])))
  if (isThere) return words
  const of6 = ipv6 ? `, ${address.format(prefix6)}/64 or fe80::/10` : ''
  const wanted = `an address in ${address.formatIpv4(network)}/${prefix}${of6}`
  throw wrong(given, name, wanted, typeof given === 'string')
}

function readPlace(
  { address: given, name }: Partial<Record<(typeof ENDPOINT)[number], unknown>>,
  port: unknown,
  network: NetworkOptions,
): Pick<EndpointOptions, 'address' | 'port' | 'name'> {
  return {
    address: readAddress(given, network),
    port: readInteger(port, 'options.port', 0, 65535),
    name: readName(name, network.dns),
  }
}

function readAddress(given: unknown, { cidr, ipv6 }: NetworkOptions): string {
  const own = addressesOf(cidr.network, cidr.prefix)
  if (given === undefined) return address.formatIpv4(own.gateway)
  const words = new Int32Array(4)
  const isRight = typeof given === 'string' && address.parse(given, words)
  if (
    isRight &&
    (address.isMapped(words) ? isVirtual4(words[3]!, own) : ipv6 && isVirtual6(words))
  ) {
    return address.format(words)
  }
  const versions = ipv6 ? 'an IP address' : 'an IPv4 address'
  const wanted = `${versions} that packets may be for and that is no guest's`
  throw wrong(given, 'options.address', wanted, typeof given === 'string')
}

/** Not what no packet is for, and not the container's, nor what DHCP lends. */
function isVirtual4(addr: number, own: ReturnType<typeof addressesOf>): boolean {
  const isUnicast = !(
    address.isThisNetwork(addr) ||
    address.isLoopback(addr) ||
    address.isMulticast(addr) ||
    address.isReserved(addr)
  )
  const { network, netmask, guest, dhcpBegin, dhcpEnd } = own
  if (!isUnicast || (addr & netmask) !== network) return isUnicast
  const isLent = addr - dhcpBegin >= 0 && dhcpEnd - addr >= 0
  return addr !== network && addr !== (network | ~netmask) && addr !== guest && !isLent
}

/** As of what comes (stack/ipv6-layer.ts): no multicast, link-local, loopback, unspecified, nor IPv4 in disguise. */
function isVirtual6(words: Int32Array): boolean {
  const first = words[0]!
  if (first >>> 24 === 0xff || isLinkLocal6(words)) return false
  return first !== 0 || words[1] !== 0
}

/** RFC 4291 §2.5.6: a guest speaks from such an address as well. */
const isLinkLocal6 = (words: Int32Array): boolean => words[0]! >>> 22 === 0xfe80 >>> 6

/** In lower case, without the dot that ends it. */
function readName(given: unknown, dns: boolean): string | undefined {
  if (given === undefined) return undefined
  if (!dns) throw mistyped('options.name: the network must be one with dns')
  const label = '[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?'
  const name = typeof given === 'string' ? given.toLowerCase().replace(/\.$/, '') : ''
  if (name.length <= MAX_NAME && new RegExp(`^${label}(\\.${label})*$`).test(name)) return name
  const wanted = "a name such as 'metadata.internal'"
  throw wrong(given, 'options.name', wanted, typeof given === 'string')
}

function readWindow({ highWaterMark = DEFAULT_WINDOW }: { highWaterMark?: unknown }): number {
  return readInteger(highWaterMark, 'options.highWaterMark', MIN_WINDOW, MAX_WINDOW)
}
