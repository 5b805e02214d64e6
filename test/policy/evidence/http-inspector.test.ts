/** Which requests of HTTP/1 pass, and that there is no other way to read them. */
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { connect, createServer as createTcpServer } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HttpInspector } from '../../../src/policy/evidence/http-inspector.ts'

function inspect(text: string, size = text.length) {
  const hosts: string[] = []
  const inspector = new HttpInspector((host) => {
    hosts.push(host)
    return host === 'good.example' ? undefined : `it is for ${host}`
  })
  const octets = Uint8Array.from(text, (letter) => letter.charCodeAt(0))
  for (let at = 0; at < octets.length; at += size) {
    inspector.feed(octets, at, Math.min(size, octets.length - at))
    expect(inspector.passed).toBeLessThanOrEqual(at + size)
  }
  return { inspector, hosts, outcome: `${inspector.state} ${inspector.problem}`.trim() }
}

const head = (...lines: string[]): string => `${lines.join('\r\n')}\r\n\r\n`
const GET = head('GET / HTTP/1.1', 'Host: good.example')
const EVIL = head('GET / HTTP/1.1', 'Host: evil.example')
const POST = (...lines: string[]): string => head('POST / HTTP/1.1', 'Host: good.example', ...lines)

describe('passes:', () => {
  test.each<[string, string]>([
    ['a request', GET],
    ['one with a port', head('GET /a?b HTTP/1.1', 'Host: good.example:8080', 'X: y')],
    ['one with capitals and a dot', head('GET / HTTP/1.1', 'hOST:GOOD.example.\t')],
    ['one of HTTP/1.0', head('GET / HTTP/1.0', 'Host: good.example')],
    ['one to a proxy', head('GET http://Good.example/x HTTP/1.1', 'Host: good.example')],
    [
      'one to a proxy without a path',
      head('GET http://good.example:80 HTTP/1.1', 'Host: good.example'),
    ],
    ['OPTIONS of all', head('OPTIONS * HTTP/1.1', 'Host: good.example')],
    ['several', GET + GET + GET],
    ['a body', `${POST('Content-Length: 5')}hello${GET}`],
    ['an empty body', POST('Content-Length: 0') + GET],
    [
      'chunks',
      `${POST('Transfer-Encoding: chunked')}5\r\nhello\r\nA;x="y"\r\n0123456789\r\n0\r\n\r\n${GET}`,
    ],
    [
      'chunks with trailers',
      `${POST('Transfer-Encoding: Chunked')}1\r\nx\r\n0\r\nDigest: z\r\n\r\n${GET}`,
    ],
    ['a body that looks like a request', `${POST(`Content-Length: ${EVIL.length}`)}${EVIL}${GET}`],
    [
      'a Host after many fields',
      head(
        'GET / HTTP/1.1',
        ...Array.from({ length: 90 }, (_, i) => `X-${i}: ${'y'.repeat(90)}`),
        'Host: good.example',
      ),
    ],
  ])('%s', (_, text) => {
    for (const size of [text.length, 1, 7]) {
      const { inspector, outcome } = inspect(text, size)
      expect([outcome, inspector.passed]).toEqual(['reading', text.length])
    }
  })
})

