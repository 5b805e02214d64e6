/**
 * A descriptor of /dev/net/tun becomes a TAP: `attach` by name, `adopt` for one that somebody else
 * has attached and handed to us.
 *
 * A persistent TAP keeps what its last owner set, header size and offloads, when that owner goes or
 * is killed (RootlessKit makes its TAP beforehand, and who comes after us may know nothing of vnet
 * headers: it would read 64-KiB frames without checksums). So both are set here whatever they were,
 * and put back by `detach`.
 */
import { release } from 'node:os'
import {
  EINVAL,
  IFF_MULTI_QUEUE,
  IFF_NO_PI,
  IFF_TAP,
  IFF_VNET_HDR,
  TUN_F_CSUM,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUN_F_USO4,
  TUN_F_USO6,
  TUNATTACHFILTER,
  TUNDETACHFILTER,
  TUNGETFILTER,
  TUNGETIFF,
  TUNGETVNETHDRSZ,
  TUNSETIFF,
  TUNSETOFFLOAD,
  TUNSETVNETHDRSZ,
} from '../sys/constants.ts'
import { must } from '../sys/errors.ts'
import { setNonblocking } from '../sys/io.ts'
import {
  tryIoctl,
  tryIoctlAcceptAll,
  tryIoctlGetInt,
  tryIoctlSetInt,
  tryIoctlValue,
} from '../sys/ioctl.ts'
import {
  interfaceRequest,
  requestFlags,
  requestName,
  setRequestFlags,
} from './interface-request.ts'
import { HEADER_LEN, HEADER_LEN_WITH_BUFFERS } from './virtio.ts'

/** What may be left to the device. */
export interface Offload {
  /** Transport checksums. */
  readonly csum: boolean
  /** Cutting TCP into segments. */
  readonly tso: boolean
  /** Cutting UDP into datagrams. */
  readonly uso: boolean
  /** Cutting TCP over IPv4 that is longer than an IP packet's length can tell (BIG TCP). */
  readonly bigTcp: boolean
}

/** An attached TAP. Only numbers, strings and booleans: it can be posted to another thread. */
export interface AttachedTap {
  readonly fd: number
  readonly name: string
  /** The length of the vnet header: 0 when there is none, 10 or 12. */
  readonly headerLen: number
  /** Four octets of packet information stand before everything (made without IFF_NO_PI). */
  readonly packetInformation: boolean
  readonly offload: Offload
  /** TCP sockets in its namespace, which go with it to whoever has it. */
  readonly streams?: readonly number[]
  /** It is no device but a socket, whose packets are frames (bess.ts). */
  readonly isSocket?: boolean
}

export interface AttachOptions {
  /** Use a vnet header and what it offers. Default: true. */
  readonly vnetHeader?: boolean
}

export const NO_OFFLOAD: Offload = { csum: false, tso: false, uso: false, bigTcp: false }

/** Makes the interface, or takes the persistent one of that name. */
export function attach(fd: number, name: string, options: AttachOptions = {}): AttachedTap {
  const what = `cannot open TAP ${name}`
  const request = interfaceRequest(name)
  const wanted = IFF_TAP | IFF_NO_PI
  const variants =
    options.vnetHeader === false
      ? [wanted, wanted | IFF_MULTI_QUEUE]
      : [IFF_VNET_HDR, IFF_VNET_HDR | IFF_MULTI_QUEUE, 0].map((more) => wanted | more)
  // EINVAL is also the answer when the TAP was made with several queues, and to an old kernel.
  let failed = -EINVAL
  let flags = 0
  for (flags of variants) {
    setRequestFlags(request, flags)
    failed = tryIoctl(fd, TUNSETIFF, request)
    if (failed !== -EINVAL) break
  }
  must(failed, 'ioctl(TUNSETIFF)', what)
  const hasHeader = (flags & IFF_VNET_HDR) !== 0
  if (hasHeader) {
    must(tryIoctlSetInt(fd, TUNSETVNETHDRSZ, HEADER_LEN), 'ioctl(TUNSETVNETHDRSZ)', what)
  }
  const headerLen = hasHeader ? HEADER_LEN : 0
  const offload = setOffload(fd, hasHeader)
  setNonblocking(fd)
  return { fd, name: requestName(request), headerLen, packetInformation: false, offload }
}

