/**
 * What gets through bad links (rig/goodput.ts), as a table that is kept: a change of the stack shows
 * in it. `UPDATE=1 npx vitest run test/stack/goodput.test.ts` writes it anew; look at the difference.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { table } from './rig/goodput.ts'

const MIB = 1024 * 1024

test.each(['cubic', 'reno'] as const)('1 MiB through each link, with %s', (congestion) => {
  const file = new URL(`fixtures/goodput-${congestion}.txt`, import.meta.url)
  const found = `Mbit/s of text, 1 MiB; each octet was the right one\n${table(MIB, congestion)}`
  if (process.env.UPDATE) writeFileSync(file, found)
  expect(found).toBe(readFileSync(file, 'utf8'))
})
