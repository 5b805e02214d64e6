/** What passes of the octets of a TLS client, and when. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { connect } from 'node:tls'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ClientHello } from '../../../src/policy/evidence/client-hello.ts'
import { TlsInspector } from '../../../src/policy/evidence/tls-inspector.ts'
import { hello, helloMessage, octetsOf, record, records, serverName } from './hellos.ts'

const CCS = record(20, [1])
const DATA = record(23, [1, 2, 3])
const EARLY: [number, number[]] = [42, []]

function inspect(octets: readonly number[], size = octets.length, judge = namesGood) {
  const heard: ClientHello[] = []
  const inspector = new TlsInspector((each) => {
    heard.push(each)
    return judge(each)
  })
  const all = Uint8Array.from(octets)
  for (let at = 0; at < all.length; at += size) {
    inspector.feed(all, at, Math.min(size, all.length - at))
    expect(inspector.passed === Infinity || inspector.passed <= at + size).toBe(true)
  }
  return { inspector, heard, outcome: `${inspector.state} ${inspector.problem}`.trim() }
}
const namesGood = ({ sni }: ClientHello): string | undefined =>
  sni === 'good.example' ? undefined : `it names ${sni ?? 'nobody'}`

const GOOD = { names: ['good.example'] }

test('nothing passes before the ClientHello is whole, then all of it', () => {
  const octets = hello(GOOD)
  const { inspector } = inspect(octets.slice(0, -1), 1)
  expect(inspector).toMatchObject({ state: 'reading', passed: 0, hasJudged: false })
  inspector.feed(Uint8Array.from(octets), octets.length - 1, 1)
  expect(inspector).toMatchObject({ state: 'reading', passed: octets.length, hasJudged: true })
})

test.each([1, 2, 3, 5, 7, 64, 1000])('it may come in segments of %i octets', (size) => {
  const { outcome, heard } = inspect([...hello(GOOD), ...DATA], size)
  expect([outcome, heard.length]).toEqual(['open', 1])
})

test.each([1, 3, 4, 50])('it may come in records of %i octets', (len) => {
  const { outcome, heard } = inspect([...records(helloMessage(GOOD), len), ...DATA], 2)
  expect([outcome, heard.length]).toEqual(['open', 1])
})

describe('what it says:', () => {
  const heardOf = (parts: Parameters<typeof hello>[0]): unknown => inspect(hello(parts)).heard[0]
  test.each<[string, Parameters<typeof hello>[0], ClientHello]>([
    ['a name', GOOD, { sni: 'good.example', hasEch: false, hasEarlyData: false }],
    [
      'a name in capitals',
      { names: ['GOOD.Example.'] },
      { sni: 'good.example', hasEch: false, hasEarlyData: false },
    ],
    ['no name', {}, { hasEch: false, hasEarlyData: false }],
    ['nothing', { isBare: true }, { hasEch: false, hasEarlyData: false }],
    [
      'a name that none has',
      { names: ['a\0.example'] },
      { sni: '', hasEch: false, hasEarlyData: false },
    ],
    [
      'an address',
      { names: ['192.0.2.1'] },
      { sni: '192.0.2.1', hasEch: false, hasEarlyData: false },
    ],
    [
      'ECH',
      { ...GOOD, extensions: [[0xfe0d, [0, 1, 2]]] },
      { sni: 'good.example', hasEch: true, hasEarlyData: false },
    ],
    [
      'early data',
      { ...GOOD, extensions: [EARLY] },
      { sni: 'good.example', hasEch: false, hasEarlyData: true },
    ],
  ])('%s', (_, parts, expected) => {
    expect(heardOf(parts)).toEqual(expected)
  })
})

describe('is denied:', () => {
  const message = helloMessage(GOOD)
  test.each<[string, number[], string]>([
    ['another name', hello({ names: ['evil.example'] }), 'it names evil.example'],
    ['no name', hello(), 'it names nobody'],
    ['HTTP', octetsOf('GET / HTTP/1.1\r\n'), 'it is no TLS'],
    ['SSH', octetsOf('SSH-2.0-x\r\n'), 'it is no TLS'],
    ['a ClientHello of SSL 2', [0x80, 0x2e, 1, 3, 1, 0, 0], 'it is no TLS'],
    ['application data at once', DATA, 'it is no TLS'],
    ['an empty record', record(22, []), 'it is no TLS'],
    ['a record that is too long', [22, 3, 1, 0xff, 0xff], 'it is no TLS'],
    ['another message', record(22, [2, 0, 0, 0]), 'it is no ClientHello'],
    [
      'two names',
      hello({ names: ['good.example', 'evil.example'] }),
      'its ClientHello is malformed',
    ],
    [
      'a name of another kind',
      hello({ extensions: [[0, serverName(['x'], 1)]] }),
      'its ClientHello is malformed',
    ],
    ['an empty name', hello({ names: [''] }), 'its ClientHello is malformed'],
    ['an empty list', hello({ names: [] }), 'its ClientHello is malformed'],
    [
      'the extension twice',
      hello({ ...GOOD, extensions: [[0, serverName(['evil.example'])]] }),
      'its ClientHello is malformed',
    ],
    [
      'a session id that is too long',
      hello({ ...GOOD, sessionLen: 33 }),
      'its ClientHello is malformed',
    ],
    [
      'octets behind its extensions',
      record(22, [1, 0, 0, message.length - 3, ...message.slice(4), 0]),
      'its ClientHello is malformed',
    ],
    [
      'another message behind it',
      record(22, [...message, 1, 0, 0, 0]),
      'there is more than a ClientHello',
    ],
    [
      'one without an end',
      [...record(22, [1, 0, 0x80, 1]), ...DATA],
      'its ClientHello is too long',
    ],
    ['data in the middle of it', [...record(22, message.slice(0, 50)), ...DATA], 'it is no TLS'],
    [
      'a change of ciphers in the middle of it',
      [...record(22, message.slice(0, 50)), ...CCS],
      'it is no TLS',
    ],
  ])('%s', (_, octets, problem) => {
    for (const size of [octets.length, 1]) {
      const { inspector, outcome } = inspect(octets, size)
      expect(outcome).toBe(`denied ${problem}`)
      expect(inspector.passed).toBe(0)
    }
  })

  test('one that ends too early', () => {
    const { inspector } = inspect(hello(GOOD).slice(0, 20))
    inspector.end()
    expect(inspector.problem).toBe('it ends before its ClientHello does')
  })
})

describe('behind the first ClientHello', () => {
  const tls12 = record(22, [16, 0, 0, 3, 1, 2, 3])
  const early = { ...GOOD, extensions: [EARLY] }
  /** As AES-GCM of TLS 1.2 has it: a nonce, then what cannot be read. */
  const finished = record(22, [1, 0x5f, 0, 9, 9, 9, 9, 9, ...new Array<number>(24).fill(8)])

  test.each<[string, number[], string]>([
    ['application data opens', DATA, 'open'],
    ['a change of ciphers and application data open', [...CCS, ...DATA], 'open'],
    ['a key exchange of TLS 1.2 opens', tls12, 'open'],
    ['a finished message of TLS 1.2 opens', [...CCS, ...finished], 'open'],
    ['an alert does not', record(21, [2, 40]), 'reading'],
    ['what is no TLS opens: the server will not take it', octetsOf('GET /'), 'open'],
    ['the same again opens', hello(GOOD), 'open'],
    ['the same again behind a change of ciphers opens', [...CCS, ...hello(GOOD)], 'open'],
    [
      'another name is denied',
      hello({ names: ['evil.example'] }),
      'denied its second ClientHello names another host',
    ],
    [
      'another name behind a change of ciphers is denied',
      [...CCS, ...hello({ names: ['evil.example'] })],
      'denied its second ClientHello names another host',
    ],
    ['no name is denied', [...CCS, ...hello()], 'denied its second ClientHello names another host'],
    [
      'another name, octet by octet, is denied',
      [...CCS, ...records(helloMessage({ names: ['evil.example'] }), 1)],
      'denied its second ClientHello names another host',
    ],
    [
      'one that is broken off is denied',
      [...record(22, helloMessage(GOOD).slice(0, 9)), ...DATA],
      'denied a ClientHello is broken off',
    ],
  ])('%s', (_, octets, expected) => {
    for (const size of [10_000, 1])
      expect(inspect([...hello(GOOD), ...octets], size).outcome).toBe(expected)
  })

  test('application data passes as it comes, and does not open when it may be early', () => {
    const first = hello(early)
    const { inspector, outcome } = inspect([...first, ...DATA, ...DATA.slice(0, 7)])
    expect([outcome, inspector.passed]).toEqual(['reading', first.length + DATA.length + 7])
    for (const size of [10_000, 1]) {
      const evil = [...first, ...DATA, ...CCS, ...hello({ names: ['evil.example'] })]
      expect(inspect(evil, size).outcome).toMatch(/^denied its second/)
    }
  })

  test('what is denied does not pass', () => {
    const first = hello(GOOD)
    const { inspector } = inspect([...first, ...CCS, ...hello({ names: ['evil.example'] })], 1)
    expect(inspector.passed).toBe(first.length + CCS.length)
  })
})

