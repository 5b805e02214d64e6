/** Text of the guest: in order and out of it, acknowledgments, our window (RFC 9293 §3.8.6, RFC 2018). */
import { describe, expect, test } from 'vitest'
import { CHUNK } from '../../../src/stack/pool.ts'
import { MAX_RANGES } from '../../../src/stack/tcp/assembler.ts'
import { DELAYED_ACK, FIRST_ACK } from '../../../src/stack/tcp/output.ts'
import { established, type Joined, LINUX } from '../rig/states.ts'
import { tcbOf } from '../rig/tcb.ts'

const SACK = 'mss 1460,sackOK'

describe('text in order', () => {
  test('is given to the host and acknowledged', () => {
    const { peer, host } = established()
    peer.sends('P. 1:101(100) ack 1')
    peer.expects('. 1:1(0) ack 101')
    peer.sends('P. 101:1101(1000) ack 1')
    peer.expects('. 1:1(0) ack 1101')
    peer.expectsNothing()
    expect([host.received, host.c.rcvQueued]).toEqual([1100, 0])
  })

  test('is acknowledged once for a batch (RFC 9293 §3.8.6.3: MUST-58, every second segment)', () => {
    const { peer } = established()
    peer.sends('. 1:1461(1460) ack 1', '. 1461:2921(1460) ack 1', '. 2921:4381(1460) ack 1')
    peer.expects('. 1:1(0) ack 4381')
    peer.expectsNothing()
  })

  test('as a super-segment of 60,000 octets is text as any other', () => {
    const { peer, host } = established()
    peer.sends('P. 1:60001(60000) ack 1')
    peer.expects('. 1:1(0) ack 60001')
    expect(host.received).toBe(60_000)
  })

  test('that comes twice is given once, and acknowledged each time', () => {
    const { peer, host } = established()
    for (let i = 0; i < 3; i++) {
      peer.sends('P. 1:101(100) ack 1')
      peer.expects('. 1:1(0) ack 101')
    }
    expect(host.received).toBe(100)
  })

  test('may be answered from within: the answer carries the acknowledgment', () => {
    const { peer, host } = established()
    host.on.text = () => host.give(50)
    peer.sends('P. 1:101(100) ack 1')
    peer.expects('P. 1:51(50) ack 101')
    peer.expectsNothing()
  })
})

describe('the acknowledgment of a first request (RFC 9293 §3.8.6.3)', () => {
  test('goes with its answer', () => {
    const { peer, host } = established({ fresh: true })
    peer.sends('P. 1:11(10) ack 1')
    peer.expectsNothing()
    host.sends(20)
    peer.expects('P. 1:21(20) ack 11')
    peer.expectsNothing()
  })

  test('waits no longer than a millisecond, and for no answer but the first', () => {
    const { peer, host, clock } = established({ fresh: true })
    peer.sends('P. 1:11(10) ack 1')
    clock.advance(FIRST_ACK)
    peer.expects('. 1:1(0) ack 11')
    clock.advance(DELAYED_ACK)
    host.sends(20)
    peer.expects('P. 1:21(20) ack 11')
    peer.sends('P. 11:21(10) ack 21')
    peer.expects('. 21:21(0) ack 21')
  })

  test('does not wait when there is a segment of it, or a FIN', () => {
    const { peer } = established({ fresh: true })
    peer.sends('P. 1:1461(1460) ack 1')
    peer.expects('. 1:1(0) ack 1461')
    peer.sends('FP. 1461:1471(10) ack 1')
    peer.expects('. 1:1(0) ack 1472')
  })
})

