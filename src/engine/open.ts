/** From checked options to a data plane that only has to be turned: what both hosts of one begin with. */
import { AF_INET, AF_INET6 } from '../sys/constants.ts'
import * as io from '../sys/io.ts'
import { detach } from '../tap/attach.ts'
import { acceptBess } from '../tap/bess.ts'
import { openTap } from '../tap/open.ts'
import { addressesOf } from './addresses.ts'
import { outboundAddresses } from './outbound.ts'
import { DataPlane, descriptorLimit } from './plane.ts'
import type { NetworkOptions } from './types.ts'

/**
 * Who has the network: the command, to which the process and a TAP given as a descriptor belong; or a program, which keeps
 * its descriptor, while we have another of it, and may have endpoints.
 */
export type Owner = 'command' | 'program'

/**
 * Opens the TAP and puts a data plane on it. `onGone` is called from the plane's turn when the TAP will never give a
 * frame again. `isCancelled` is asked while one waits for somebody. Rejects with everything undone.
 */
export async function openPlane(
  options: NetworkOptions,
  owner: Owner,
  onGone: (error: Error) => void,
  isCancelled: () => boolean,
): Promise<DataPlane> {
  const addresses = addressesOf(options.cidr.network, options.cidr.prefix)
  const { mtu, macAddress, target } = options
  const outbound = outboundAddresses(options)
  const { guest, netmask, gateway } = addresses
  const configure = { mtu, address: guest, netmask, gateway, macAddress }
  let attached =
    'bess' in target
      ? await acceptBess(target.bess, isCancelled)
      : await openTap(target, {
          name: options.tapName,
          configure: options.configure ? configure : undefined,
          streams: options.forwardMode === 'splice' ? streams(options.ipv6) : [],
        })
  if ('fd' in target && owner === 'program') {
    attached = { ...attached, fd: io.dup(attached.fd) }
  }
  try {
    const { egress } = options
    const { Egress } = egress ? await import('../egress/network-egress.ts') : {}
    const plane = new DataPlane(
      attached,
      {
        ...options,
        subnet: options.cidr,
        addresses,
        outbound,
        isMemoryCounted: owner === 'program',
      },
      onGone,
    )
    plane.egress = egress && new Egress!(plane.nat, egress)
    return plane
  } catch (error) {
    detach(attached)
    io.closeAll([attached.fd, ...(attached.streams ?? [])])
    throw error
  }
}

/** Ours: how many clients of published ports may go past the TAP at a time; each takes five descriptors. */
const MOST_SPLICED = 1024

/** The families of the sockets that are wanted in the namespace. */
function streams(ipv6: boolean): number[] {
  const count = Math.min(MOST_SPLICED, descriptorLimit() >> 4)
  const families = ipv6 ? [AF_INET, AF_INET6] : [AF_INET]
  return families.flatMap((family) => new Array<number>(count).fill(family))
}
