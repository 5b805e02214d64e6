/**
 * Brings the guest's interfaces up as slirp4netns -c does: loopback, then the TAP with its MTU, MAC
 * address, IPv4 address, netmask and default route. By ioctls on a socket that was opened in the
 * guest's network namespace, so that no `ip` is needed and the caller may be anywhere.
 */
import {
  EEXIST,
  IFF_RUNNING,
  IFF_UP,
  RTF_GATEWAY,
  RTF_UP,
  SIOCADDRT,
  SIOCGIFFLAGS,
  SIOCGIFHWADDR,
  SIOCSIFADDR,
  SIOCSIFFLAGS,
  SIOCSIFHWADDR,
  SIOCSIFMTU,
  SIOCSIFNETMASK,
} from '../sys/constants.ts'
import { must } from '../sys/errors.ts'
import { tryIoctl } from '../sys/ioctl.ts'
import * as ifreq from './interface-request.ts'

/** IPv4 addresses are signed 32-bit numbers in network order. */
export interface Configuration {
  readonly mtu: number
  readonly address: number
  readonly netmask: number
  readonly gateway: number
  /** Without it the interface keeps the address that the kernel gave it. */
  readonly macAddress?: Uint8Array | undefined
}

/** `socket` is an AF_INET socket of the guest's namespace. Throws a SystemError. */
export function configure(socket: number, name: string, configuration: Configuration): void {
  const { mtu, address, netmask, gateway, macAddress } = configuration
  const what = `cannot configure ${name}`
  const set = (request: number, call: string, fill: (r: Uint8Array) => void): void => {
    const struct = ifreq.interfaceRequest(name)
    fill(struct)
    must(tryIoctl(socket, request, struct), `ioctl(${call})`, what)
  }
  bringUp(socket, 'lo')
  if (macAddress !== undefined) {
    set(SIOCSIFHWADDR, 'SIOCSIFHWADDR', (r) => ifreq.setRequestMac(r, macAddress))
  }
  bringUp(socket, name)
  set(SIOCSIFMTU, 'SIOCSIFMTU', (r) => ifreq.setRequestInt(r, mtu))
  set(SIOCSIFADDR, 'SIOCSIFADDR', (r) => ifreq.setRequestAddress(r, address))
  set(SIOCSIFNETMASK, 'SIOCSIFNETMASK', (r) => ifreq.setRequestAddress(r, netmask))
  const added = tryIoctl(socket, SIOCADDRT, defaultRoute(gateway))
  // EEXIST is the very same route: on a persistent TAP that somebody configured before us.
  if (added !== -EEXIST) must(added, 'ioctl(SIOCADDRT)', what)
}

/** Sets IFF_UP and leaves the other flags alone. */
export function bringUp(socket: number, name: string): void {
  const what = `cannot bring up ${name}`
  const request = ifreq.interfaceRequest(name)
  must(tryIoctl(socket, SIOCGIFFLAGS, request), 'ioctl(SIOCGIFFLAGS)', what)
  ifreq.setRequestFlags(request, ifreq.requestFlags(request) | IFF_UP | IFF_RUNNING)
  must(tryIoctl(socket, SIOCSIFFLAGS, request), 'ioctl(SIOCSIFFLAGS)', what)
}

/** The MAC address of an interface. A TAP's own descriptor answers this as a socket does. */
export function macAddressOf(fd: number, name: string): Uint8Array {
  const request = ifreq.interfaceRequest(name)
  const failed = tryIoctl(fd, SIOCGIFHWADDR, request)
  must(failed, 'ioctl(SIOCGIFHWADDR)', `cannot read the MAC address of ${name}`)
  return ifreq.requestMac(request)
}

/** struct rtentry of 120 octets: destination at 8, gateway at 24, netmask at 40, flags at 56. */
function defaultRoute(gateway: number): Uint8Array {
  const route = new Uint8Array(120)
  const view = new DataView(route.buffer)
  ifreq.setIpv4Sockaddr(view, 8, 0)
  ifreq.setIpv4Sockaddr(view, 24, gateway)
  ifreq.setIpv4Sockaddr(view, 40, 0)
  view.setUint16(56, RTF_UP | RTF_GATEWAY, true)
  return route
}