test('whatever comes, it ends up somewhere, and passes no more than it was shown', () => {
  const piece = fc.oneof(
    fc.constant(hello(GOOD)),
    fc.constant(hello({ names: ['evil.example'], extensions: [EARLY] })),
    fc.constant(CCS),
    fc.constant(DATA),
    fc.constant(records(helloMessage(GOOD), 9)),
    fc.array(fc.nat(255), { maxLength: 40 }),
  )
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 5 }),
      fc.integer({ min: 1, max: 60 }),
      fc.nat(),
      fc.nat(255),
      (pieces, size, place, octet) => {
        const octets = pieces.flat()
        if (octets.length > 0) octets[place % octets.length] = octet
        const whole = inspect(octets)
        const cut = inspect(octets, size)
        expect(cut.outcome).toBe(whole.outcome)
        expect(cut.heard).toEqual(whole.heard)
        // An octet passes only behind a ClientHello that names the right host.
        if (whole.inspector.passed > 0) expect(whole.heard[0]?.sni).toBe('good.example')
      },
    ),
    { numRuns: 3000 },
  )
})

describe('real clients:', () => {
  /** The first octets of whatever connects. */
  async function firstOctets(start: (port: number) => void): Promise<number[]> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    start(port)
    const [socket] = await once(server, 'connection')
    const [octets] = await once(socket, 'data')
    socket.destroy()
    server.close()
    return [...(octets as Buffer)]
  }

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('Node with %s', async (version) => {
    const octets = await firstOctets((port) => {
      const options = {
        port,
        host: '127.0.0.1',
        servername: 'good.example',
        minVersion: version,
        maxVersion: version,
      }
      connect(options).on('error', () => {})
    })
    const { outcome, heard } = inspect(octets, 3)
    expect([outcome, heard[0]?.sni]).toEqual(['reading', 'good.example'])
  })

  test('OpenSSL without a name', async () => {
    const octets = await firstOctets((port) => {
      const place = `127.0.0.1:${port}`
      spawn('openssl', ['s_client', '-noservername', '-connect', place], { stdio: 'ignore' })
    })
    expect(inspect(octets).outcome).toBe('denied it names nobody')
  })
})
