/**
 * `npm run bench [-- --rounds N --seconds S --mtu 1500,65520 --only NAME,NAME --group TCP,UDP --quick --smoke
 *  --json FILE --html FILE]`
 *
 * Workloads through slipway and whatever of its peers is installed, in a private world. The contenders take turns
 * within each round, so that a change of the machine's mood meets all of them; the table shows medians, and `~` where
 * the rounds did not agree. Only ratios within one run compare.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { parseArgs } from 'node:util'
import { explain, preflight } from '../src/lab/preflight.ts'
import { execute } from '../src/lab/program.ts'
import { World } from '../src/lab/world.ts'
import { type Contender, contenders } from './contenders.ts'
import { cpuSeconds, forgetPeak, Mood, peakKib } from './meter.ts'
import { htmlOf } from './report.ts'
import { Results, tableOf } from './results.ts'
import { suite } from './suite.ts'
import {
  FORWARD,
  type Metric,
  type Place,
  startHostServers,
  startIperf,
  type Workload,
} from './workload.ts'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    mtu: { type: 'string' },
    only: { type: 'string' },
    group: { type: 'string' },
    json: { type: 'string' },
    html: { type: 'string' },
    quick: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
  },
})

const CPU: Metric = { name: '', unit: 's/GB', digits: 3, less: true }
const PEAK: Metric = { name: '', unit: 'MB', digits: 1, less: true }

interface Chosen {
  contender: Contender
  version: string
}

main().catch((error) => {
  process.exitCode = 1
  console.error(`bench: ${error.message}`)
})

async function main(): Promise<void> {
  const obstacle = await preflight()
  if (obstacle) throw new Error(explain(obstacle))
  const { rounds, seconds, mtus, workloads } = plan()
  const chosen = await choose()
  const machine = await describeMachine()
  const headline = Object.entries(machine).map(([name, value]) => `${name} ${value}`)
  console.log(headline.join(' · '))
  console.log(`${rounds} × ${seconds} s each, interleaved; medians\n`)

  const world = await World.open()
  const results = new Results(chosen.map(({ contender }) => contender.name))
  const mood = new Mood()
  try {
    await startHostServers(world)
    for (let round = 0; round < rounds; round++) {
      for (const mtu of mtus) {
        const now = workloads.filter(({ once }) => !once || mtu === mtus[0])
        for (let turn = 0; turn < chosen.length; turn++) {
          const { contender } = chosen[(turn + round) % chosen.length]!
          const what = `round ${round + 1}/${rounds}: ${contender.name}, MTU ${mtu}`
          mood.probe()
          await measure(world, contender, mtu, now, seconds, results, what)
        }
      }
    }
  } finally {
    progress('')
    await world.close()
  }

  const rows = results.rows()
  console.log(tableOf(results.names, rows))
  const versions = Object.fromEntries(chosen.map((one) => [one.contender.name, one.version]))
  for (const [name, version] of Object.entries(versions)) console.log(`${name}: ${version}`)
  const complaint = mood.complaint()
  if (complaint !== undefined) console.log(complaint)
  const command = ['npm run bench', ...process.argv.slice(2)].join(' ')
  const about = { machine, versions, command, rounds, seconds, complaint: complaint ?? null }
  const report = { ...about, names: results.names, rows, failures: results.failures }
  if (options.json) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`)
  if (options.html) writeFileSync(options.html, htmlOf(report))
  for (const failure of results.failures) console.error(failure)
  if (results.failures.some((text) => text.startsWith('slipway'))) process.exitCode = 1
}

/** A container and a daemon of their own for each turn: none inherits the other's state. */
async function measure(
  world: World,
  contender: Contender,
  mtu: number,
  workloads: readonly Workload[],
  seconds: number,
  results: Results,
  what: string,
): Promise<void> {
  const { name } = contender
  const guest = await world.container()
  try {
    const running = await contender.start(world, guest, mtu, FORWARD)
    try {
      await startIperf(guest)
      for (const workload of workloads) {
        if (running.pid !== undefined && !existsSync(`/proc/${running.pid}`)) {
          throw new Error(`the daemon has ended, before ${workload.group}, ${workload.name}`)
        }
        progress(`${what}: ${workload.group}, ${workload.name}`)
        const place = { world, guest, running, seconds }
        await take(name, mtu, workload, place, results).catch((error) => {
          results.fail(name, mtu, `${workload.group}, ${workload.name}: ${error.message}`)
        })
      }
    } finally {
      await running.stop()
    }
  } catch (error) {
    results.fail(name, mtu, (error as Error).message)
  } finally {
    await world.remove(guest)
  }
}

