/** Name servers of the host that fail, are of the other IP version, on the loopback, or answer much. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Kit } from '../../src/lab/agent.ts'
import { serveDns } from '../../src/lab/dns-server.ts'
import type { Namespace } from '../../src/lab/world.ts'
import { addHostAddress6, address6, DNS6, HOST_ADDRESS6 } from './ipv6.ts'
import { DNS, has, inWorlds, peer } from './lab.ts'

const GOOD = '127.0.0.1'
const NOBODY = '127.0.0.5'
const SILENT = '127.0.0.6'
const UNABLE = '127.0.0.7'
const STUB = '127.0.0.53'
/** Nobody has it, and nobody says so for some seconds. */
const FAR = '198.51.100.53'

const RECORDS = {
  'one.example': ['192.0.2.1'],
  // 16 · 180 octets and a header.
  'many.example': Array.from({ length: 180 }, (_, n) => `198.51.100.${n}`),
}

// Upstream asks the first server only, and answers of more than 512 octets are not its business.
describe.skipIf(peer)('the host has', () => {
  inWorlds((lab) => {
    beforeAll(async () => {
      await lab.host.run(serveDns, RECORDS, GOOD)
      await lab.host.run(serveFaults, SILENT, UNABLE)
    })
    afterEach(() => resolvConf(GOOD))

    function resolvConf(...servers: string[]): void {
      const text = servers.map((server) => `nameserver ${server}\n`).join('')
      writeFileSync(join(lab.world.directory, 'resolv.conf'), text)
    }

    async function attach(...args: string[]): Promise<Namespace> {
      return (await lab.attach({ args })).guest
    }

    /** Asks once, and waits for five seconds at most. */
    const ask = (guest: Namespace, name = 'one.example', server = DNS) =>
      guest.run(
        async ({ dns }, name, server) => {
          const started = performance.now()
          const resolver = new dns.promises.Resolver({ timeout: 5_000, tries: 1 })
          resolver.setServers([server.includes(':') ? `[${server}]` : server])
          const answer = await resolver.resolve4(name).then(
            (addresses) => addresses.length,
            (error: NodeJS.ErrnoException) => `${error.code}`,
          )
          return { answer, ms: performance.now() - started }
        },
        name,
        server,
      )

    test('a first name server that is silent: the second answers before anybody asks again', async () => {
      resolvConf(SILENT, GOOD)
      const guest = await attach()
      const first = await ask(guest)
      expect(first.answer).toBe(1)
      expect(first.ms).toBeGreaterThan(1_000)
      expect(first.ms).toBeLessThan(2_500)
      expect((await ask(guest)).answer).toBe(1)
      // After two questions it is asked last.
      const third = await ask(guest)
      expect(third.answer).toBe(1)
      expect(third.ms).toBeLessThan(1_000)
    })

    for (const [what, ...others] of [
      ['where nobody is', NOBODY],
      ['that is not able to', UNABLE],
      ['that cannot be reached', '2001:db8:ffff::1'],
      ['of each kind', NOBODY, UNABLE, '2001:db8:ffff::1'],
    ] as const) {
      test(`a first name server ${what}: the next one answers at once, over UDP and TCP`, async () => {
        resolvConf(...others, GOOD)
        const guest = await attach()
        for (const name of ['one.example', 'many.example'] as const) {
          const { answer, ms } = await ask(guest, name)
          expect({ name, answer }).toEqual({ name, answer: RECORDS[name].length })
          expect(ms).toBeLessThan(1_000)
        }
      })
    }

    test.skipIf(!has('ip') || !has('dig'))(
      'one that does not answer the dial: the next one is dialled',
      async () => {
        const script = `
        ip link add far0 type veth peer name far1
        ip link set far1 up
        ip link set far0 up
        ip route add ${FAR}/32 dev far0`
        const { status, stderr } = await lab.host.execute(['sh', '-ec', script])
        expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
        resolvConf(FAR, GOOD)
        const guest = await attach()
        const started = performance.now()
        const command = [
          'dig',
          '+tcp',
          '+short',
          '+timeout=5',
          '+tries=1',
          `@${DNS}`,
          'one.example',
        ]
        expect(await guest.execute(command)).toMatchObject({ status: 0, stdout: '192.0.2.1\n' })
        expect(performance.now() - started).toBeLessThan(3_000)
      },
    )

    test('nobody at all: the guest hears so at once', async () => {
      resolvConf(NOBODY, '127.0.0.8')
      const { answer, ms } = await ask(await attach())
      expect(answer).toBe('ECONNREFUSED')
      expect(ms).toBeLessThan(1_000)
    })

    test('a stub at 127.0.0.53, which --disable-host-loopback does not shut out', async () => {
      await lab.host.run(serveDns, RECORDS, STUB)
      resolvConf(STUB)
      const guest = await attach('--disable-host-loopback')
      expect((await ask(guest)).answer).toBe(1)
      expect((await ask(guest, 'many.example')).answer).toBe(180)
    })

    test.skipIf(!has('ip'))(
      'name servers of IPv6, for guests of either version, and the other way',
      async () => {
        await addHostAddress6(lab.host)
        await lab.host.run(serveDns, RECORDS, '::1')
        await lab.host.run(serveDns, RECORDS, HOST_ADDRESS6)
        for (const server of ['::1', HOST_ADDRESS6, GOOD]) {
          resolvConf(server)
          const guest = await attach('--enable-ipv6')
          expect(await address6(guest)).toMatch(/^fd00:/)
          for (const at of [DNS, DNS6]) {
            for (const name of ['one.example', 'many.example'] as const) {
              const { answer } = await ask(guest, name, at)
              expect({ server, at, name, answer }).toEqual({
                ...{ server, at, name },
                answer: RECORDS[name].length,
              })
            }
          }
        }
      },
    )

    test.skipIf(!has('ip'))('a name server at a link-local address, with its zone', async () => {
      const script = `
        ip link add dns0 type veth peer name dns1
        ip link set dns1 up
        ip link set dns0 up
        ip addr add fe80::53/64 dev dns0 nodad`
      const { status, stderr } = await lab.host.execute(['sh', '-ec', script])
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      await lab.host.run(serveDns, RECORDS, 'fe80::53%dns0')
      resolvConf('fe80::53%dns0')
      const guest = await attach()
      expect((await ask(guest)).answer).toBe(1)
      expect((await ask(guest, 'many.example')).answer).toBe(180)
    })

    test.skipIf(!has('dig'))(
      'answers of any size that EDNS allows, over UDP; longer ones over TCP',
      async () => {
        const guest = await attach()
        const dig = async (...options: string[]): Promise<number> => {
          const command = ['dig', '+noall', '+answer', '+comments', '+timeout=3', '+tries=1']
          const { stdout } = await guest.execute([
            ...command,
            ...options,
            `@${DNS}`,
            'many.example',
          ])
          if (/flags:[a-z ]* tc[ ;]/.test(stdout)) return -1
          return stdout.split('\n').filter((line) => line.startsWith('many.example.')).length
        }
        expect(await dig('+notcp', '+ignore', '+bufsize=4096', '+nocookie')).toBe(180)
        expect(await dig('+notcp', '+ignore', '+bufsize=1232', '+nocookie')).toBe(-1)
        expect(await dig('+notcp', '+ignore', '+noedns')).toBe(-1)
        expect(await dig('+bufsize=1232', '+nocookie')).toBe(180)
      },
    )

    test('a hundred questions at once, each in its own time', async () => {
      resolvConf(SILENT, UNABLE, GOOD)
      const guest = await attach()
      const answers = await Promise.all(Array.from({ length: 100 }, () => ask(guest)))
      expect(answers.map(({ answer }) => answer)).toEqual(Array(100).fill(1))
    })
  })
})

/** At port 53 of the one, a server that reads and says nothing; of the other, one that says SERVFAIL. */
async function serveFaults({ dgram, bind }: Kit, silent: string, unable: string): Promise<void> {
  await bind(dgram.createSocket('udp4'), silent, 53)
  const socket = dgram.createSocket('udp4')
  socket.on('message', (question, from) => {
    question[2]! |= 0x80
    question[3] = 2
    socket.send(question, from.port, from.address)
  })
  await bind(socket, unable, 53)
}
