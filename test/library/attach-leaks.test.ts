/** The library in a program of its own, again and again: nothing is left of networks that are over, or never were. */
import { afterEach, expect, test } from 'vitest'
import type { Kit } from '../../src/lab/agent.ts'
import type { Namespace } from '../../src/lab/world.ts'
import { inWorlds } from '../e2e/lab.ts'
import * as tasks from '../e2e/tasks.ts'
import { Embedder, type EmbedderOptions, expectNothingLeft, LIBRARY } from './embedder.ts'

inWorlds((lab) => {
  const opened: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const close of opened.splice(0).reverse()) await close()
  })

  async function container(options = {}): Promise<Namespace> {
    const guest = await lab.world.container(options)
    opened.push(() => guest.close())
    return guest
  }

  async function embedder(guest: Namespace, options?: EmbedderOptions): Promise<Embedder> {
    const program = await Embedder.beside(guest, options)
    opened.push(() => program.close())
    return program
  }

  for (const as of ['owner', 'plain'] as const) {
    test(`a start is cancelled at any time, ${as === 'owner' ? 'with' : 'without'} capabilities`, async () => {
      const guest = await container()
      const program = await embedder(guest, { as })
      await program.warmUp(guest.pid)
      const before = program.holdings()
      const abort = async (
        { load, sleep }: Kit,
        library: string,
        pid: number,
        delay: number,
      ): Promise<[string, number]> => {
        const { attach } = (await load(library)) as typeof import('../../src/index.ts')
        const controller = new AbortController()
        const attaching = attach({ target: { pid }, signal: controller.signal }).then(
          async (network) => {
            await network.close()
            return 'attached'
          },
          (error) => error.message,
        )
        await (delay < 0 ? undefined : sleep(delay))
        controller.abort(new Error('changed my mind'))
        const aborted = performance.now()
        return [await attaching, performance.now() - aborted]
      }
      const outcomes = new Set<string>()
      for (
        let delay = -1;
        delay < 5_000 && !outcomes.has('attached');
        delay += delay < 200 ? 5 : 100
      ) {
        const [outcome, ms] = await program.run(abort, LIBRARY, guest.pid, delay)
        expect(['changed my mind', 'attached']).toContain(outcome)
        expect(ms).toBeLessThan(1_000)
        outcomes.add(outcome)
        expect((await guest.run(tasks.interfaces)).join()).not.toContain('tap0')
        await expectNothingLeft(program, before)
      }
      expect([...outcomes]).toEqual(['changed my mind', 'attached'])
    })
  }

  test('100 networks one after another leak nothing', { timeout: 120_000 }, async () => {
    const guest = await container()
    const program = await embedder(guest)
    const cycle = async ({ load }: Kit, library: string, pid: number, times: number) => {
      const { attach } = (await load(library)) as typeof import('../../src/index.ts')
      for (let i = 0; i < times; i++) {
        const network = await attach({ target: { pid } })
        await network.forwards.add({ guestPort: 80 })
        await network.close()
      }
      ;(globalThis as { gc?: () => void }).gc?.()
      return {
        resident: process.memoryUsage().rss / 2 ** 20,
        listeners: process.listenerCount('exit'),
      }
    }
    const early = await program.run(cycle, LIBRARY, guest.pid, 30)
    const before = program.holdings()
    const late = await program.run(cycle, LIBRARY, guest.pid, 70)
    await expectNothingLeft(program, before)
    expect(late.listeners).toBe(early.listeners)
    expect(late.resident - early.resident).toBeLessThan(20)
  })
})
