/** What routers on the way say reaches the guest: traceroute, tracepath, mtr, path MTU. */
import { beforeAll, describe, expect, test } from 'vitest'
import type { Namespace } from '../../src/lab/world.ts'
import { address6, GATEWAY6 } from './ipv6.ts'
import { GATEWAY, has, inWorlds, peer } from './lab.ts'
import {
  addRouters,
  PATH_MTU,
  PROHIBITED,
  PROHIBITED6,
  permitPing,
  ROUTERS,
  ROUTERS6,
  TARGET,
  TARGET6,
} from './routers.ts'
import * as tasks from './tasks.ts'

const PATH = [GATEWAY, ...ROUTERS, TARGET]
const PATH6 = [GATEWAY6, ...ROUTERS6, TARGET6]

// slirp4netns tells nothing of routers.
describe.skipIf(peer || !has('ip'))('routers on the way', () => {
  inWorlds(
    (lab) => {
      let target: Namespace
      beforeAll(async () => {
        target = await addRouters(lab)
        await permitPing(lab.host)
        expect(await address6(lab.guest)).toMatch(/^fd00:/)
      })

      // First: what the guest has learnt of a path holds for ten minutes.
      describe.skipIf(!has('ping'))('the MTU of the path', () => {
        test('is told to a guest that does not let its packets be cut', async () => {
          const { stdout } = await lab.guest.execute(ping(TARGET, '-M', 'do', '-s', '1420'))
          expect(stdout).toContain(`Frag needed and DF set (mtu = ${PATH_MTU})`)
          expect(stdout).not.toContain('bytes from')
          const fits = ['-M', 'do', '-s', `${PATH_MTU - 28}`]
          expect((await lab.guest.execute(ping(TARGET, ...fits))).stdout).toContain('2 received')
        })

        test('does not concern a guest that does', async () => {
          const { stdout } = await lab.guest.execute(ping(TARGET, '-M', 'dont', '-s', '1450'))
          expect(stdout).toContain('2 received')
        })

        test('is told over IPv6', async () => {
          const { stdout } = await lab.guest.execute(ping(TARGET6, '-M', 'do', '-s', '1420'))
          expect(stdout).toContain(`Packet too big: mtu=${PATH_MTU}`)
          expect(stdout).not.toContain('bytes from')
        })

        test('is learnt for UDP: a datagram is lost, the next ones arrive', async () => {
          const port = await target.run(tasks.serveUdpEcho, TARGET)
          const address = { host: TARGET, port }
          const first = await lab.guest.run(tasks.exchangeUdp, address, 1_450, 500)
          expect(['EMSGSIZE', 'silence', 'answer']).toContain(first.outcome)
          const { outcome, equal } = await lab.guest.run(tasks.exchangeUdp, address, 1_450)
          expect({ outcome, equal }).toEqual({ outcome: 'answer', equal: true })
        })
      })

      describe.skipIf(!has('traceroute'))('traceroute', () => {
        for (const [kind, ...options] of [['UDP'], ['ICMP', '-I'], ['TCP', '-T', '-p', '9']]) {
          test(`by ${kind} names each hop`, async () => {
            expect(await trace(lab.guest, TARGET, ...options)).toEqual(PATH)
          })

          test(`by ${kind} names each hop of IPv6`, async () => {
            expect(await trace(lab.guest, TARGET6, '-6', ...options)).toEqual(PATH6)
          })
        }
      })

      test.skipIf(!has('tracepath'))('tracepath finds the MTU of the path', async () => {
        for (const [target, path] of [
          [TARGET, PATH],
          [TARGET6, PATH6],
        ] as const) {
          const { stdout } = await lab.guest.execute(['tracepath', '-n', '-m', '6', target])
          for (const [i, hop] of path.entries()) {
            expect(stdout).toMatch(new RegExp(`^ *${i + 1}: +${hop} `, 'm'))
          }
          expect(stdout).toContain(`Resume: pmtu ${PATH_MTU} hops 4 `)
        }
      })

      test('what a router prohibits TCP learns at once', async () => {
        const { outcome, ms } = await lab.guest.run(tasks.tryToConnect, {
          host: PROHIBITED,
          port: 9,
        })
        expect(outcome).toBe('EHOSTUNREACH') // as Linux has it (RFC 1122 §4.2.3.9)
        expect(ms).toBeLessThan(900) // before the SYN is sent again
      })

      test.skipIf(!has('traceroute'))('a router that prohibits is shown as such', async () => {
        for (const [target, router] of [
          [PROHIBITED, ROUTERS[0]],
          [PROHIBITED6, ROUTERS6[0]],
        ] as const) {
          const { stdout } = await lab.guest.execute(['traceroute', '-n', '-q', '1', target])
          expect(stdout).toMatch(new RegExp(`^ 2 +${router} .* !X$`, 'm'))
        }
      })

      for (const [kind, ...options] of [['ICMP'], ['UDP', '--udp'], ['TCP', '--tcp', '-P', '9']]) {
        test.skipIf(!has('mtr'))(`mtr by ${kind} names each hop, and loses nothing`, async () => {
          for (const [target, path] of [
            [TARGET, PATH],
            [TARGET6, PATH6],
          ] as const) {
            const command = [
              'mtr',
              '-n',
              '-C',
              '-c',
              '3',
              '-i',
              '0.2',
              '-G',
              '0.5',
              ...options,
              target,
            ]
            const { stdout } = await lab.guest.execute(command)
            const rows = stdout
              .trim()
              .split('\n')
              .slice(1)
              .map((row) => row.split(','))
            expect(rows.map(([, , , , , host, lost]) => `${host} ${lost}`)).toEqual(
              path.map((host) => `${host} 0.00`),
            )
          }
        })
      }
    },
    { shared: { args: ['--enable-ipv6'] } },
  )
})

/** The addresses that traceroute shows, one a hop. */
async function trace(guest: Namespace, to: string, ...options: string[]): Promise<string[]> {
  const command = ['traceroute', '-n', '-q', '1', '-w', '2', '-m', '6', ...options, to]
  const { stdout, stderr } = await guest.execute(command)
  if (stderr !== '') throw new Error(stderr)
  return stdout
    .split('\n')
    .slice(1, -1)
    .map((line) => line.trim().split(/\s+/)[1] ?? '')
}

function ping(address: string, ...options: string[]): string[] {
  return ['ping', '-n', '-c', '2', '-i', '0.05', '-W', '1', ...options, address]
}
