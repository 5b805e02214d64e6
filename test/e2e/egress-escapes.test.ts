/** What a container may try when it may talk to good.test and to hardly anybody else. All of it is in vain. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Kit } from '../../src/lab/agent.ts'
import type { Namespace } from '../../src/lab/world.ts'
import { Embedder } from '../library/embedder.ts'
import { hello, helloMessage, record, records } from '../policy/evidence/hellos.ts'
import {
  addInternet,
  EVIL,
  EVIL6,
  HOST_OUTSIDE,
  type Internet,
  SECOND,
  SITE,
  SITE6,
} from './internet.ts'
import { address6 } from './ipv6.ts'
import { DNS, GATEWAY, GUEST, has, inWorlds, peer } from './lab.ts'
import * as tasks from './tasks.ts'

const missing = ['ip', 'openssl', 'curl', 'dig', 'python3', 'ping'].filter((name) => !has(name))

describe.skipIf(peer || missing.length > 0)('under a policy of deny', () => {
  inWorlds((lab) => {
    let internet: Internet
    let guest: Namespace
    let program: Embedder

    beforeAll(async () => {
      internet = await addInternet(lab)
      guest = await lab.world.container()
      program = await Embedder.beside(guest)
      const any = [22, 80, 443]
      await program.attach({
        target: { pid: guest.pid },
        ipv6: true,
        hostLoopback: true,
        egress: {
          rules: [
            { action: 'deny', name: 'evil.test' },
            { action: 'allow', name: 'good.test', port: any },
            {
              action: 'allow',
              name: ['lured.test', 'local.test', 'lan.test', 'metadata.test'],
              port: any,
            },
            { action: 'allow', name: '*.good.test', port: 443, wide: true },
            { action: 'allow', name: 'second.test', port: 4433, protocol: 'udp' },
          ],
        },
      })
      await address6(guest)
      // The container knows what it may know.
      expect(await curl('https://good.test/', '-4')).toBe('hello from good.test')
      expect(await curl('http://good.test/', '-4')).toBe('hello from good.test')
    })
    afterAll(async () => {
      const octets = [EVIL, EVIL6].flatMap((each) =>
        [22, 80, 443, 100_443, 104_433].map((port) => [each, port] as const),
      )
      const seen = await Promise.all(octets.map(([each, port]) => internet.octetsAt(each, port)))
      await program.close()
      await guest.close()
      expect(
        seen.reduce((sum, each) => sum + each),
        'octets that got away',
      ).toBe(0)
    })

    async function run(command: readonly string[]): Promise<string> {
      const { stdout, stderr } = await guest.execute(command, { limit: 15_000 })
      return `${stdout}${stderr}`
    }

    /** What curl prints, or its exit status: 6 no such name, 7 refused, 35 and 56 reset. */
    async function curl(url: string, ...options: string[]): Promise<string> {
      const command = ['curl', '-gsS', '--cacert', internet.ca, '--max-time', '5', ...options, url]
      const { status, stdout } = await guest.execute(command)
      return status === 0 ? stdout.trim() : `exit ${status}`
    }

    const connect = async (host: string, port: number): Promise<string> =>
      (await guest.run(tasks.tryToConnect, { host, port }, 3_000)).outcome

    /** What comes back for these octets, each piece sent by itself. */
    const send = (host: string, port: number, pieces: readonly (readonly number[])[]) =>
      guest.run(exchangePieces, host, port, pieces)
    const text = (...lines: string[]): number[] =>
      Array.from(lines.join('\r\n'), (c) => c.charCodeAt(0))

    describe('address literals', () => {
      const [a, b, c, d] = EVIL.split('.').map(Number) as [number, number, number, number]
      const whole = ((a * 256 + b) * 256 + c) * 256 + d
      test.each([
        EVIL,
        `${whole}`,
        `0x${whole.toString(16)}`,
        `0${a.toString(8)}.${b}.${c * 256 + d}`,
        `[::ffff:${EVIL}]`,
        `[${EVIL6}]`,
        `[64:ff9b::${EVIL}]`,
        `[2002:${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}::1]`,
        '[64:ff9b::7f00:1]',
        '127.0.0.1.nip.test',
      ])('%s', async (literal) => {
        expect(await curl(`http://${literal}/`)).toMatch(/^exit (6|7|28)$/)
      })

      test.each([GATEWAY, HOST_OUTSIDE, '169.254.169.254', '10.1.2.3', 'fd00::2', SITE6])(
        '%s port 22',
        async (literal) => {
          expect(await connect(literal, 22)).toMatch(
            /^(ECONNREFUSED|EHOSTUNREACH|EACCES|ENETUNREACH)$/,
          )
        },
      )

      test('a port that no rule has, of an address that one allows', async () => {
        expect(await connect(SITE, 25)).toBe('ECONNREFUSED')
        expect(await connect(SITE, 0)).toMatch(/^E/)
      })
    })

    describe('name servers', () => {
      test.each([['+notcp'], ['+tcp']])('another one, %s', async (way) => {
        const answer = await run(['dig', way, '+time=1', '+tries=1', `@${EVIL}`, 'anything.test'])
        expect(answer).not.toContain(`${EVIL}\n`)
        expect(answer).toMatch(/refused|timed out|unreachable|no servers/i)
      })

      test('another one over TLS and HTTPS', async () => {
        expect(await connect(EVIL, 853)).toBe('ECONNREFUSED')
        expect(await curl('https://good.test/', '--doh-url', `https://${EVIL}/dns-query`)).toBe(
          'exit 6',
        )
      })

      test('names that carry something are not asked for', async () => {
        await internet.askedNames()
        const label = 'a'.repeat(41)
        for (const name of [
          `${label}.good.test`,
          'secret.evil.test',
          'secret.tunnel.test',
          'a\\.b.good.test',
        ]) {
          expect(await run(['dig', '+short', `@${DNS}`, name])).toBe('')
        }
        const many = Array.from({ length: 80 }, (_, i) => `n${i}.good.test`)
        await run(['dig', '+short', '+time=2', '+tries=1', `@${DNS}`, ...many])
        const asked = await internet.askedNames()
        expect(asked.filter((name) => !/^n\d+\.good\.test$/.test(name))).toEqual([])
        expect(new Set(asked).size).toBeLessThanOrEqual(60)
      })

      test('no question carries more than its name and type', async () => {
        const odd = await guest.run(askOddly, DNS)
        expect(odd).toEqual({ type: 'silence or an answer' })
      })
    })

    describe('names that lead elsewhere', () => {
      test('to loopback: the addresses are taken out', async () => {
        expect(await run(['dig', '+short', 'local.test', 'A'])).toBe(`${SITE}\n`)
        expect(await run(['dig', '+short', 'local.test', 'AAAA'])).toBe('')
      })

      test.each(['lan.test', 'metadata.test'])('to %s: nothing is left', async (name) => {
        expect(await run(['dig', '+short', name])).toBe('')
        expect(await curl(`http://${name}/`)).toBe('exit 6')
      })

      test('to a name that is denied', async () => {
        expect(await run(['dig', 'lured.test'])).toContain('NXDOMAIN')
        expect(await curl('http://lured.test/')).toBe('exit 6')
      })

      test.each([
        'EVIL.test.',
        'eViL.tEsT',
        'good.test.evil.test',
        'xgood.test',
        'test',
        'gооd.test',
      ])('%s', async (name) => {
        expect(await curl(`http://${name}/`)).toMatch(/^exit (6|3)$/)
      })

      test('a name for IPv4 opens no address of IPv6', async () => {
        expect(await connect(SITE6, 443)).toBe('ECONNREFUSED')
      })
    })

    describe('at an address that is allowed for good.test', () => {
      test('another name by TLS', async () => {
        expect(await curl('https://other.test/', '--resolve', `other.test:443:${SITE}`)).toBe(
          'exit 35',
        )
        expect(await curl(`https://${SITE}/`)).toBe('exit 35')
      })

      test('no name by TLS', async () => {
        const answer = await run([
          'openssl',
          's_client',
          '-noservername',
          '-connect',
          `${SITE}:443`,
        ])
        expect(answer).not.toContain('BEGIN CERTIFICATE')
      })

      const OTHER = { names: ['other.test'] }
      test.each<[string, number[][]]>([
        ['in many segments', hello(OTHER).map((octet) => [octet])],
        ['in many records', [records(helloMessage(OTHER), 7)]],
        ['in many records and segments', records(helloMessage(OTHER), 3).map((octet) => [octet])],
        ['behind a name that is allowed', [hello({ names: ['good.test', 'other.test'] })]],
        [
          'in a second ClientHello',
          [[...hello({ names: ['good.test'] }), ...record(20, [1]), ...hello(OTHER)]],
        ],
        ['as SSH', [text('SSH-2.0-x', '')]],
        ['as HTTP', [text('GET / HTTP/1.1', 'Host: good.test', '', '')]],
      ])('%s', async (_, pieces) => {
        const before = await internet.octetsAt(SITE, 443)
        expect(await send(SITE, 443, pieces)).toBe('ECONNRESET')
        const sent = (await internet.octetsAt(SITE, 443)) - before
        // Of a second ClientHello nothing went out; of the first one all.
        expect(sent).toBeLessThanOrEqual(hello({ names: ['good.test'] }).length + 6)
      })

      const GOOD = ['GET / HTTP/1.1', 'Host: good.test', '', '']
      test.each<[string, number[][]]>([
        ['another host', [text('GET / HTTP/1.1', 'Host: other.test', '', '')]],
        ['a second request', [text(...GOOD), text('GET / HTTP/1.1', 'Host: other.test', '', '')]],
        ['a second request at once', [text(...GOOD, 'GET / HTTP/1.1', 'Host: other.test', '', '')]],
        ['two hosts', [text('GET / HTTP/1.1', 'Host: good.test', 'Host: other.test', '', '')]],
        ['a target', [text('GET http://other.test/ HTTP/1.1', 'Host: good.test', '', '')]],
        ['a tunnel', [text('CONNECT other.test:443 HTTP/1.1', 'Host: good.test', '', '')]],
        ['HTTP/2', [text('PRI * HTTP/2.0', '', 'SM', '', '')]],
        [
          'h2c',
          [
            text(
              'GET / HTTP/1.1',
              'Host: good.test',
              'Connection: Upgrade',
              'Upgrade: h2c',
              '',
              '',
            ),
          ],
        ],
        [
          'lengths that differ',
          [
            text(
              'POST / HTTP/1.1',
              'Host: good.test',
              'Content-Length: 4',
              'Transfer-Encoding: chunked',
              '',
              '0',
              '',
              'GET / HTTP/1.1',
              'Host: other.test',
              '',
              '',
            ),
          ],
        ],
        [
          'two lengths',
          [
            text(
              'POST / HTTP/1.1',
              'Host: good.test',
              'Content-Length: 0',
              'Content-Length: 60',
              '',
              'GET / HTTP/1.1',
              'Host: other.test',
              '',
              '',
            ),
          ],
        ],
        [
          'a folded length',
          [text('POST / HTTP/1.1', 'Host: good.test', 'Transfer-Encoding:', ' chunked', '', '')],
        ],
        [
          'a chunk that is none',
          [
            text(
              'POST / HTTP/1.1',
              'Host: good.test',
              'Transfer-Encoding: chunked',
              '',
              '1;a=\nb',
              'x',
              '0',
              '',
              '',
            ),
          ],
        ],
      ])('by HTTP: %s', async (_, pieces) => {
        const answer = await send(SITE, 80, pieces)
        expect(answer).toMatch(/ECONNRESET$/)
        expect(answer).not.toContain('hello from other.test')
      })
    })

    describe('datagrams', () => {
      const udp = (host: string, port: number, length = 64) =>
        guest.run(tasks.exchangeUdp, { host, port }, length, 1_000)

      test('QUIC, to an address that is allowed for TLS', async () => {
        expect((await udp(SITE, 443)).outcome).toMatch(/^(EACCES|EHOSTUNREACH|silence)$/)
        expect(await internet.octetsAt(SITE, 100_443)).toBe(0)
      })

      test.each([EVIL, EVIL6])('to %s', async (host) => {
        expect((await udp(host, 4433)).outcome).toMatch(/^(EACCES|EHOSTUNREACH|silence)$/)
        expect((await udp(host, 4433, 4_000)).outcome).toMatch(/^(EACCES|EHOSTUNREACH|silence)$/)
      })

      test('from a port that may send elsewhere', async () => {
        const { stdout } = await guest.execute(['dig', '+short', 'second.test'])
        expect(stdout).toBe(`${SECOND}\n`)
        const heard = await guest.run(sendFromOnePort, [SECOND, EVIL, SECOND, SITE], 4433)
        expect(heard).toEqual([SECOND, SECOND])
        expect(await internet.octetsAt(SITE, 104_433)).toBe(0)
      })

      test.each([EVIL, SITE, EVIL6])('ping %s', async (host) => {
        const answer = await run(['ping', '-c', '1', '-W', '1', '-s', '1000', host])
        expect(answer).not.toContain('1 received')
      })
    })

    describe('frames that no program sends', () => {
      let mac: string
      beforeAll(async () => {
        await guest.execute(['ping', '-c', '1', '-W', '1', GATEWAY])
        const found = /lladdr (\S+)/.exec(await run(['ip', 'neigh', 'show', GATEWAY]))
        mac = found![1]!
      })
      const frame = async (kind: string, source: string, target: string, port: number) => {
        const script = new URL('./frames.py', import.meta.url).pathname
        const python = readFileSync(script, 'utf8')
        return (
          await run(['python3', '-c', python, 'tap0', kind, source, target, `${port}`, mac])
        ).trim()
      }

      test('a SYN gets a RST at once, with text or without', async () => {
        expect(await frame('syn', GUEST, EVIL, 22)).toBe('rst')
        expect(await frame('syn-data', GUEST, EVIL, 22)).toBe('rst')
        expect(await frame('syn', GUEST, EVIL, 0)).toBe('rst')
      })

      test('to the host’s loopback they lead nowhere', async () => {
        expect(await frame('syn', GUEST, '127.0.0.1', 22)).toBe('nothing')
        expect(await frame('syn', GUEST, '0.0.0.0', 22)).toBe('nothing')
        expect(await frame('syn', 'fd00::99', '::ffff:127.0.0.1', 22)).toMatch(/nothing|rst/)
        expect(await frame('syn', 'fd00::99', '::1', 22)).toMatch(/nothing|rst/)
      })

      test('fragments are put together, and judged', async () => {
        expect(await frame('udp-fragments', GUEST, EVIL, 4433)).toBe('icmp 3 13')
      })

      test('from another address they are of the same container', async () => {
        expect(await frame('syn', '10.0.2.77', EVIL, 22)).toBe('rst')
        expect(await frame('syn', '198.51.100.7', SITE, 22)).toBe('nothing')
      })
    })

    test('a flood of destinations is refused, and nothing else suffers', async () => {
      const outcomes = await guest.run(flood, 600)
      expect(outcomes).toEqual(['ECONNREFUSED'])
      expect(await curl('https://good.test/', '-4')).toBe('hello from good.test')
    })
  })
})

