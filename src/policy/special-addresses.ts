/**
 * Addresses that are no hosts of the Internet: the blocks of the IANA registries of special-purpose addresses (RFC 6890;
 * as of 2024-11) that are not globally reachable, without those in them that are.
 */
import { isInPrefix, type Prefix, readPrefix } from './prefixes.ts'

/** `private` of a policy. */
export const PRIVATE: readonly Prefix[] = [
  '0.0.0.0/8', // "this network", RFC 791
  '10.0.0.0/8', // private use, RFC 1918
  '100.64.0.0/10', // shared address space, RFC 6598
  '127.0.0.0/8', // loopback, RFC 1122
  '169.254.0.0/16', // link local, RFC 3927: and where clouds have their metadata
  '172.16.0.0/12', // private use, RFC 1918
  '192.0.0.0/24', // IETF protocol assignments, RFC 6890
  '192.0.2.0/24', // documentation, RFC 5737
  '192.88.99.0/24', // 6to4 relay anycast, deprecated by RFC 7526
  '192.168.0.0/16', // private use, RFC 1918
  '198.18.0.0/15', // benchmarking, RFC 2544
  '198.51.100.0/24', // documentation, RFC 5737
  '203.0.113.0/24', // documentation, RFC 5737
  '240.0.0.0/4', // reserved, RFC 1112; and the limited broadcast
  '::/128', // unspecified, RFC 4291
  '::1/128', // loopback, RFC 4291
  '64:ff9b:1::/48', // local NAT64, RFC 8215
  '100::/64', // discard only, RFC 6666
  '100:0:0:1::/64', // dummy, RFC 9780
  '2001::/23', // IETF protocol assignments, RFC 2928: Teredo and others
  '2001:db8::/32', // documentation, RFC 3849
  '3fff::/20', // documentation, RFC 9637
  '5f00::/16', // segment routing, RFC 9602
  'fc00::/7', // unique local, RFC 4193
  'fe80::/10', // link local, RFC 4291
  '168.63.129.16', // in no registry: where Azure has its metadata
  '224.0.0.0/4', // in another registry: multicast, which is no host
  'ff00::/8', // multicast
].map(prefixOf)

/** In those blocks, and globally reachable. */
const REACHABLE: readonly Prefix[] = [
  '192.0.0.9', // Port Control Protocol anycast, RFC 7723
  '192.0.0.10', // TURN anycast, RFC 8155
  '2001:1::1', // Port Control Protocol anycast, RFC 7723
  '2001:1::2', // TURN anycast, RFC 8155
  '2001:1::3', // DNS-SD service registration anycast, RFC 9665
  '2001:3::/32', // AMT, RFC 7450
  '2001:4:112::/48', // AS112, RFC 7535
  '2001:20::/28', // ORCHIDv2, RFC 7343
  '2001:30::/28', // drone remote ID, RFC 9374
].map(prefixOf)

/** Of `host`, what is so on each host: loopback, and what its system takes for it. */
export const LOOPBACK: readonly Prefix[] = ['127.0.0.0/8', '0.0.0.0/8', '::1', '::'].map(prefixOf)

export function isPrivate(words: Int32Array): boolean {
  return isInOne(words, PRIVATE) && !isInOne(words, REACHABLE)
}

export const isLoopback = (words: Int32Array): boolean => isInOne(words, LOOPBACK)

/** The blocks of PRIVATE without the addresses in them that are reachable, as two lists. */
export const PRIVATE_BUT: readonly Prefix[] = REACHABLE

const isInOne = (words: Int32Array, prefixes: readonly Prefix[]): boolean =>
  prefixes.some((prefix) => isInPrefix(words, prefix))

function prefixOf(text: string): Prefix {
  const prefix = readPrefix(text)
  if ('problem' in prefix) throw new TypeError(`${text}: ${prefix.problem}`)
  return prefix
}
