/** Who has sent, as rules and records know it. A container is known by its Ethernet address, so that its IPv4 and IPv6 are one. */
import type { Guest } from '../policy/leases.ts'
import type { Neighbour } from '../stack/neighbours.ts'
import * as address from '../stack/wire/address.ts'

export interface Sender {
  readonly guest: Guest
  /** Its address, as text. */
  readonly address: string
}

/** The guest's side of the key. */
export function senderOf(key: Int32Array, neighbour: Neighbour): Sender {
  return { guest: guestOf(neighbour), address: address.format(key.subarray(0, 4)) }
}

/** The Ethernet address as a number. */
function guestOf({ mac }: Neighbour): Guest {
  let guest = 0
  for (const octet of mac) guest = guest * 256 + octet
  return guest
}