/** Sends each piece by itself; answers what came, and how it ended. */
function exchangePieces(
  { net }: Kit,
  host: string,
  port: number,
  pieces: readonly (readonly number[])[],
): Promise<string> {
  return new Promise((resolve) => {
    let came = ''
    const socket = net.connect({ host, port, noDelay: true })
    socket.setTimeout(3_000, () => socket.destroy(new Error('silence')))
    socket.on('data', (part) => {
      came += part.toString('latin1')
    })
    socket.on('error', (error: NodeJS.ErrnoException) =>
      resolve(`${came}${error.code ?? error.message}`),
    )
    socket.on('close', () => resolve(`${came} closed`))
    socket.on('connect', async () => {
      for (const piece of pieces) {
        socket.write(Uint8Array.from(piece))
        await new Promise((next) => setTimeout(next, pieces.length > 10 ? 1 : 60))
      }
    })
  })
}

/** Messages to the name server that are no questions. */
async function askOddly({ dgram, sleep }: Kit, dns: string): Promise<{ type: string }> {
  const socket = dgram.createSocket('udp4')
  const question = [4, 103, 111, 111, 100, 4, 116, 101, 115, 116, 0, 0, 1, 0, 1]
  for (const octets of [
    [1, 2, 3],
    [0, 1, 0x28, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...question],
    [0, 1, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0, ...question, ...question],
    [0, 1, 1, 0, 0, 1, 0, 9, 0, 0, 0, 0, ...question],
    [0, 1, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...question],
  ]) {
    socket.send(Uint8Array.from(octets), 53, dns)
  }
  await sleep(200)
  socket.close()
  return { type: 'silence or an answer' }
}

