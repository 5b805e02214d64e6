/** Segments that come in one batch of frames and are one to TCP (gro.ts). */
import { describe, expect, test } from 'vitest'
import { CHUNK } from '../../../src/stack/pool.ts'
import { Slices } from '../../../src/stack/slices.ts'
import { rcvWnd } from '../../../src/stack/tcp/connection.ts'
import type { Host } from '../rig/host.ts'
import { datagram, fragmentsOf } from '../rig/packets.ts'
import { established, finWait2, LINUX } from '../rig/states.ts'

/** The lengths of the parts of each text that the host is given. */
function partsOf(host: Host): number[][] {
  const seen: number[][] = []
  const text = host.text.bind(host)
  host.text = (c, parts) => {
    seen.push([...parts.len.subarray(0, parts.count)])
    return text(c, parts)
  }
  return seen
}

describe('a batch of segments in line', () => {
  test('is one text of several parts, acknowledged once', () => {
    const { peer, host } = established()
    const seen = partsOf(host)
    peer.sends('. 1:1461(1460) ack 1', '. 1461:2921(1460) ack 1', 'P. 2921:3000(79) ack 1')
    expect(seen).toEqual([[1460, 1460, 79]])
    peer.expects('. 1:1(0) ack 3000')
    peer.expectsNothing()
    expect(host.received).toBe(2999)
  })

  test('with timestamps, too', () => {
    const { peer, host } = established({ options: LINUX })
    const seen = partsOf(host)
    peer.sends('. 1:101(100) ack 1 <TS val 5 ecr 0>', '. 101:201(100) ack 1 <TS val 5 ecr 0>')
    expect([seen, host.received]).toEqual([[[100, 100]], 200])
    peer.expects('. 1:1(0) ack 201 <TS val 0 ecr 5>')
  })

  test('has as many parts as there is room for, and the rest are another text', () => {
    const { peer, host } = established()
    const seen = partsOf(host)
    peer.sends(
      ...Array.from({ length: 70 }, (_, i) => `. ${1 + 100 * i}:${101 + 100 * i}(100) ack 1`),
    )
    expect(seen.map((parts) => parts.length)).toEqual([32, 32, 6])
    expect(host.received).toBe(7000)
    peer.expects('. 1:1(0) ack 7001')
    peer.expectsNothing()
  })

  test.each([0, 1, 60, 100, 150, 299])(
    'of which the host takes %d octets waits in line from there',
    (first) => {
      const { peer, host } = established()
      const text = host.text.bind(host)
      host.text = (c, parts) => {
        const some = new Slices(parts.count)
        some.pushFirst(first, parts)
        return first === 0 ? 0 : text(c, some)
      }
      peer.sends('. 1:101(100) ack 1', '. 101:201(100) ack 1', '. 201:301(100) ack 1')
      expect([host.received, host.c.rcvQueued]).toEqual([first, 300 - first])
      host.reads()
      expect(host.received).toBe(300)
    },
  )

  test('of which the pool has not room for all is taken as far as it has', () => {
    const { peer, host, rig } = established()
    const { pool } = rig.stack
    while (pool.free > 3) pool.take(0)
    host.isReading = false
    peer.sends(...[0, 1].map((i) => `. ${1 + 30e3 * i}:${1 + 30e3 * (i + 1)}(30000) ack 1`))
    expect(host.c.rcvQueued).toBe(3 * CHUNK)
    expect(rig.stack.counters.drop.tcpNoMemory).toBe(1)
    host.reads()
    expect(host.received).toBe(3 * CHUNK)
  })
})

test('text that would not all lie in the window is not put together', () => {
  const { peer, host } = established({ limits: { receiveBuffer: 1000 } })
  host.isReading = false
  const seen = partsOf(host)
  const wnd = rcvWnd(host.c)
  peer.sends(`. 1:${wnd}(${wnd - 1}) ack 1`, `. ${wnd}:${wnd + 9}(9) ack 1`)
  expect([seen, host.c.rcvQueued]).toEqual([[[wnd - 1]], wnd])
  host.reads()
  expect(host.received).toBe(wnd)
})

test('a segment that came in fragments goes on with the one before: its octets are not there for longer', () => {
  const { peer, host, rig } = established()
  const seen = partsOf(host)
  rig.receiveBatch([
    peer.frame('. 1:101(100) ack 1'),
    ...fragmentsOf(peer.frame('. 101:201(100) ack 1'), 7),
    ...fragmentsOf(peer.frame('. 201:301(100) ack 1'), 8),
    peer.frame('. 301:401(100) ack 1'),
  ])
  rig.flush()
  expect([seen, host.received]).toEqual([[[100, 100], [100], [100]], 400])
})

