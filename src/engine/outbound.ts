/** Which addresses of the host the guest's flows go out from, when the caller has said so. */
import { existsSync, readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import type { OutboundAddresses } from '../nat/outbound.ts'
import * as address from '../stack/wire/address.ts'
import * as ipv6 from '../stack/wire/ipv6.ts'
import { AF_INET, SIOCGIFADDR, SOCK_DGRAM } from '../sys/constants.ts'
import { close } from '../sys/io.ts'
import { tryIoctl } from '../sys/ioctl.ts'
import { socket } from '../sys/socket.ts'
import { interfaceRequest, isInterfaceName, requestAddress } from '../tap/interface-request.ts'
import type { NetworkOptions } from './types.ts'

export type Family = 'IPv4' | 'IPv6'

/**
 * The address that is meant by an address or the name of an interface: the first of that family that the interface
 * has. A link-local one leads nowhere outside, so it does not count there. Undefined when there is none.
 */
export function outboundAddress(text: string, family: Family): Int32Array | undefined {
  const words = new Int32Array(4)
  if (address.parse(text, words)) return familyOf(words) === family ? words : undefined
  const interfaces = new Map(Object.entries(networkInterfaces()))
  for (const entry of interfaces.get(text) ?? []) {
    const isUsable = entry.family === family && address.parse(entry.address, words)
    if (isUsable && !(family === 'IPv6' && ipv6.isLinkLocal(words, 0))) return words
  }
  if (interfaces.has(text) || !isInterfaceName(text)) return undefined
  return family === 'IPv4' ? restingAddress(text, words) : restingAddress6(text, words)
}

/** Of an interface without a carrier, or that is down: Node leaves it out. */
function restingAddress(name: string, words: Int32Array): Int32Array | undefined {
  const fd = socket(AF_INET, SOCK_DGRAM)
  const request = interfaceRequest(name)
  const result = tryIoctl(fd, SIOCGIFADDR, request)
  close(fd)
  if (result < 0) return undefined
  address.mapped(requestAddress(request), words)
  return words
}

/** The same by a line of proc(5): the address in hexadecimal digits, five fields, and the name at the end. */
function restingAddress6(name: string, words: Int32Array): Int32Array | undefined {
  const table = '/proc/net/if_inet6'
  const lines = existsSync(table) ? readFileSync(table, 'utf8').split('\n') : []
  for (const line of lines) {
    if (line.split(/\s+/)[5] !== name) continue
    for (let i = 0; i < 4; i++) words[i] = Number.parseInt(line.slice(8 * i, 8 * i + 8), 16)
    if (!ipv6.isLinkLocal(words, 0)) return words
  }
  return undefined
}

/** What the options say, as addresses. Throws when an interface has lost its address meanwhile. */
export function outboundAddresses({
  outboundAddr,
  outboundAddr6,
}: NetworkOptions): OutboundAddresses {
  return {
    ...(outboundAddr !== undefined && { ipv4: mustHave(outboundAddr, 'IPv4') }),
    ...(outboundAddr6 !== undefined && { ipv6: mustHave(outboundAddr6, 'IPv6') }),
  }
}

function mustHave(text: string, family: Family): Int32Array {
  const found = outboundAddress(text, family)
  if (found !== undefined) return found
  throw new Error(`cannot go out from ${text}: the interface has no ${family} address`)
}

const familyOf = (words: Int32Array): Family => (address.isMapped(words) ? 'IPv4' : 'IPv6')