describe('is denied:', () => {
  test.each<[string, string, string]>([
    ['another host', EVIL, 'it is for evil.example'],
    ['an address', head('GET / HTTP/1.1', 'Host: 192.0.2.1'), 'it is for 192.0.2.1'],
    [
      'an IPv6 address',
      head('GET / HTTP/1.1', 'Host: [2001:DB8::1]:80'),
      'it is for [2001:db8::1]',
    ],
    ['no Host', head('GET / HTTP/1.1', 'X: y'), 'it has no Host'],
    ['an empty Host', head('GET / HTTP/1.1', 'Host:'), 'it has no Host'],
    [
      'two of it',
      head('GET / HTTP/1.1', 'Host: good.example', 'Host: evil.example'),
      'it has host twice',
    ],
    [
      'the same twice',
      head('GET / HTTP/1.1', 'Host: good.example', 'host: good.example'),
      'it has host twice',
    ],
    [
      'a list as Host',
      head('GET / HTTP/1.1', 'Host: good.example, evil.example'),
      'it has no Host',
    ],
    ['a user in Host', head('GET / HTTP/1.1', 'Host: good.example@evil.example'), 'it has no Host'],
    ['a path in Host', head('GET / HTTP/1.1', 'Host: good.example/x'), 'it has no Host'],
    [
      'another target',
      head('GET http://evil.example/ HTTP/1.1', 'Host: good.example'),
      'its target is another host',
    ],
    [
      'a user in the target',
      head('GET http://good.example@evil.example/ HTTP/1.1', 'Host: good.example'),
      'its target is another host',
    ],
    [
      'a target of another scheme',
      head('GET https://good.example/ HTTP/1.1', 'Host: good.example'),
      'its target is another host',
    ],
    [
      'CONNECT',
      head('CONNECT good.example:443 HTTP/1.1', 'Host: good.example'),
      'CONNECT makes it a tunnel',
    ],
    [
      'a target that is none',
      head('GET good.example HTTP/1.1', 'Host: good.example'),
      'its target is another host',
    ],
    [
      'h2c',
      head(
        'GET / HTTP/1.1',
        'Host: good.example',
        'Connection: Upgrade, HTTP2-Settings',
        'Upgrade: h2c',
        'HTTP2-Settings: AA',
      ),
      'it would be another protocol',
    ],
    [
      'WebSocket',
      head('GET / HTTP/1.1', 'Host: good.example', 'Upgrade: websocket'),
      'it would be another protocol',
    ],
    ['HTTP/2 with prior knowledge', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'it is no HTTP/1'],
    ['HTTP/0.9', head('GET /'), 'it is no HTTP/1'],
    ['HTTP/1.2', head('GET / HTTP/1.2', 'Host: good.example'), 'it is no HTTP/1'],
    ['two blanks', head('GET  / HTTP/1.1', 'Host: good.example'), 'it is no HTTP/1'],
    ['TLS', '\x16\x03\x01\x02\x00', 'it is no HTTP/1'],
    ['an empty line at first', `\r\n${GET}`, 'it is no HTTP/1'],
    ['a bare LF', 'GET / HTTP/1.1\nHost: good.example\n\n', 'a line does not end with CR LF'],
    [
      'a bare CR',
      head('GET / HTTP/1.1', 'Host: good.example', 'X: a\rHost: evil.example'),
      'a field of its head is malformed',
    ],
    [
      'a NUL',
      head('GET / HTTP/1.1', 'Host: good.example', 'X: a\0b'),
      'a field of its head is malformed',
    ],
    [
      'a folded line',
      head('GET / HTTP/1.1', 'Host: good.example', ' folded'),
      'a field of its head is malformed',
    ],
    [
      'a blank before the colon',
      head('GET / HTTP/1.1', 'Host : good.example'),
      'a field of its head is malformed',
    ],
    [
      'a field without a name',
      head('GET / HTTP/1.1', ': x', 'Host: good.example'),
      'a field of its head is malformed',
    ],
    [
      'both lengths',
      POST('Content-Length: 5', 'Transfer-Encoding: chunked'),
      'it has Content-Length and Transfer-Encoding',
    ],
    ['two lengths', POST('Content-Length: 5', 'Content-Length: 6'), 'it has content-length twice'],
    ['a list of lengths', POST('Content-Length: 5, 5'), 'its Content-Length is unclear'],
    ['a signed length', POST('Content-Length: +5'), 'its Content-Length is unclear'],
    ['a hexadecimal length', POST('Content-Length: 0x5'), 'its Content-Length is unclear'],
    [
      'a length without end',
      POST(`Content-Length: ${'9'.repeat(16)}`),
      'its Content-Length is unclear',
    ],
    [
      'another coding',
      POST('Transfer-Encoding: gzip, chunked'),
      'its Transfer-Encoding is unclear',
    ],
    [
      'a coding that is nearly one',
      POST('Transfer-Encoding: xchunked'),
      'its Transfer-Encoding is unclear',
    ],
    [
      'two codings',
      POST('Transfer-Encoding: chunked', 'Transfer-Encoding: identity'),
      'it has transfer-encoding twice',
    ],
    [
      'chunks of HTTP/1.0',
      head('POST / HTTP/1.0', 'Host: good.example', 'Transfer-Encoding: chunked'),
      'its Transfer-Encoding is unclear',
    ],
    ['a head without end', `GET / HTTP/1.1\r\nX: ${'y'.repeat(70_000)}`, 'its head is too long'],
  ])('%s', (_, text, problem) => {
    for (const size of [text.length, 1]) {
      const { inspector, outcome } = inspect(text, size)
      expect(outcome).toBe(`denied ${problem}`)
      expect(inspector.passed).toBe(0)
    }
  })

  const CHUNKED = POST('Transfer-Encoding: chunked')
  test.each<[string, string, string]>([
    ['a chunk without a size', `${CHUNKED}\r\n`, 'a chunk has no size'],
    ['a chunk of a size in blanks', `${CHUNKED} 5\r\n`, 'a chunk has no size'],
    ['a negative chunk', `${CHUNKED}-1\r\n`, 'a chunk has no size'],
    ['a size that is too long', `${CHUNKED}${'0'.repeat(13)}\r\n`, 'a chunk has no size'],
    [
      'a bare LF in the extension of a chunk',
      `${CHUNKED}2;\nxx\r\n`,
      'a line does not end with CR LF',
    ],
    ['a bare CR in the extension of a chunk', `${CHUNKED}2;\rx\r\nxx\r\n`, 'a chunk has no size'],
    ['a chunk that is longer', `${CHUNKED}2\r\nhello\r\n`, 'a chunk is longer than its size'],
    [
      'Host behind a body',
      `${CHUNKED}0\r\nHost: evil.example\r\n\r\n`,
      'it has trailers that it may not have',
    ],
    [
      'a length behind a body',
      `${CHUNKED}0\r\nContent-Length: 5\r\n\r\n`,
      'it has trailers that it may not have',
    ],
    [
      'trailers without end',
      `${CHUNKED}0\r\n${'X: y\r\n'.repeat(70)}`,
      'it has trailers that it may not have',
    ],
    ['a second request for another host', GET + EVIL, 'it is for evil.example'],
    ['one behind a body', `${POST('Content-Length: 3')}abc${EVIL}`, 'it is for evil.example'],
    ['one behind chunks', `${CHUNKED}3\r\nabc\r\n0\r\n\r\n${EVIL}`, 'it is for evil.example'],
    ['a body of a GET that no one said', `${GET}hello`, ''],
  ])('on a connection that began well: %s', (_, text, problem) => {
    const { inspector, outcome } = inspect(text, 3)
    if (problem !== '') expect(outcome).toBe(`denied ${problem}`)
    // Not an octet of what is denied has passed.
    expect(inspector.passed).toBeLessThan(text.length)
  })

  test('one that ends within a head', () => {
    const { inspector } = inspect(`${GET}GET / HT`)
    inspector.end()
    expect(inspector.problem).toBe('it ends within a head')
    const whole = inspect(GET).inspector
    whole.end()
    expect(whole.state).toBe('reading')
  })
})

