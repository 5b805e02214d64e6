/** Idle connections: nobody who lives is cut, nobody who has vanished is waited for. */
import { beforeAll, describe, expect, test } from 'vitest'
import type { Namespace } from '../../src/lab/world.ts'
import { addHostBeside, BESIDE, cut } from './beside.ts'
import { Counters } from './counters.ts'
import { has, inWorlds, type Pair, peer } from './lab.ts'
import * as tasks from './tasks.ts'

describe.skipIf(peer || !has('ip'))('with --keepalive=1,1,2', () => {
  inWorlds((lab) => {
    let beside: Namespace
    beforeAll(async () => {
      beside = await addHostBeside(lab)
    })

    async function connect(name: string, ...args: string[]): Promise<Pair> {
      const pair = await lab.attach({ args: ['--keepalive=1,1,2', ...args] })
      const port = await beside.run(tasks.serveKept, name, BESIDE)
      await pair.guest.run(tasks.connectKept, name, { host: BESIDE, port })
      await pair.guest.run(tasks.act, name, { send: 'hello' })
      expect(await beside.run(tasks.standing, name, 'text')).toMatchObject({ text: 'hello' })
      return pair
    }

    test('an idle connection whose ends live is never cut', async () => {
      const counters = new Counters(lab)
      const { guest } = await connect('idle', counters.option)
      await new Promise((resolve) => setTimeout(resolve, 6_000))
      expect(await counters.value('slipway_tcp_keep_alives_total')).toBeGreaterThan(3)
      await beside.run(tasks.act, 'idle', { send: 'still here' })
      expect(await guest.run(tasks.standing, 'idle', 'text')).toEqual({
        ...{ text: 'still here', ended: false, error: undefined },
      })
    })

    test('a guest that has vanished is found: its server sees a reset', async () => {
      const { guest } = await connect('gone')
      await guest.execute(['ip', 'link', 'set', 'tap0', 'down'])
      const { error } = await beside.run(tasks.standing, 'gone', 'error')
      expect(error).toBe('ECONNRESET')
    })

    test('with --keepalive=off nobody is asked, and nobody cut', async () => {
      const counters = new Counters(lab)
      const { guest } = await connect('off', '--keepalive=off', counters.option)
      await guest.execute(['ip', 'link', 'set', 'tap0', 'down'])
      await new Promise((resolve) => setTimeout(resolve, 4_000))
      expect(await counters.value('slipway_tcp_keep_alives_total')).toBe(0)
      const { ended, error } = await beside.run(tasks.standing, 'off', 'text')
      expect([ended, error]).toEqual([false, undefined])
    })

    test('a server that has vanished is found: the guest sees a reset', async () => {
      const { guest } = await connect('server')
      await cut(beside)
      const { error } = await guest.run(tasks.standing, 'server', 'error')
      expect(error).toBe('ECONNRESET')
    })
  })
})
