/** What a real guest sends is understood: the frames of a Linux kernel, as they were captured. */
import { expect, test } from 'vitest'
import { viewOf } from './rig/frames.ts'
import { guestFrames } from './rig/guest-frames.ts'
import { line } from './rig/packets.ts'
import { Rig } from './rig/rig.ts'
import { Rig6 } from './rig/rig6.ts'

const frames = guestFrames()
const isIpv6 = (frame: Uint8Array<ArrayBuffer>): boolean => viewOf(frame).getUint16(12) === 0x86dd

test('over IPv4 nothing of it is malformed, and what is for us is answered', () => {
  const rig = new Rig()
  for (const frame of frames.filter((frame) => !isIpv6(frame))) {
    rig.receive(frame)
    rig.flush()
  }
  const drops = Object.entries(rig.drop).filter(([, count]) => count > 0)
  // Segments of connections that nobody has accepted.
  expect(drops.map(([reason]) => reason)).toEqual(['tcpNoConnection'])
  expect(rig.requests.length).toBe(3)
  // A datagram of 4,000 octets in three fragments, one of 10, a question.
  expect(rig.datagrams.map(({ text }) => text.length)).toEqual([4000, 10, 27])
  const answers = rig.frames.filter((frame) => !/protocol 6/.test(line(frame))).map(line)
  expect(answers.filter((text) => text.includes('is-at')).length).toBe(2)
  expect(answers.filter((text) => text.includes('echo reply')).length).toBe(4)
  expect(answers.filter((text) => text.includes('fragment')).length).toBe(3)
})

test('over IPv6, too', () => {
  const rig = new Rig6()
  rig.receive(...frames.filter(isIpv6))
  // Groups that it joins (MLD) are nobody's business here, nor the address that it looks whether it is free.
  expect(Object.keys(rig.drops())).toEqual(['ipv6Src', 'ipv6Dst', 'tcpNoConnection'])
  expect(rig.requests.length).toBe(1)
  expect(rig.datagrams.map(({ text }) => text.length)).toEqual([3000])
  expect(rig.lines().filter((text) => text.includes('ICMPv6 129/0')).length).toBe(1)
})