describe('acknowledgments that wait for an answer (RFC 9293 §3.8.6.3)', () => {
  /** Each text of the guest has been answered at once. */
  function interactive(options = ''): Joined {
    const joined = established({ options: `mss 1460${options}` })
    joined.peer.sends('P. 1:11(10) ack 1')
    joined.peer.expects('. 1:1(0) ack 11')
    joined.host.sends(10)
    joined.peer.expects('P. 1:11(10) ack 11')
    return joined
  }

  test('go with it', () => {
    const { peer, host, clock } = interactive()
    peer.sends('P. 11:21(10) ack 11')
    peer.expectsNothing()
    clock.advance(DELAYED_ACK - 1)
    peer.expectsNothing()
    host.sends(10)
    peer.expects('P. 11:21(10) ack 21')
    clock.advance(100)
    peer.expectsNothing()
  })

  test('do not wait longer than 10 ms, and the next not at all (MUST-58: 500 ms)', () => {
    const { peer, clock } = interactive()
    peer.sends('P. 11:21(10) ack 11')
    clock.advance(DELAYED_ACK - 1)
    peer.expectsNothing()
    clock.advance(1)
    peer.expects('. 11:11(0) ack 21')
    peer.sends('P. 21:31(10) ack 11')
    peer.expects('. 11:11(0) ack 31')
  })

  test('do not wait for the second segment’s worth of text', () => {
    const { peer } = interactive()
    peer.sends('. 11:1471(1460) ack 11')
    peer.expectsNothing()
    peer.sends('. 1471:2931(1460) ack 11')
    peer.expects('. 11:11(0) ack 2931')
  })

  test('do not wait when the FIN has come', () => {
    const { peer } = interactive()
    peer.sends('FP. 11:21(10) ack 11')
    peer.expects('. 11:11(0) ack 22')
  })

  test('of a FIN alone go with the host’s', () => {
    const { peer, host, clock } = interactive()
    peer.sends('F. 11:11(0) ack 11')
    peer.expectsNothing()
    clock.advance(DELAYED_ACK - 1)
    host.closes()
    peer.expects('F. 11:11(0) ack 12')
    clock.advance(100)
    peer.expectsNothing()
  })

  test('of a FIN alone do not wait longer either', () => {
    const { peer, clock } = interactive()
    peer.sends('F. 11:11(0) ack 11')
    clock.advance(DELAYED_ACK)
    peer.expects('. 11:11(0) ack 12')
    peer.sends('F. 11:11(0) ack 11')
    peer.expects('. 11:11(0) ack 12') // it comes again: at once
  })

  test('do not wait when a gap is filled (RFC 5681 §4.2)', () => {
    const { peer } = interactive()
    peer.sends('P. 21:31(10) ack 11')
    peer.expects('. 11:11(0) ack 11')
    peer.sends('P. 11:21(10) ack 11')
    peer.expects('. 11:11(0) ack 31')
  })
})

describe('text that comes twice is told of, first of the SACK blocks (RFC 2883 §4)', () => {
  test('when all of it was in line before', () => {
    const { peer } = established({ options: SACK })
    peer.sends('P. 1:101(100) ack 1')
    peer.expects('. 1:1(0) ack 101 <>')
    peer.sends('P. 1:101(100) ack 1')
    peer.expects('. 1:1(0) ack 101 <sack 1:101>')
    peer.sends('P. 101:201(100) ack 1') // once
    peer.expects('. 1:1(0) ack 201 <>')
  })

  test('when a part of it was', () => {
    const { peer, host } = established({ options: SACK })
    peer.sends('P. 1:101(100) ack 1', 'P. 51:151(100) ack 1')
    peer.expects('. 1:1(0) ack 151 <sack 51:101>')
    expect(host.received).toBe(150)
  })

  test('before what is ahead', () => {
    const { peer } = established({ options: SACK })
    peer.sends('P. 1:101(100) ack 1', 'P. 201:301(100) ack 1')
    peer.takeAll()
    peer.sends('P. 1:101(100) ack 1')
    peer.expects('. 1:1(0) ack 101 <sack 1:101 201:301>')
  })

  test('when it is ahead, and before the range that holds it', () => {
    const { peer, host } = established({ options: SACK })
    peer.sends('P. 201:301(100) ack 1', 'P. 401:501(100) ack 1', 'P. 301:351(50) ack 1')
    peer.takeAll()
    peer.sends('P. 201:251(50) ack 1')
    peer.expects('. 1:1(0) ack 1 <sack 201:251 201:351 401:501>')
    peer.sends('P. 1:201(200) ack 1', 'P. 351:401(50) ack 1')
    expect(host.received).toBe(500)
  })

  test('and is not, without SACK', () => {
    const { peer } = established()
    peer.sends('P. 1:101(100) ack 1')
    peer.sends('P. 1:101(100) ack 1')
    peer.expects('. 1:1(0) ack 101 <>', '. 1:1(0) ack 101 <>')
  })
})

