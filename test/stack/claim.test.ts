/** Addresses that are claimed beside the gateway's and the name server's; of IPv6 see test/library/endpoints.test.ts. */
import { beforeEach, expect, test } from 'vitest'
import * as icmp from '../../src/stack/wire/icmp.ts'
import { arpPacket, datagram, message } from './rig/packets.ts'
import { ip, Rig } from './rig/rig.ts'
import { words } from './rig/rig6.ts'

const INSIDE = ip('10.0.2.77')
const OUTSIDE = ip('169.254.169.254')

let rig: Rig

beforeEach(() => {
  rig = new Rig()
})

function answers(...frames: Uint8Array[]): string[] {
  for (const frame of frames) rig.receive(frame)
  rig.flush()
  return rig.lines()
}

test('one of the subnet answers ARP (RFC 826) as long as it is claimed, and is no guest', () => {
  const who = arpPacket({ tpa: INSIDE })
  expect(answers(who)).toEqual([])
  rig.stack.claim(words('10.0.2.77'))
  expect(answers(who)).toEqual([
    '02:00:00:00:00:64 ARP 10.0.2.77 is-at 52:55:0a:00:02:02 to 10.0.2.100 at 02:00:00:00:00:64',
  ])
  answers(datagram([1], { src: INSIDE }))
  expect(rig.drop.ipv4Src).toBe(1)
  rig.stack.unclaim(words('10.0.2.77'))
  expect(answers(who)).toEqual([])
  answers(datagram([1], { src: INSIDE }))
  expect(rig.drop.ipv4Src).toBe(1)
})

test('one outside answers echo requests (RFC 792), with any TTL, and others go on as before', () => {
  rig.stack.claim(words('169.254.169.254'))
  const echo = message(icmp.ECHO, 0, (77 << 16) | 5, [1, 2, 3], { dst: OUTSIDE, ttl: 1 })
  expect(answers(echo)).toEqual([
    '169.254.169.254 > 10.0.2.100: echo reply, id 77, seq 5, length 3',
  ])
  answers(message(icmp.ECHO, 0, 77 << 16, [], { dst: ip('169.254.169.253') }))
  expect(rig.echoes.length).toBe(1)
  answers(datagram([1], { dst: OUTSIDE }))
  expect(rig.datagrams.length).toBe(1)
})

test('claimed twice, it is ours until it was given up twice', () => {
  const who = arpPacket({ tpa: INSIDE })
  rig.stack.claim(words('10.0.2.77'))
  rig.stack.claim(words('10.0.2.77'))
  rig.stack.unclaim(words('10.0.2.77'))
  expect(answers(who).length).toBe(1)
  rig.stack.unclaim(words('10.0.2.77'))
  expect(answers(who)).toEqual([])
})
