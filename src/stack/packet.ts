/** An IP packet of the guest on its way up: made once, overwritten for each, borrowed. */
import { KEY_WORDS } from './flow-table.ts'

export class Packet {
  /** The guest's address and the host's, filled by the IP layer; the ports, by the transport. */
  readonly key: Int32Array = new Int32Array(KEY_WORDS)
  /** Where its Ethernet frame starts. */
  frame = 0
  /** Where its IP header starts. */
  at = 0
  /** Where its transport header starts. */
  transport = 0
  /** One past its last octet. */
  end = 0
  /** The link vouches for the transport checksum. */
  checksummed = false
  /** It lies in a frame that stays, and another may follow (link.ts). */
  more = false
  /** Of a UDP super-datagram: the octets of text in each datagram (link.ts); else 0. */
  udpSegment = 0
}