describe('text out of order', () => {
  test('is kept, and each segment acknowledged at once (RFC 5681 §4.2)', () => {
    const { peer, host } = established()
    peer.sends('P. 101:201(100) ack 1', 'P. 301:401(100) ack 1', 'P. 201:301(100) ack 1')
    peer.expects('. 1:1(0) ack 1', '. 1:1(0) ack 1', '. 1:1(0) ack 1')
    peer.expectsNothing()
    expect(host.received).toBe(0)
    peer.sends('P. 1:101(100) ack 1')
    peer.expects('. 1:1(0) ack 401')
    expect([host.received, host.c.rcvQueued]).toEqual([400, 0])
  })

  test('is reported with SACK, the newest range first (RFC 2018 §4)', () => {
    const { peer } = established({ options: SACK })
    peer.sends('P. 101:201(100) ack 1')
    peer.expects('. 1:1(0) ack 1 <sack 101:201>')
    peer.sends('P. 301:401(100) ack 1')
    peer.expects('. 1:1(0) ack 1 <sack 301:401 101:201>')
    peer.sends('P. 501:601(100) ack 1')
    peer.expects('. 1:1(0) ack 1 <sack 501:601 101:201 301:401>')
    peer.sends('P. 201:251(50) ack 1')
    peer.expects('. 1:1(0) ack 1 <sack 101:251 301:401 501:601>')
    peer.sends('P. 701:801(100) ack 1')
    peer.expects('. 1:1(0) ack 1 <sack 701:801 101:251 301:401 501:601>')
    peer.sends('P. 901:1001(100) ack 1')
    peer.expects('. 1:1(0) ack 1 <sack 901:1001 101:251 301:401 501:601>')
    peer.sends('P. 1:101(100) ack 1')
    peer.expects('. 1:1(0) ack 251 <sack 901:1001 301:401 501:601 701:801>')
    peer.sends('P. 251:1001(750) ack 1')
    peer.expects('. 1:1(0) ack 1001 <>')
  })

  test('has three ranges reported when there are timestamps (RFC 2018 §3)', () => {
    const { peer } = established({ options: LINUX })
    for (const from of [101, 301, 501, 701]) peer.sends(`P. ${from}:${from + 10}(10) ack 1`)
    peer.takeAll()
    peer.sends('P. 901:911(10) ack 1')
    peer.expects('. 1:1(0) ack 1 <TS val 0 ecr 1,sack 901:911 101:111 301:311>')
  })

  test('is not reported to a guest that does not know SACK (RFC 2018 §4)', () => {
    const { peer } = established()
    peer.sends('P. 101:201(100) ack 1')
    peer.expects('. 1:1(0) ack 1 <>')
  })

  test('is reported while the host’s own text goes (RFC 2018 §4)', () => {
    const { peer, host } = established({ options: SACK })
    host.on.text = () => host.give(10)
    peer.sends('P. 101:201(100) ack 1')
    peer.expects('. 1:1(0) ack 1 <sack 101:201>')
    host.sends(10)
    peer.expects('P. 1:11(10) ack 1')
  })

  test('overlaps as it likes: each octet is given once', () => {
    const { peer, host } = established()
    peer.sends('P. 51:151(100) ack 1', 'P. 101:301(200) ack 1', 'P. 21:60(39) ack 1')
    peer.sends('P. 250:260(10) ack 1', 'P. 1:31(30) ack 1')
    expect(host.received).toBe(300)
    peer.takeAll()
    peer.sends('P. 11:310(299) ack 1')
    peer.expects('. 1:1(0) ack 310')
    expect(host.received).toBe(309)
  })

  test('takes chunks of the pool while it waits, and gives them back', () => {
    const { peer, rig } = established()
    peer.sends('. 1001:2001(1000) ack 1')
    expect(rig.chunksTaken).toBe(1)
    peer.sends('. 40001:41001(1000) ack 1')
    expect(rig.chunksTaken).toBe(2) // and none for the hole between
    peer.sends('. 1:1001(1000) ack 1')
    peer.sends('. 2001:40001(37999) ack 1'.replace('37999', '38000'))
    expect(rig.chunksTaken).toBe(0)
  })

  test('in too many islands is dropped, and comes again (ours: bounded)', () => {
    const { peer, host } = established()
    for (let i = 0; i <= MAX_RANGES; i++) {
      const from = 101 + 20 * i
      peer.sends(`. ${from}:${from + 10}(10) ack 1`)
      peer.expects('. 1:1(0) ack 1')
    }
    expect(host.c.assembler.edges.length).toBe(2 * MAX_RANGES)
    const last = 101 + 20 * MAX_RANGES
    peer.sends(`. 1:${last}(${last - 1}) ack 1`)
    peer.expects(`. 1:1(0) ack ${last}`)
    peer.sends(`. ${last}:${last + 10}(10) ack 1`)
    peer.expects(`. 1:1(0) ack ${last + 10}`)
    expect(host.received).toBe(last + 9)
  })
})