/** One socket sends to each host in turn; answers who has answered. */
function sendFromOnePort(
  { dgram }: Kit,
  hosts: readonly string[],
  port: number,
): Promise<string[]> {
  return new Promise((resolve) => {
    const heard: string[] = []
    const socket = dgram.createSocket('udp4')
    socket.on('message', (_, from) => heard.push(from.address))
    socket.on('error', () => {})
    const next = (i: number): void => {
      if (i === hosts.length) {
        setTimeout(() => {
          socket.close()
          resolve(heard)
        }, 300)
      } else socket.send('x', port, hosts[i], () => setTimeout(() => next(i + 1), 100))
    }
    next(0)
  })
}

/** Connects to so many addresses and ports; answers the different outcomes. */
async function flood({ net }: Kit, count: number): Promise<string[]> {
  const outcomes = new Set<string>()
  const one = (i: number): Promise<void> =>
    new Promise((resolve) => {
      const socket = net.connect({ host: `45.33.${i >> 8}.${i & 255}`, port: 1000 + i })
      socket.setTimeout(8_000, () =>
        socket.destroy(Object.assign(new Error(), { code: 'silence' })),
      )
      socket.on('error', (error: NodeJS.ErrnoException) => outcomes.add(`${error.code}`))
      socket.on('close', () => resolve())
    })
  for (let i = 0; i < count; i += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, n) => one(i + n)))
  }
  return [...outcomes]
}
