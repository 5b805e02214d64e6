/** What happens to the host's connection happens to the guest's (RFC 9293 §3.9.2.2; slirp4netns leaves it hanging). */
import { beforeAll, describe, expect, test } from 'vitest'
import type { Namespace } from '../../src/lab/world.ts'
import { addHostBeside, BESIDE, cut, NOBODY, SILENT, setVariables } from './beside.ts'
import { has, inWorlds, peer } from './lab.ts'
import * as tasks from './tasks.ts'

describe.skipIf(peer || !has('ip'))('of the host', () => {
  inWorlds((lab) => {
    let beside: Namespace
    beforeAll(async () => {
      beside = await addHostBeside(lab)
      await setVariables(lab.host, 'ipv4/tcp_syn_retries=1', 'ipv4/tcp_retries2=2')
    })

    test('a connect that times out (ETIMEDOUT) ends the guest’s, by ICMP and no RST', async () => {
      const address = { host: SILENT, port: 80 }
      const { outcome, ms } = await lab.guest.run(tasks.tryToConnect, address, 20_000)
      // A RST would be ECONNREFUSED. The host gives up after 3 s, having tried twice.
      expect(outcome).toBe('EHOSTUNREACH')
      expect(ms).toBeGreaterThan(2_500)
    })

    test('a connect that is told late that there is nobody (EHOSTUNREACH) does, too', async () => {
      const address = { host: NOBODY, port: 80 }
      const { outcome } = await lab.guest.run(tasks.tryToConnect, address, 20_000)
      expect(outcome).toBe('EHOSTUNREACH')
    })

    test('octets that came before a reset are delivered', async () => {
      // The peer says something and resets: the guest may read it, and learns of the reset.
      const port = await beside.run(
        ({ net, listen }, host) =>
          listen(
            net.createServer((socket) => {
              socket.on('error', () => {})
              socket.write('last words')
              setTimeout(() => socket.resetAndDestroy(), 300)
            }),
            host,
          ),
        BESIDE,
      )
      await lab.guest.run(tasks.connectKept, 'words', { host: BESIDE, port })
      const { text, error } = await lab.guest.run(tasks.standing, 'words', 'error')
      expect([text, error]).toEqual(['last words', 'ECONNRESET'])
    })

    test('an error after the handshake (ETIMEDOUT) is a reset in the guest', async () => {
      const port = await beside.run(tasks.serveKept, 'cut', BESIDE)
      await lab.guest.run(tasks.connectKept, 'cut', { host: BESIDE, port })
      await lab.guest.run(tasks.act, 'cut', { send: 'first' })
      expect(await beside.run(tasks.standing, 'cut', 'text')).toMatchObject({ text: 'first' })
      await cut(beside)
      await lab.guest.run(tasks.act, 'cut', { send: 'second' })
      const { error } = await lab.guest.run(tasks.standing, 'cut', 'error')
      expect(error).toBe('ECONNRESET')
    })
  })
})
