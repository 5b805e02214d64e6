/**
 * struct ifreq, by which the kernel is asked about an interface (netdevice(7)): its name, and in the
 * second half a value, whose kind depends on the request.
 *
 *   0                16                                     40
 *   | name, NUL      | flags, index, MTU, sockaddr or name  |
 */
import { AF_INET, ARPHRD_ETHER, IFNAMSIZ } from '../sys/constants.ts'

const IFREQ_LEN = 40
const VALUE = IFNAMSIZ

/** A name that the kernel takes: dev_valid_name(), and not longer than a request has room for. */
export function isInterfaceName(name: string): boolean {
  return (
    /^[^\s/:\0]{1,15}$/.test(name) && Buffer.byteLength(name) < IFNAMSIZ && !/^\.{1,2}$/.test(name)
  )
}

export function interfaceRequest(name: string): Uint8Array {
  const request = new Uint8Array(IFREQ_LEN)
  new TextEncoder().encodeInto(name, request.subarray(0, IFNAMSIZ - 1))
  return request
}

/** The name in it, which the kernel may have filled in. */
export function requestName(request: Uint8Array): string {
  const end = request.indexOf(0)
  return new TextDecoder().decode(request.subarray(0, Math.min(end, IFNAMSIZ)))
}

export function requestFlags(request: Uint8Array): number {
  return viewOf(request).getUint16(VALUE, true)
}

export function setRequestFlags(request: Uint8Array, flags: number): void {
  viewOf(request).setUint16(VALUE, flags, true)
}

export function requestInt(request: Uint8Array): number {
  return viewOf(request).getInt32(VALUE, true)
}

export function setRequestInt(request: Uint8Array, value: number): void {
  viewOf(request).setInt32(VALUE, value, true)
}

/** An IPv4 address or netmask, as a sockaddr_in. */
export function setRequestAddress(request: Uint8Array, address: number): void {
  setIpv4Sockaddr(viewOf(request), VALUE, address)
}

export function requestAddress(request: Uint8Array): number {
  return viewOf(request).getInt32(VALUE + 4)
}

/** A sockaddr_in without a port. */
export function setIpv4Sockaddr(view: DataView, at: number, address: number): void {
  view.setUint16(at, AF_INET, true)
  view.setUint16(at + 2, 0)
  view.setInt32(at + 4, address)
}

export function setRequestMac(request: Uint8Array, mac: Uint8Array): void {
  viewOf(request).setUint16(VALUE, ARPHRD_ETHER, true)
  request.set(mac.subarray(0, 6), VALUE + 2)
}

export function requestMac(request: Uint8Array): Uint8Array {
  return request.slice(VALUE + 2, VALUE + 8)
}

function viewOf(request: Uint8Array): DataView {
  return new DataView(request.buffer, request.byteOffset, request.length)
}