describe('a host that does not read', () => {
  test('lets the window close with what waits, and nothing is lost (RFC 9293 §3.8.6)', () => {
    const { peer, host } = established({ limits: { receiveBuffer: 5000 } })
    host.isReading = false
    peer.sends('. 1:2001(2000) ack 1')
    peer.expects('. 1:1(0) ack 2001 win 3000')
    peer.sends('. 2001:5001(3000) ack 1')
    peer.expects('. 1:1(0) ack 5001 win 0')
    peer.sends('. 5001:5002(1) ack 1')
    peer.expects('. 1:1(0) ack 5001 win 0')
    host.isReading = true
    host.reads()
    peer.expects('. 1:1(0) ack 5001 win 5000')
    peer.sends('. 5001:7001(2000) ack 1')
    peer.expects('. 1:1(0) ack 7001 win 5000')
    expect(host.received).toBe(7000)
  })

  test('and then a little: the window opens by a segment at least (RFC 9293 §3.8.6.2.2, MUST-39)', () => {
    const { peer, host } = established({ limits: { receiveBuffer: 5000 } })
    host.isReading = false
    peer.sends('. 1:5001(5000) ack 1')
    peer.expects('. 1:1(0) ack 5001 win 0')
    host.reads(1459)
    peer.expectsNothing()
    host.reads(1)
    peer.expects('. 1:1(0) ack 5001 win 1460')
    host.reads(1459)
    peer.expectsNothing()
    host.reads(1)
    peer.expects('. 1:1(0) ack 5001 win 2920')
  })

  test('with a small buffer: by half of it at least', () => {
    const { peer, host } = established({ limits: { receiveBuffer: 1000 } })
    host.isReading = false
    peer.sends('. 1:1001(1000) ack 1')
    peer.expects('. 1:1(0) ack 1001 win 0')
    host.reads(499)
    peer.expectsNothing()
    host.reads(1)
    peer.expects('. 1:1(0) ack 1001 win 500')
  })

  test('a window that is far open is not told of at each read', () => {
    const { peer, host } = established({ options: LINUX })
    host.isReading = false
    peer.sends('. 1:30001(30000) ack 1')
    peer.takeAll()
    for (let i = 0; i < 30; i++) host.reads(1000)
    peer.expectsNothing()
  })

  test('is told of text that joins what waits; none is given to it past that', () => {
    const { peer, host } = established()
    host.isReading = false
    peer.sends('. 1:101(100) ack 1')
    peer.sends('. 101:201(100) ack 1')
    expect([host.c.rcvQueued, host.events]).toEqual([200, ['established', 'readable']])
    host.isReading = true
    host.text = () => expect.unreachable('given past what waits')
    peer.sends('. 201:301(100) ack 1') // stands behind what waits
    expect([host.received, host.c.rcvQueued]).toEqual([300, 0])
  })

  test('goes on as before when it has read all', () => {
    const { peer, host } = established()
    host.isReading = false
    peer.sends('. 1:101(100) ack 1')
    host.isReading = true
    host.reads()
    peer.takeAll()
    peer.sends('. 101:201(100) ack 1')
    expect([host.received, host.c.rcvQueued, host.events]).toEqual([200, 0, ['established']])
  })

  test('and takes part of a text: the rest waits', () => {
    const { peer, host } = established()
    const taken: number[] = []
    host.text = (_c, { total }) => {
      taken.push(total)
      host.received += 30
      return 30
    }
    peer.sends('. 1:101(100) ack 1')
    peer.expects('. 1:1(0) ack 101')
    expect([taken, host.c.rcvQueued]).toEqual([[100], 70])
    host.reads()
    expect(host.received).toBe(100)
  })

  test('while text beyond a hole waits too', () => {
    const { peer, host } = established()
    host.isReading = false
    peer.sends('. 1:101(100) ack 1', '. 201:301(100) ack 1')
    host.reads(50)
    peer.sends('. 101:201(100) ack 1')
    expect([host.c.rcvQueued, host.events]).toEqual([250, ['established', 'readable']])
    host.reads()
    expect(host.received).toBe(300)
  })
})