/** Takes a descriptor that is a TAP already. */
export function adopt(fd: number): AttachedTap {
  const what = `cannot use descriptor ${fd} as a TAP`
  const request = interfaceRequest('')
  const failed = tryIoctl(fd, TUNGETIFF, request)
  must(failed, 'ioctl(TUNGETIFF)', what)
  const flags = requestFlags(request)
  if ((flags & IFF_TAP) === 0) throw new TypeError(`${what}: it is a TUN, without Ethernet`)
  const hasHeader = (flags & IFF_VNET_HDR) !== 0
  let headerLen = 0
  if (hasHeader) {
    headerLen = must(tryIoctlGetInt(fd, TUNGETVNETHDRSZ), 'ioctl(TUNGETVNETHDRSZ)', what)
    if (headerLen !== HEADER_LEN && headerLen !== HEADER_LEN_WITH_BUFFERS) {
      throw new TypeError(`${what}: its vnet header has ${headerLen} octets, not 10 or 12`)
    }
  }
  const offload = setOffload(fd, hasHeader)
  setNonblocking(fd)
  const packetInformation = hasPacketInformation(fd, flags)
  return { fd, name: requestName(request), headerLen, packetInformation, offload }
}

/**
 * Was it made without IFF_NO_PI? TUNGETIFF answers with a bit that also is IFF_NOFILTER: it tells
 * something only while a filter is attached. So one that accepts everything is, for a moment, when
 * nobody else's is there.
 */
function hasPacketInformation(fd: number, flags: number): boolean {
  if ((flags & IFF_NO_PI) === 0) return true
  const filter = new Uint8Array(16)
  const lenOfFilter = tryIoctl(fd, TUNGETFILTER, filter) < 0 ? -1 : filter[0]! | (filter[1]! << 8)
  // After ours was taken away again the kernel still says 1.
  if (lenOfFilter > 1 || tryIoctlAcceptAll(fd, TUNATTACHFILTER) < 0) return false
  const request = interfaceRequest('')
  tryIoctl(fd, TUNGETIFF, request)
  tryIoctlAcceptAll(fd, TUNDETACHFILTER)
  return (requestFlags(request) & IFF_NO_PI) === 0
}

/** Puts back what a successor expects. A device that is gone already does not mind. */
export function detach(tap: AttachedTap): void {
  if (tap.isSocket) return
  if (tap.headerLen !== 0) tryIoctlSetInt(tap.fd, TUNSETVNETHDRSZ, HEADER_LEN)
  tryIoctlValue(tap.fd, TUNSETOFFLOAD, 0)
}

/**
 * Says what we take. What we may send depends on the header alone: the kernel cuts and sums for
 * whoever asks by it, and UDP where it knows USO. TSO is taken only together with CSUM, USO4 only
 * together with USO6.
 */
function setOffload(fd: number, hasHeader: boolean): Offload {
  const tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6
  if (!hasHeader) {
    tryIoctlValue(fd, TUNSETOFFLOAD, 0)
    return NO_OFFLOAD
  }
  const bigTcp = takesBigTcp()
  if (tryIoctlValue(fd, TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6) >= 0) {
    return { csum: true, tso: true, uso: true, bigTcp }
  }
  for (const offload of [tcp, TUN_F_CSUM, 0]) {
    if (tryIoctlValue(fd, TUNSETOFFLOAD, offload) >= 0) break
  }
  return { csum: true, tso: true, uso: false, bigTcp }
}

/**
 * No call tells. Linux reads such packets since 6.3, and a TAP has room for one since 6.6, where a frame's pages come by
 * eights. It is the guest's kernel as well.
 */
function takesBigTcp(): boolean {
  const [major = 0, minor = 0] = release().split('.').map(Number.parseFloat)
  return major > 6 || (major === 6 && minor >= 6)
}
