/**
 * `npm run bench:micro [-- --rounds N --ms N --only TEXT,… --save FILE --against FILE|REVISION]`, or
 * `node scripts/run.mjs bench/micro.ts --rounds 1 --ms 2`
 *
 * What the hot files cost (micro/*.ts): each header, checksums, demultiplexing, queues, timers, two stacks in memory, packets
 * through the worker. Each round is a process of its own; the figures are medians of the rounds.
 *
 * With --against a figure stands beside what it was: in a set that was kept with --save (on the same machine, one hopes), or
 * in a revision of git, which is taken out of the repository and measured by the same benches, in turn with what is here.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { compare, failuresOf, figuresOf, type Saved, tableOf } from './micro/compare.ts'
import type { Line } from './micro/run.ts'
import { plural } from './report/report.ts'
import { isStale, overlay, revision } from './revision.ts'
import { commit } from './suite/machine.ts'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    ms: { type: 'string', default: '50' },
    only: { type: 'string' },
    save: { type: 'string' },
    against: { type: 'string' },
    child: { type: 'boolean', default: false },
  },
})

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const only = options.only?.split(',') ?? []

main().catch((error) => {
  process.exitCode = 1
  console.error(`bench:micro: ${error.message}`)
})

async function main(): Promise<void> {
  const ms = whole('--ms', options.ms)
  if (!options.child) return compareAll(whole('--rounds', options.rounds), ms)
  const { runAll } = await import('./micro/run.ts')
  await runAll(ms, only)
}

async function compareAll(rounds: number, ms: number): Promise<void> {
  if (isStale()) throw new Error('dist/ is older than src/: run npm run build')
  const { against } = options
  const isFile = against !== undefined && statSync(against, { throwIfNoEntry: false })?.isFile()
  const then = against === undefined || isFile ? undefined : revision(against)
  if (then !== undefined) overlay(then, 'bench', 'scripts')
  const of = { Node: process.versions.node, CPU: cpus()[0]?.model ?? '?', commit: await commit() }
  console.log(`Node ${of.Node}, ${of.CPU}; medians of ${plural(rounds, 'round')}`)
  const now: Line[][] = []
  const before: Line[][] = []
  for (let round = 0; round < rounds; round++) {
    const sides = [
      () => now.push(measure(ROOT, ms)),
      () => then && before.push(measure(then.directory, ms)),
    ]
    for (const side of round % 2 === 0 ? sides : sides.reverse()) side()
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[Kround ${round + 1} of ${rounds}`)
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  const figures = figuresOf(now)
  const old = isFile ? read(against!) : then && figuresOf(before)
  console.log(tableOf(compare(figures, old)))
  for (const text of failuresOf(before)) console.log(`before, ${text}`)
  const failures = failuresOf(now)
  for (const text of failures) console.error(`failed: ${text}`)
  if (failures.length > 0 || figures.length === 0) process.exitCode = 1
  if (options.save === undefined) return
  const saved: Saved = { format: 1, of, figures }
  writeFileSync(options.save, `${JSON.stringify(saved, null, 1)}\n`)
}

/** A round, of the sources in that folder. */
function measure(directory: string, ms: number): Line[] {
  const file = `${directory}/bench/micro.ts`
  const args = ['--child', '--ms', `${ms}`, ...(only.length > 0 ? ['--only', only.join(',')] : [])]
  const command = [`${directory}/scripts/run.mjs`, file, ...args]
  const text = execFileSync(process.execPath, command, {
    cwd: directory,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return text
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

function read(file: string): Saved['figures'] {
  const saved = JSON.parse(readFileSync(file, 'utf8')) as Saved
  if (saved.format === 1 && Array.isArray(saved.figures)) return saved.figures
  throw new Error(`cannot use --against ${file}: it was not kept with --save`)
}

function whole(option: string, text: string): number {
  if (/^[1-9]\d*$/.test(text)) return Number(text)
  throw new Error(`cannot use ${option} ${text}: it is a whole number from 1 on`)
}