describe('the right edge of the window', () => {
  test('never moves to the left, however little is read (RFC 9293 §3.8.6, SHLD-14)', () => {
    // The peer looks at it with each segment.
    const { peer, host } = established({ limits: { receiveBuffer: 10_000 } })
    host.isReading = false
    for (let at = 1; at < 10_000; at += 101) {
      const end = Math.min(at + 101, 10_001)
      peer.sends(`. ${at}:${end}(${end - at}) ack 1`)
      if (at % 3 === 0) host.reads(7)
      peer.takeAll()
    }
  })

  test('is not pushed out by segments of one octet, whatever the scale (RFC 7323 §2.4)', () => {
    // Rounding up to the scale's unit each time would never close it.
    const limits = { receiveBuffer: 200_000 } // a shift of 2
    const { peer, host } = established({ options: LINUX, limits, chunks: 64 })
    host.isReading = false
    let at = 1
    const send = (len: number): void => {
      peer.sends(`. ${at}:${at + len}(${len}) ack 1`)
      at += len
    }
    while (at < 199_000) send(1000)
    for (let i = 0; i < 3000; i++) send(1)
    expect(host.c.rcvQueued).toBeLessThan(200_004)
    const last = peer.takeAll().at(-1)!
    expect(last.wnd).toBe(0)
  })

  test('moves less far when the pool runs low, and what was promised is kept', () => {
    const limits = { receiveBuffer: 160_000 }
    const { peer, host, rig } = established({ options: LINUX, limits, chunks: 16 })
    const chunks: number[] = []
    const { pool } = rig.stack
    for (let i = 0; i < 3; i++) chunks.push(pool.take())
    peer.sends('. 1:1001(1000) ack 1')
    const before = peer.takeAll()[0]!.wnd! << 2
    const share = pool.share(160_000)
    expect(share).toBeLessThan(120_000)
    expect(before).toBeGreaterThan(share - 1460)
    expect(before).toBeLessThan(share + 4)
    while (pool.free > pool.size / 2) chunks.push(pool.take())
    peer.sends('. 1001:2001(1000) ack 1')
    expect(peer.takeAll()[0]!.wnd! << 2).toBe(before - 1000)
    for (const chunk of chunks) pool.give(chunk)
    peer.sends('. 2001:4001(2000) ack 1')
    expect(peer.takeAll()[0]!.wnd! << 2).toBeGreaterThanOrEqual(159_000)
    expect(host.received).toBe(4000)
  })
})

