/**
 * `slipway/stack`: the TCP/IP stack by itself. Frames and time in, frames out: no Linux, no privileges, no native code,
 * nothing of Node's. See docs/stack.md.
 *
 * @example
 * ```js
 * import { Station } from 'slipway/stack'
 *
 * let now = 0
 * const random = () => Math.floor(Math.random() * 2 ** 32)
 * const alice = new Station({
 *   address: '192.0.2.1/24',
 *   random,
 *   transmit: (frame) => bob.receive(frame, now),
 * })
 * const bob = new Station({
 *   address: '192.0.2.2/24',
 *   random,
 *   transmit: (frame) => alice.receive(frame, now),
 * })
 * bob.listen(7, () => ({
 *   data: (octets, stream) => stream.write(octets),
 *   end: (stream) => stream.finish(),
 * }))
 * const text = new TextEncoder().encode('hello')
 * alice.connect(
 *   { address: '192.0.2.2', port: 7 },
 *   {
 *     open: (stream) => stream.write(text) === text.length && stream.finish(),
 *     data: (octets) => console.log(new TextDecoder().decode(octets)), // hello
 *     close: (end) => console.log(end), // finished
 *   },
 *   now,
 * )
 * // Time passes when we say so: acknowledgments that wait for company are due.
 * while (now < 1000) {
 *   now = Math.max(now, Math.min(alice.deadline(), bob.deadline()))
 *   alice.timeout(now)
 *   bob.timeout(now)
 * }
 * ```
 */
export type { Counters, Drops } from './counters.ts'
export {
  type Accept,
  type DatagramHandler,
  Station,
  type StationOptions,
  type UdpPort,
} from './station.ts'
export { type Peer, Stream, type StreamEnd, type StreamHandler } from './stream.ts'