/** Runs one workload; what it found, and what the daemon used for it. */
async function take(
  name: string,
  mtu: number,
  workload: Workload,
  place: Place,
  results: Results,
): Promise<void> {
  const { pid } = place.running
  const { group, metrics } = workload
  const at = workload.once ? undefined : mtu
  if (pid !== undefined) forgetPeak(pid)
  const before = pid === undefined ? 0 : cpuSeconds(pid)
  const { gigabytes, ...found } = await workload.run(place)
  for (const [key, metric] of Object.entries(metrics)) {
    const value = found[key]
    const label = metric.name === '' ? workload.name : `${workload.name}, ${metric.name}`
    if (value !== undefined) results.add(name, group, label, at, metric, value)
  }
  if (pid === undefined || gigabytes === undefined) return
  const used = (cpuSeconds(pid) - before) / gigabytes
  results.add(name, `${group}: the daemon's processor time`, workload.name, at, CPU, used)
  const peak = (peakKib(pid) * 1024) / 1e6
  results.add(name, `${group}: the daemon's most memory`, workload.name, at, PEAK, peak)
}

/** One line that is written over, for somebody who watches. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
}

interface Plan {
  rounds: number
  seconds: number
  mtus: number[]
  workloads: readonly Workload[]
}

function plan(): Plan {
  const groups = options.group?.split(',')
  const isShort = options.quick || options.smoke
  const workloads = suite.filter(({ group, quick }) =>
    groups === undefined ? !isShort || quick : groups.includes(group),
  )
  if (workloads.length === 0) {
    const known = [...new Set(suite.map(({ group }) => group))]
    throw new Error(`cannot use --group ${options.group}: there are ${known.join(', ')}`)
  }
  const all = options.mtu ?? (isShort ? '1500,65520' : '1500,4000,16384,65520')
  const mtus = all.split(',').map((text) => whole('--mtu', text, 68, 65_520))
  const rounds = whole('--rounds', options.rounds ?? (isShort ? '1' : '5'), 1, 1000)
  const seconds = whole('--seconds', options.seconds ?? (isShort ? '1' : '3'), 1, 600)
  return { rounds, seconds, mtus, workloads }
}

function whole(option: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw new Error(`cannot use ${option} ${text}: it is a whole number from ${least} to ${most}`)
}

async function choose(): Promise<Chosen[]> {
  const wanted = options.only?.split(',')
  const unknown = wanted?.find((name) => contenders.every((one) => one.name !== name))
  if (unknown !== undefined) {
    const names = contenders.map(({ name }) => name).join(', ')
    throw new Error(`cannot use --only ${unknown}: there are ${names}`)
  }
  const chosen: Chosen[] = []
  for (const contender of contenders) {
    if (wanted && !wanted.includes(contender.name)) continue
    const version = await contender.version()
    if (version !== undefined) chosen.push({ contender, version })
    else if (contender.name === 'slipway' || wanted) {
      throw new Error(`${contender.name} does not run (${contender.hint})`)
    } else console.log(`${contender.name} is not installed (${contender.hint})`)
  }
  for (const tool of ['iperf3', 'python3']) {
    const { status } = await execute([tool, '--version']).catch(() => ({ status: 1 }))
    if (status !== 0) throw new Error(`${tool} is not installed (apt install ${tool})`)
  }
  return chosen
}

async function describeMachine(): Promise<Record<string, string>> {
  const { stdout } = await execute(['iperf3', '--version'])
  return {
    CPU: `${cpus()[0]?.model.trim()} × ${cpus().length}`,
    Linux: release(),
    Node: process.versions.node,
    iperf: stdout.split(' ')[1] ?? '?',
  }
}