test('whatever is sent, Node finds no request for another host in what passes', async () => {
  const seen: string[] = []
  const server = createServer((incoming, response) => {
    seen.push(`${incoming.headers.host}`)
    incoming.resume()
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const piece = fc.constantFrom(
    GET,
    EVIL,
    POST('Content-Length: 3'),
    POST('Transfer-Encoding: chunked'),
    'abc',
    '3\r\nabc\r\n',
    '0\r\n\r\n',
    '\r\n',
    '\n',
    ' ',
    'X: y\r\n',
    'Content-Length: 4\r\n',
    'Transfer-Encoding: chunked\r\n',
    'GET / HTTP/1.1\r\n',
    'Host: evil.example\r\n',
    'Host: good.example\r\n',
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 8 }),
      fc.integer({ min: 1, max: 50 }),
      async (pieces, size) => {
        const text = pieces.join('')
        const { inspector } = inspect(text, size)
        expect(inspect(text).inspector.passed).toBe(inspector.passed)
        seen.length = 0
        const socket = connect(port, '127.0.0.1')
        socket.on('error', () => {})
        socket.end(text.slice(0, inspector.passed), 'latin1')
        socket.resume()
        await once(socket, 'close')
        expect(seen.filter((host) => host !== 'good.example')).toEqual([])
      },
    ),
    { numRuns: 300 },
  )
  server.close()
})

test('what Node’s client sends passes, whole', async () => {
  let text = ''
  const server = createTcpServer((socket) => {
    socket.on('data', (part) => {
      text += part.toString('latin1')
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const client = request({
    port,
    host: '127.0.0.1',
    method: 'POST',
    headers: { Host: 'good.example' },
  })
  client.write('some')
  client.end('thing')
  await once(client, 'response')
  server.close()
  expect(inspect(text, 5)).toMatchObject({ outcome: 'reading', inspector: { passed: text.length } })
})

test('blanks within a value, 60,000 of them, take no longer to read than letters', () => {
  const timeOf = (value: string): number => {
    const started = performance.now()
    const { outcome } = inspect(head('GET / HTTP/1.1', 'Host: good.example', `X: ${value}`))
    expect(outcome).toBe('reading')
    return performance.now() - started
  }
  const letters = timeOf('x'.repeat(60_000))
  expect(timeOf(`x${'\t'.repeat(60_000)}x`)).toBeLessThan(200 + 20 * letters)
})

test.each([
  [' good.example ', 'reading'],
  ['\t \tgood.example \t ', 'reading'],
  ['', 'denied it has no Host'],
  [' \t', 'denied it has no Host'],
])('blanks at the ends of a value are not of it: %j', (value, outcome) => {
  expect(inspect(head('GET / HTTP/1.1', `Host:${value}`)).outcome).toBe(outcome)
})
