/**
 * Nothing is allocated per packet, in two million frames (bench/stack/frames.ts, in a process of its own). What is
 * left are numbers with a fraction that V8 boxes, 16 octets each: `now`, and a deadline a turn. Which calls it
 * inlines, and so boxes nothing for, differs from run to run.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const path = (file: string): string => fileURLToPath(new URL(`../../${file}`, import.meta.url))
const BOXED = 16

test('a million frames leave no garbage but boxed numbers', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...['--expose-gc', '--min-semi-space-size=256', '--max-semi-space-size=256'],
    ...[path('scripts/run.mjs'), path('bench/stack/frames.ts')],
  ])
  const found = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { name: string; frames: number; each: number })
  const octets = new Map(found.map(({ name, each }) => [name, each]))
  expect(found.reduce((sum, { frames }) => sum + frames, 0)).toBeGreaterThan(2_000_000)
  expect(octets.get('a stream of segments')).toBeLessThan(2.5 * BOXED)
  expect(octets.get('super-segments')).toBeLessThan(2.5 * BOXED)
  expect(octets.get('both ways at once')).toBeLessThan(2.5 * BOXED)
  // A turn for each frame: its deadline is a number that is boxed, too.
  expect(octets.get('requests and responses')).toBeLessThan(4.5 * BOXED)
  // The smallest of objects would be seen.
  expect(octets.get('an object a frame')).toBeGreaterThan(2.5 * BOXED)
})
