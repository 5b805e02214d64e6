/** Neighbor Discovery: what guests hear of their router, and of its addresses (RFC 4861, RFC 4862). */
import { beforeEach, describe, expect, test } from 'vitest'
import * as address from '../../src/stack/wire/address.ts'
import * as ethernet from '../../src/stack/wire/ethernet.ts'
import * as icmpv6 from '../../src/stack/wire/icmpv6.ts'
import * as ipv6 from '../../src/stack/wire/ipv6.ts'
import { type Octets, viewOf } from './rig/frames.ts'
import {
  GATEWAY6,
  GUEST_MAC,
  GUEST6,
  icmpOctets,
  line6,
  type Options6,
  OTHER_GUEST6,
  packet6,
  Rig6,
  STACK_MAC,
  TRANSPORT6,
  words,
} from './rig/rig6.ts'
import { hex } from './wire/trap-view.ts'

const ALL_NODES = 'ff02::1'
const ALL_ROUTERS = 'ff02::2'
const macText = (mac: Uint8Array): string => Buffer.from(mac).toString('hex')

let rig: Rig6
beforeEach(() => {
  rig = new Rig6()
})

function send(type: number, text: string, way: Options6, word = 0, code = 0): void {
  const all: Options6 = { hops: 255, ...way }
  rig.receive(packet6(ipv6.ICMPV6, icmpOctets(type, code, word, hex(text), all), all))
}

const target = (text: string): string => {
  const octets = new Uint8Array(16)
  ipv6.emitAddress(viewOf(octets), 0, words(text), 0)
  return macText(octets)
}

/** A frame as `SRC > DST at MAC, hop limit`, and its ICMPv6 message without the checksum. */
function look(frame: Octets): { way: string; message: string } {
  const [way] = line6(frame, 1500).split(': ICMPv6')
  const hops = ipv6.hopLimit(viewOf(frame), ethernet.HEADER_LEN)
  const text = macText(frame.subarray(TRANSPORT6))
  return {
    way: `${way} at ${address.formatMac(frame)}, hop limit ${hops}`,
    message: `${text.slice(0, 4)} ${text.slice(8)}`,
  }
}

const sent = () => rig.frames.splice(0).map(look)

/** RFC 4861 §4.2, §4.6: source address, MTU, prefix; RFC 8106 §5.1: name server. */
const advertisement = (flags: string, dns: string): string =>
  [
    `8600 40${flags}0708 00000000 00000000`,
    `0101 ${macText(STACK_MAC)} 0501 0000 000005dc`,
    `0304 40c0 00015180 00003840 00000000 ${target('fd00::')}`,
    dns,
  ]
    .join('')
    .replaceAll(' ', '')
    .replace(/^(.{4})/, '$1 ')
const RDNSS = `1903 0000 00000708 ${target('fd00::3')}`
const TO_ALL = `fe80::2 > ${ALL_NODES} at 33:33:00:00:00:01, hop limit 255`

describe('a router advertisement (RFC 4861 §6.2.3)', () => {
  test('answers a solicitation, whether its sender has an address or not', () => {
    const ra = { way: TO_ALL, message: advertisement('40', RDNSS) }
    send(icmpv6.ROUTER_SOLICITATION, `0101 ${macText(GUEST_MAC)}`, {
      src: 'fe80::64',
      dst: ALL_ROUTERS,
    })
    expect(sent()).toEqual([ra])
    send(icmpv6.ROUTER_SOLICITATION, '', { src: '::', dst: ALL_ROUTERS })
    expect(sent()).toEqual([ra])
  })

  test('has no name server, and promises nothing by DHCPv6, where names are not served', () => {
    rig = new Rig6(1500, false)
    send(icmpv6.ROUTER_SOLICITATION, '', { src: 'fe80::64', dst: ALL_ROUTERS })
    expect(sent()).toEqual([{ way: TO_ALL, message: advertisement('00', '') }])
  })

  test('comes by itself: three times soon, then every 198 to 600 s (§6.2.1)', () => {
    const times: number[] = []
    const start = rig.now
    while (times.length < 6) {
      rig.now = rig.stack.deadline()
      rig.stack.timeout(rig.now)
      if (sent().some(({ way }) => way === TO_ALL)) times.push(rig.now - start)
    }
    // The rig has had the first at its start.
    expect(times.slice(0, 2)).toEqual([16_000, 32_000])
    for (const [i, time] of times.slice(2).entries()) {
      const interval = time - times[i + 1]!
      expect(interval).toBeGreaterThanOrEqual(198_000)
      expect(interval).toBeLessThanOrEqual(600_000)
    }
  })
})