test('text that contradicts a FIN that came ahead ends where the FIN is', () => {
  const { peer, host } = established()
  peer.sends('F. 101:101(0) ack 1')
  peer.sends('. 1:101(100) ack 1', '. 101:201(100) ack 1')
  expect([host.received, host.state()]).toEqual([100, 'CLOSE-WAIT'])
})

describe('is not made one with what went before', () => {
  test.each([
    ['another acknowledgment', '. 101:201(100) ack 11', [[100], [100]], 200],
    ['another window', '. 101:201(100) ack 1 win 100', [[100], [100]], 200],
    ['an urgent one', 'U. 101:201(100) ack 1 urg 5', [[100], [100]], 200],
    ['with a congestion echo', 'E. 101:201(100) ack 1', [[100], [100]], 200],
    ['the last one', 'F. 101:201(100) ack 1', [[100], [100]], 200],
    ['one beyond a hole', '. 111:201(90) ack 1', [[100]], 100],
    ['one that came already', '. 1:101(100) ack 1', [[100]], 100],
    ['one that came in part', '. 51:201(150) ack 1', [[100], [100]], 200],
    ['a reset', 'R. 101:101(0) ack 1', [[100]], 100],
    ['an acknowledgment alone', '. 101:101(0) ack 11', [[100]], 100],
    ['one with SACK blocks', '. 101:201(100) ack 1 <nop,nop,sack 5:9>', [[100], [100]], 200],
  ])('%s', (_what, line, texts, received) => {
    const { peer, host } = established({ options: 'mss 1460,sackOK' })
    host.sends(10)
    peer.takeAll()
    const seen = partsOf(host)
    peer.sends('. 1:101(100) ack 1', line)
    expect([seen, host.received]).toEqual([texts, received])
  })

  test.each([
    ['a later timestamp', '. 101:201(100) ack 1 <TS val 6 ecr 0>'],
    ['an answer to another one', '. 101:201(100) ack 1 <TS val 5 ecr 7>'],
  ])('%s', (_what, line) => {
    const { peer, host } = established({ options: LINUX })
    const seen = partsOf(host)
    peer.sends('. 1:101(100) ack 1 <TS val 5 ecr 0>', line)
    expect([seen, host.received]).toEqual([[[100], [100]], 200])
  })

  test('one of another connection, and its own goes up first', () => {
    const { peer, host, rig } = established()
    const order: string[] = []
    const other = rig.peer({ port: 4001 })
    other.sends('S 0:0(0) win 65535')
    const otherHost = rig.accept()
    other.expects('S. 0:0(0) ack 1')
    other.sends('. 1:1(0) ack 1')
    host.on.text = () => order.push('first')
    otherHost.on.text = () => order.push('other')
    rig.receiveBatch([
      peer.frame('. 1:101(100) ack 1'),
      other.frame('. 1:51(50) ack 1'),
      peer.frame('. 101:201(100) ack 1'),
    ])
    rig.flush()
    expect(order).toEqual(['first', 'other', 'first'])
    expect([host.received, otherHost.received]).toEqual([200, 50])
  })

  test('what comes when the host has closed', () => {
    const { peer, host } = finWait2()
    const seen = partsOf(host)
    peer.sends('. 1:101(100) ack 2', '. 101:201(100) ack 2')
    expect([seen, host.received]).toEqual([[[100], [100]], 200])
  })
})

describe('a connection that ends', () => {
  test('while a segment waits: the host is given nothing of it', () => {
    const { peer, host, rig } = established()
    const seen = partsOf(host)
    rig.onDatagram = () => rig.stack.tcp.abort(host.c, 'aborted')
    rig.receiveBatch([
      peer.frame('. 1:101(100) ack 1'),
      datagram([1]),
      peer.frame('. 101:201(100) ack 1'),
    ])
    rig.flush()
    expect([seen, host.reason]).toEqual([[], 'aborted'])
    peer.expects('R. 1:1(0) ack 1')
    peer.expects('R 1:1(0)')
    peer.expectsNothing()
  })

  test('by the text itself: what follows is answered as text for nobody', () => {
    const { peer, host } = established()
    host.on.text = () => host.c.tcp.abort(host.c, 'aborted')
    host.isReading = false
    peer.sends('. 1:101(100) ack 1', 'F. 101:201(100) ack 1')
    peer.expects('R. 1:1(0) ack 1')
    peer.expects('R 1:1(0)')
    peer.expectsNothing()
    expect(host.reason).toBe('aborted')
  })
})
