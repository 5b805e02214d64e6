/**
 * `npm run bench [-- OPTION ...]`; `--help` lists the options, docs/benchmarks.md tells how to read what comes out.
 *
 * Workloads through slipway and whatever of its peers is installed, in a private world (suite/run.ts). Only ratios
 * within one run compare.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { explain, preflight } from '../src/lab/preflight.ts'
import { execute } from '../src/lab/program.ts'
import { World } from '../src/lab/world.ts'
import { svgOf } from './report/chart.ts'
import { markdownOf, withSection } from './report/markdown.ts'
import { pageOf } from './report/page.ts'
import type { Report } from './report/report.ts'
import { tablesOf } from './report/terminal.ts'
import { isStale, revision } from './revision.ts'
import { contenders } from './suite/contenders/all.ts'
import type { Contender } from './suite/contenders/contender.ts'
import { slirpLike } from './suite/contenders/slirp.ts'
import { judge } from './suite/goals.ts'
import { commit, describeMachine } from './suite/machine.ts'
import { type Plan, planOf, USAGE } from './suite/options.ts'
import { runSuite } from './suite/run.ts'
import { chosenOf, suiteOf } from './suite/suite.ts'
import type { Workload } from './suite/workload.ts'

main().catch((error) => {
  process.exitCode = 1
  console.error(`bench: ${error.message}`)
})

async function main(): Promise<void> {
  const plan = planOf(process.argv.slice(2))
  if (plan === 'help') return console.log(USAGE)
  if (plan.list) return list(plan)
  const report = plan.from === undefined ? await measure(plan) : read(plan.from)
  console.log(`${tablesOf(report)}\n`)
  for (const [name, version] of Object.entries(report.versions)) console.log(`${name}: ${version}`)
  write(report, plan)
  if (report.failures.some((text) => /^slipway|: cannot start it: /.test(text)))
    process.exitCode = 1
}

function list({ nodes }: Plan): void {
  for (const { name, offers, hint } of contenders) {
    console.log(`${name.padEnd(12)} ${offers.join(', ')} (${hint})`)
  }
  const all = suiteOf(nodes)
  for (const group of new Set(all.map((one) => one.group))) {
    console.log(`\n${group}`)
    for (const one of all) if (one.group === group) console.log(`  ${one.name}`)
  }
}

async function measure(plan: Plan): Promise<Report> {
  const obstacle = await preflight()
  if (obstacle) throw new Error(explain(obstacle))
  if (!process.env.SLIPWAY_BIN && isStale())
    throw new Error('dist/ is older than src/: run npm run build')
  const workloads = chosenOf(plan)
  const chosen = await choose(plan)
  const world = await World.open(undefined, plan.congestion)
  try {
    return await measureIn(world, plan, chosen, workloads)
  } finally {
    await world.close()
  }
}

async function measureIn(
  world: World,
  plan: Plan,
  chosen: readonly Chosen[],
  workloads: readonly Workload[],
): Promise<Report> {
  const machine = await describeMachine(world.congestion)
  const { rounds, effort } = plan
  console.log(
    Object.entries(machine)
      .map((pair) => pair.join(' '))
      .join(' · '),
  )
  console.log(
    `${rounds} × ${effort.seconds} s each, interleaved; medians ± half the quartiles' distance\n`,
  )
  const names = chosen.map(({ contender }) => contender)
  const results = await runSuite(world, plan, names, workloads, progress())
  const rows = results.rows()
  return {
    format: 1,
    date: new Date().toISOString(),
    command: [
      'npm run bench',
      ...(process.argv.length > 2 ? ['--'] : []),
      ...process.argv.slice(2).map((arg) => (arg.includes(' ') ? `'${arg}'` : arg)),
    ].join(' '),
    commit: await commit(),
    machine,
    versions: Object.fromEntries(chosen.map((one) => [one.contender.name, one.version])),
    rounds,
    seconds: effort.seconds,
    names: results.names,
    rows,
    goals: judge(rows, results.names),
    failures: results.failures,
  }
}

interface Chosen {
  contender: Contender
  version: string
}

/** Those that are wanted and there; says how to get the others. */
async function choose({ only, against }: Plan): Promise<Chosen[]> {
  const all = [...contenders]
  if (against !== undefined) {
    const { name, binary } = revision(against)
    all.splice(1, 0, slirpLike(`slipway@${name}`, 'a revision of git', binary))
  }
  const unknown = only?.find((name) => all.every((one) => one.name.split('@')[0] !== name))
  if (unknown !== undefined) {
    const names = [...new Set(all.map(({ name }) => name))].join(', ')
    throw new Error(`cannot use --only ${unknown}: there are ${names}`)
  }
  const chosen: Chosen[] = []
  for (const contender of all) {
    const { name, hint, offers } = contender
    if (only && !only.includes(name.split('@')[0]!)) continue
    const version = await contender.version()
    if (version !== undefined) chosen.push({ contender, version })
    else if (offers.includes('gateway') && (name === 'slipway' || only)) {
      throw new Error(`${name} does not run (${hint})`)
    } else console.log(`without ${name}, ${offers.join(', ')} (${hint})`)
  }
  for (const tool of ['iperf3', 'python3', 'ip']) {
    const version = tool === 'ip' ? '-V' : '--version'
    const { status } = await execute([tool, version]).catch(() => ({ status: 1 }))
    const name = tool === 'ip' ? 'iproute2' : tool
    if (status !== 0) throw new Error(`${tool} is not installed (apt install ${name})`)
  }
  return chosen
}

/** One line that is written over, for somebody who watches; a line for each round and MTU in a file. */
function progress(): (what: string, part: number) => void {
  const started = performance.now()
  let last = ''
  return (what, part) => {
    const left = part > 0 ? ((performance.now() - started) / 1000) * (1 / part - 1) : Number.NaN
    const about = Number.isNaN(left) ? '' : `, ${clock(left)} left`
    const done = `${(100 * part).toFixed(0).padStart(3)} %${about}  `
    if (process.stderr.isTTY) {
      const room = (process.stderr.columns ?? 80) - 1
      process.stderr.write(`\r\x1b[K${(done + what).slice(0, room)}`)
      return
    }
    const [turn = ''] = what.split(':')
    if (turn !== last) process.stderr.write(`${done}${turn}\n`)
    last = turn
  }
}

function clock(seconds: number): string {
  const minutes = Math.floor(seconds / 60)
  return `${minutes}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`
}

function read(file: string): Report {
  const report = JSON.parse(readFileSync(file, 'utf8')) as Report
  if (report.format !== 1) throw new Error(`cannot use --from ${file}: it is no run of this suite`)
  return { ...report, goals: judge(report.rows, report.names) }
}

function write(report: Report, { outputs: { json, html, svg, markdown } }: Plan): void {
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, null, 1)}\n`)
  if (html !== undefined) writeFileSync(html, pageOf(report))
  if (svg !== undefined) writeFileSync(svg, svgOf(report))
  if (markdown === undefined) return
  writeFileSync(markdown, withSection(existing(markdown), markdownOf(report, svg)))
}

function existing(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