describe('when the pool is empty', () => {
  function emptied(options = ''): Joined & { give: () => void } {
    const joined = established({ options: `mss 1460${options}` })
    const { pool } = joined.rig.stack
    const chunks: number[] = []
    while (pool.free > 0) chunks.push(pool.take())
    return { ...joined, give: () => chunks.splice(0).forEach((chunk) => void pool.give(chunk)) }
  }

  test('what the host takes at once still arrives', () => {
    const { peer, host, rig } = emptied()
    peer.sends('. 1:1001(1000) ack 1')
    peer.expects('. 1:1(0) ack 1001')
    expect([host.received, rig.drop.tcpNoMemory]).toEqual([1000, 0])
  })

  test('what it does not take is not acknowledged, and arrives later (counted)', () => {
    const { peer, host, rig, give } = emptied()
    host.isReading = false
    peer.sends('FP. 1:1001(1000) ack 1')
    peer.expects('. 1:1(0) ack 1')
    expect([host.c.rcvQueued, host.state(), rig.drop.tcpNoMemory]).toEqual([0, 'ESTABLISHED', 1])
    give()
    peer.sends('FP. 1:1001(1000) ack 1')
    peer.expects('. 1:1(0) ack 1002')
    host.reads()
    expect([host.received, host.state()]).toEqual([1000, 'CLOSE-WAIT'])
    expect(rig.chunksTaken).toBe(0)
  })

  test('only what it takes of a text is acknowledged', () => {
    const { peer, host, rig, give } = emptied()
    host.text = () => 400
    peer.sends('. 1:1001(1000) ack 1')
    peer.expects('. 1:1(0) ack 401')
    host.received = 400
    give()
    host.text = (_c, { total }) => {
      host.received += total
      return total
    }
    peer.sends('. 1:1001(1000) ack 1')
    peer.expects('. 1:1(0) ack 1001')
    expect([host.received, rig.drop.tcpNoMemory]).toEqual([1000, 1])
  })

  test('text beyond a hole is dropped, reported by nothing, and comes again', () => {
    const { peer, host, rig, give } = emptied(',sackOK')
    peer.sends('. 1001:2001(1000) ack 1')
    peer.expects('. 1:1(0) ack 1 <>')
    expect([rig.drop.tcpNoMemory, host.c.assembler.isEmpty()]).toEqual([1, true])
    give()
    peer.sends('. 1001:2001(1000) ack 1')
    peer.expects('. 1:1(0) ack 1 <sack 1001:2001>')
    peer.sends('. 1:1001(1000) ack 1')
    peer.expects('. 1:1(0) ack 2001')
    expect([host.received, rig.chunksTaken]).toEqual([2000, 0])
  })

  test('the host can give nothing, and everything later', () => {
    const { peer, host, give } = emptied()
    expect(host.sendsUpTo(1000)).toBe(0)
    peer.expectsNothing()
    give()
    host.sends(1000)
    peer.expects('P. 1:1001(1000) ack 1')
  })
})

test('an idle connection owns nothing of the pool', () => {
  const { peer, host, rig } = established()
  host.isReading = false
  host.sends(3 * CHUNK)
  peer.sends('. 1:40001(40000) ack 1')
  expect(rig.chunksTaken).toBe(6)
  host.reads()
  for (let drills = peer.takeAll(); drills.length > 0; drills = peer.takeAll()) {
    const end = Math.max(...drills.map(({ seq, len }) => seq + len))
    peer.sends(`. 40001:40001(0) ack ${end}`)
  }
  expect(rig.chunksTaken).toBe(0)
})

test('in FIN-WAIT and after, no window is told of when the guest has closed', () => {
  const joined = established({ limits: { receiveBuffer: 5000 } })
  const { peer, host } = joined
  host.isReading = false
  peer.sends('. 1:4001(4000) ack 1', 'F. 4001:4001(0) ack 1')
  peer.expects('. 1:1(0) ack 4002')
  host.reads()
  peer.expectsNothing()
  expect(tcbOf(joined).rcvQueued).toBe(0)
})
