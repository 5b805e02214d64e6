/** A policy on a real container, by the library: names, addresses, reloading, records, hooks. */
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { EgressOptions } from '../../src/index.ts'
import type { Namespace } from '../../src/lab/world.ts'
import { Embedder } from '../library/embedder.ts'
import { addInternet, EVIL, type Internet, SITE } from './internet.ts'
import { has, inWorlds, peer } from './lab.ts'

describe.skipIf(peer || !has('ip') || !has('openssl') || !has('curl'))('egress', () => {
  inWorlds((lab) => {
    let internet: Internet
    const opened: (() => Promise<void>)[] = []
    beforeAll(async () => {
      internet = await addInternet(lab)
    })
    afterEach(async () => {
      for (const close of opened.splice(0).reverse()) await close()
    })

    async function attach(egress: EgressOptions): Promise<{ guest: Namespace; program: Embedder }> {
      const guest = await lab.world.container()
      opened.push(() => guest.close())
      const program = await Embedder.beside(guest)
      opened.push(() => program.close())
      await program.attach({ target: { pid: guest.pid }, ipv6: true, egress })
      return { guest, program }
    }

    /** What curl prints, or its exit status: 6 no such name, 7 refused, 28 a time-out, 35, 52, 56 reset. */
    async function curl(guest: Namespace, url: string, ...options: string[]): Promise<string> {
      const command = ['curl', '-sS', '--cacert', internet.ca, '--max-time', '5', ...options, url]
      const { status, stdout } = await guest.execute(command)
      return status === 0 ? stdout.trim() : `exit ${status}`
    }

    test('a name that a rule allows is reached, and no other, by name or by address', async () => {
      const { guest } = await attach({
        rules: [{ action: 'allow', name: 'good.test', port: [443, 80] }],
      })
      expect(await curl(guest, 'https://good.test/')).toBe('hello from good.test')
      expect(await curl(guest, 'http://good.test/')).toBe('hello from good.test')
      expect(await curl(guest, 'https://evil.test/')).toBe('exit 6')
      expect(await curl(guest, `https://${EVIL}/`)).toBe('exit 7')
      expect(await curl(guest, 'https://other.test/', '--resolve', `other.test:443:${SITE}`)).toBe(
        'exit 35',
      )
      expect(await internet.octetsAt(EVIL, 443)).toBe(0)
    })
  })
})
