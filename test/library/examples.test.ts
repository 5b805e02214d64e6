/** Each example runs as its head says, in a world of its own, and does what it is an example of. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { type Ending, Program } from '../../src/lab/program.ts'
import { has, inWorlds } from '../e2e/lab.ts'
import { tshark } from './tshark.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** The command that the head of each example gives, and who runs it here. */
const EXAMPLES = ['two-stacks', 'capture']

test('every example is run: by this file, or two-stacks by stack-package.test.ts', () => {
  const files = readdirSync(join(root, 'examples')).filter((file) => file !== 'container.ts')
  expect(files.map((file) => file.replace(/\.ts$/, '')).sort()).toEqual([...EXAMPLES].sort())
})

inWorlds((lab) => {
  const isMoved = (): boolean => process.env.SLIPWAY_DIST !== undefined

  /** Runs an example in the world's "host" to its end. */
  function start(name: string, ...args: string[]): Program {
    const script = [process.execPath, join(root, 'scripts/run.mjs')]
    const command = [...script, join(root, `examples/${name}.ts`), ...args]
    const program = [...lab.host.enter, 'setpriv', '--pdeathsig', 'KILL', '--', ...command]
    return new Program(program, { limit: 30_000 })
  }

  const run = (name: string, ...args: string[]): Promise<Ending> => start(name, ...args).ended

  describe('examples/capture.ts', () => {
    test('writes a file that tshark reads cleanly', async (context) => {
      if (isMoved()) return context.skip('this user cannot read the examples')
      const file = join(lab.world.directory, 'example.pcapng')
      const { status, stdout, stderr } = await run('capture', file)
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      expect(stdout).toMatch(/^hello from the host\n[1-9]\d+ frames in .*, 0 dropped\n$/)
      expect(existsSync(file)).toBe(true)
      if (has('tshark')) expect(await tshark(file)).toContain('GET / HTTP/1.1')
    })
  })
})
