/**
 * `npm run bench:goodput [-- --mib 64 --congestion cubic,reno --update]`, or `node scripts/run.mjs bench/goodput.ts`
 *
 * Two stacks over bad links in virtual time (test/stack/rig/goodput.ts): Mbit/s for each loss and link, every octet
 * looked at. The table of 64 MiB is kept in lossy/goodput-64-*.txt: it is compared, or written with --update. The
 * one that `npm test` keeps is of 1 MiB.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { CongestionName } from '../src/stack/tcp/congestion.ts'
import { table } from '../test/stack/rig/goodput.ts'

const { values: options } = parseArgs({
  options: {
    mib: { type: 'string', default: '1' },
    congestion: { type: 'string', default: 'cubic' },
    update: { type: 'boolean', default: false },
  },
})
for (const congestion of options.congestion.split(',') as CongestionName[]) {
  console.log(`Mbit/s of text, ${options.mib} MiB, ${congestion}; each octet was the right one`)
  const found = table(Number(options.mib) * 1024 * 1024, congestion, console.log)
  if (options.mib !== '64') continue
  const file = new URL(`lossy/goodput-64-${congestion}.txt`, import.meta.url)
  if (options.update) writeFileSync(file, found)
  else if (readFileSync(file, 'utf8') !== found) {
    console.error(`${file.pathname} has another table`)
    process.exitCode = 1
  }
}
