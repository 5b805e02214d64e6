/** The addresses that follow from the subnet, as slirp4netns has them. Signed int32 throughout. */
import type { Ipv6Subnet } from '../stack/ipv6-layer.ts'
import * as address from '../stack/wire/address.ts'
import type { Addresses } from './types.ts'

export interface SubnetAddresses {
  readonly network: number
  readonly netmask: number
  /** Network + 2: the guest's router, and the host's loopback. */
  readonly gateway: number
  /** Network + 3. */
  readonly dns: number
  /** Network + 15 … + 30. */
  readonly dhcpBegin: number
  readonly dhcpEnd: number
  /** Network + 100: the address that `configure` gives, and to which forwards go by default. */
  readonly guest: number
}

export function addressesOf(network: number, prefix: number): SubnetAddresses {
  return {
    network,
    netmask: address.mask(prefix),
    gateway: network + 2,
    dns: network + 3,
    dhcpBegin: network + 15,
    dhcpEnd: network + 30,
    guest: network + 100,
  }
}

export function formatAddresses(addresses: SubnetAddresses): Addresses {
  const text = address.formatIpv4
  return {
    network: text(addresses.network),
    netmask: text(addresses.netmask),
    gateway: text(addresses.gateway),
    dns: text(addresses.dns),
    guest: text(addresses.guest),
    dhcpBegin: text(addresses.dhcpBegin),
    dhcpEnd: text(addresses.dhcpEnd),
  }
}

/** The address that a kernel makes itself on a prefix of its MAC (RFC 4291 appendix A: EUI-64). */
export function slaacAddress(prefix: Int32Array, mac: Uint8Array): Int32Array {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = mac
  const high = ((a ^ 2) << 24) | (b << 16) | (c << 8) | 0xff
  const low = (0xfe << 24) | (d << 16) | (e << 8) | f
  return Int32Array.of(prefix[0]!, prefix[1]!, high, low)
}

/** IPv6 as slirp4netns has it: fd00::/64, with the gateway at ::2 and DNS at ::3. */
export function ipv6Subnet(advertiseDns: boolean): Ipv6Subnet {
  const prefix = 0xfd000000 | 0
  return {
    prefix: Int32Array.of(prefix, 0, 0, 0),
    gateway: Int32Array.of(prefix, 0, 0, 2),
    dns: Int32Array.of(prefix, 0, 0, 3),
    linkLocal: Int32Array.of(0xfe800000 | 0, 0, 0, 2),
    advertiseDns,
  }
}
