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