describe('a neighbor solicitation (RFC 4861 §7.2.3)', () => {
  const ask = (of: string, way: Options6 = {}) =>
    send(icmpv6.NEIGHBOR_SOLICITATION, `${target(of)} 0101 ${macText(GUEST_MAC)}`, {
      src: GUEST6,
      dst: of,
      ...way,
    })
  const answer = (of: string, flags: string): string =>
    `8800 ${flags}000000${target(of)}0201${macText(STACK_MAC)}`

  test.each([GATEWAY6, 'fd00::3', 'fe80::2'])('for %s is answered with our MAC', (of) => {
    ask(of)
    const way = `${of} > ${GUEST6} at ${address.formatMac(GUEST_MAC)}, hop limit 255`
    expect(sent()).toEqual([{ way, message: answer(of, 'e0') }])
  })

  test('from nowhere asks whether an address is taken: all hear that ours is (RFC 4862 §5.4)', () => {
    ask(GATEWAY6, { src: '::', dst: 'ff02::1:ff00:2' })
    const way = `${GATEWAY6} > ${ALL_NODES} at 33:33:00:00:00:01, hop limit 255`
    expect(sent()).toEqual([{ way, message: answer(GATEWAY6, 'a0') }])
  })

  test('for another guest’s address is that guest’s to answer', () => {
    ask(OTHER_GUEST6)
    ask(GUEST6, { src: '::', dst: 'ff02::1:ff00:64' })
    expect(sent()).toEqual([])
  })

  test.each([
    ['that came through a router (§7.1.1)', { hops: 254 }, 0, ''],
    ['of another code', {}, 1, ''],
    ['without a target', {}, 0, undefined],
    ['with an option of no length (§4.6)', {}, 0, '0100 000000000000'],
    ['with half an option', {}, 0, '0102 000000000000'],
  ])('%s is dropped', (_what, way, code, options) => {
    const text = options === undefined ? 'fd00' : `${target(GATEWAY6)} ${options}`
    send(icmpv6.NEIGHBOR_SOLICITATION, text, { src: GUEST6, dst: GATEWAY6, ...way }, 0, code)
    expect(sent()).toEqual([])
    expect(rig.drops()).toEqual({ icmpv6Malformed: 1 })
  })
})

describe('a neighbor advertisement (RFC 4861 §7.2.5)', () => {
  test('tells where a guest is: what waits for it goes there', () => {
    rig.sendUdp(Uint8Array.of(1, 2, 3), OTHER_GUEST6)
    expect(sent()[0]?.way).toBe(`fe80::2 > ff02::1:ff00:65 at 33:33:ff:00:00:65, hop limit 255`)
    const text = `${target(OTHER_GUEST6)} 0201 020000000065`
    const way = { src: OTHER_GUEST6, dst: 'fe80::2' }
    send(icmpv6.NEIGHBOR_ADVERTISEMENT, text, way, icmpv6.SOLICITED | icmpv6.OVERRIDE)
    const frame = rig.frames.shift()!
    expect(address.formatMac(frame)).toBe('02:00:00:00:00:65')
    expect(line6(frame, 1500)).toBe(`2001:db8::7 > ${OTHER_GUEST6}: protocol 17, 11`)
  })
})
