/**
 * `npm run profile [-- --workload ID --mtu N --seconds N --as command|library --out FILE --top N --list]`, or
 * `node scripts/run.mjs bench/profile.ts --seconds 1 --top 10 --out /dev/null`
 *
 * What the data plane's thread does under a workload of the suite: a CPU profile (for Chrome's DevTools, VS Code, speedscope;
 * its table of self times here), then, in a second run that nothing else disturbs, its system calls for each GiB and each
 * packet. In the command the data plane is on the main thread; with `--as library` it is in a worker, whose profile it is.
 */
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { get } from 'node:http'
import { join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { built } from '../src/lab/agent.ts'
import type { Daemon } from '../src/lab/daemon.ts'
import { explain, preflight } from '../src/lab/preflight.ts'
import { Program } from '../src/lab/program.ts'
import { GATEWAY, HOST_ADDRESS, World } from '../src/lab/world.ts'
import { type Counts, difference, packetsOf, tableOf as tableOfCalls } from './profile/calls.ts'
import { type CpuProfile, cut, selfTimes, tableOf } from './profile/cpu.ts'
import { locator } from './profile/source.ts'
import { isStale } from './revision.ts'
import type { Contender } from './suite/contenders/contender.ts'
import { GUEST_PORT, serveIperf } from './suite/iperf.ts'
import { startServers } from './suite/servers.ts'
import { suiteOf } from './suite/suite.ts'
import { type Found, pause, type Workload } from './suite/workload.ts'

const { values: options } = parseArgs({
  options: {
    workload: { type: 'string', default: 'tcp-up-1' },
    mtu: { type: 'string', default: '1500' },
    seconds: { type: 'string', default: '3' },
    as: { type: 'string', default: 'command' },
    out: { type: 'string' },
    top: { type: 'string', default: '25' },
    list: { type: 'boolean', default: false },
  },
})

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const own = (file: string): string => fileURLToPath(new URL(`profile/${file}`, import.meta.url))
/** µs between two samples. */
const INTERVAL = 200
const HOST_PORT = 5301
const CONNECTIONS = [1_000, 10_000] as const

main().catch((error) => {
  process.exitCode = 1
  console.error(`profile: ${error.message}`)
})

async function main(): Promise<void> {
  const workloads = suiteOf([]).filter(({ needs }) => needs === 'gateway' || needs === 'forward')
  if (options.list) {
    for (const { id, group, name } of workloads) console.log(`${id.padEnd(16)} ${group}, ${name}`)
    return
  }
  const workload = workloads.find(({ id }) => id === options.workload)
  if (workload === undefined) {
    throw new Error(`cannot use --workload ${options.workload}: --list tells which there are`)
  }
  if (options.as !== 'command' && options.as !== 'library') {
    throw new Error(`cannot use --as ${options.as}: it is command or library`)
  }
  const obstacle = await preflight()
  if (obstacle) throw new Error(explain(obstacle))
  if (isStale()) throw new Error('dist/ is older than src/: run npm run build')
  const mtu = whole('--mtu', options.mtu)
  const world = await World.open()
  try {
    await startServers(world, [slipway.name])
    await profile(world, workload, mtu)
    await countCalls(world, workload, mtu)
  } finally {
    await world.close()
  }
}

/** One run with V8's profiler, which also knows what is before and after the workload. */
async function profile(world: World, workload: Workload, mtu: number): Promise<void> {
  const directory = join(world.directory, 'profiles')
  mkdirSync(directory)
  const isLibrary = options.as === 'library'
  const node = ['--cpu-prof', `--cpu-prof-interval=${INTERVAL}`, `--cpu-prof-dir=${directory}`]
  const { found, from, to } = await run(world, workload, mtu, { node, isLibrary })
  const whole = JSON.parse(readFileSync(profileOf(directory, isLibrary), 'utf8')) as CpuProfile
  const part = cut(whole, from, to)
  const out = resolve(options.out ?? `slipway-${workload.id}.cpuprofile`)
  writeFileSync(out, JSON.stringify(part))
  const { gigabytes } = found
  const carried = gigabytes === undefined ? '' : `, ${gigabytes.toFixed(2)} GB`
  console.log(`${workload.group}, ${workload.name}, MTU ${mtu}, as ${options.as}${carried}`)
  console.log(`${tableOf(selfTimes(part, locator(ROOT)), Number(options.top))}\n\n${out}\n`)
}

/** The main thread's, or the worker's: the name has the thread's number, which is 0 for the main one. */
function profileOf(directory: string, isLibrary: boolean): string {
  const files = readdirSync(directory).map((name) => ({
    name,
    isMain: /\.0\.\d+\.cpuprofile$/.test(name),
    size: statSync(join(directory, name)).size,
  }))
  const [largest] = files
    .filter(({ isMain }) => isMain !== isLibrary)
    .toSorted((a, b) => b.size - a.size)
  if (largest === undefined) throw new Error('Node wrote no profile')
  return join(directory, largest.name)
}

/** Another run, in which nothing but calls are counted. */
async function countCalls(world: World, workload: Workload, mtu: number): Promise<void> {
  const file = join(world.directory, 'counts.json')
  const metrics = join(world.directory, 'metrics.sock')
  const node = ['--import', own('count.mjs')]
  let before: Snapshot | undefined
  let after: Snapshot | undefined
  let all: number | undefined
  const snapshot = async (daemon: Daemon): Promise<Snapshot> => ({
    counts: await countsOf(daemon, file),
    ...(await framesOf(metrics)),
  })
  const { found } = await run(world, workload, mtu, {
    node,
    isLibrary: false,
    env: { COUNTS: file },
    args: [`--metrics=${metrics}`],
    async around(daemon, work) {
      before = await snapshot(daemon)
      const stop = await countAll(daemon.pid)
      const found = await work()
      all = await stop()
      after = await snapshot(daemon)
      return found
    },
  })
  const counts = difference(before!.counts, after!.counts)
  if (Object.keys(counts).length === 0)
    throw new Error('cannot count system calls: koffi made none')
  const frames = after!.frames - before!.frames
  const octets = after!.octets - before!.octets
  const gibibytes = found.gigabytes === undefined ? undefined : (found.gigabytes * 1e9) / 2 ** 30
  const work = { gibibytes, frames, packets: packetsOf(frames, octets, mtu) }
  console.log(`system calls of slipway; ${frames} frames, ${work.packets} packets of the MTU`)
  console.log(tableOfCalls(counts, work))
  console.log(
    all === undefined
      ? 'without those of Node itself: perf is not there, or may not count them'
      : `${all} of the whole process, as perf counts them`,
  )
}

interface Snapshot {
  counts: Counts
  frames: number
  octets: number
}

async function countsOf(daemon: Daemon, file: string): Promise<Counts> {
  const written = (): number => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0
  const before = written()
  process.kill(daemon.pid, 'SIGUSR2')
  for (let waited = 0; waited < 5_000; waited += 5) {
    if (written() !== before) return JSON.parse(readFileSync(file, 'utf8'))
    await pause(5)
  }
  throw new Error('the counts were not written')
}

/** What the daemon says of its TAP. */
async function framesOf(socketPath: string): Promise<{ frames: number; octets: number }> {
  const text = await new Promise<string>((resolve, reject) => {
    get({ socketPath, path: '/metrics' }, async (response) => {
      let body = ''
      for await (const part of response) body += part
      resolve(body)
    }).once('error', reject)
  })
  const sum = (name: string): number =>
    [...text.matchAll(new RegExp(`^${name}\\{.*?\\} (\\d+)$`, 'gm'))].reduce(
      (total, [, value]) => total + Number(value),
      0,
    )
  return { frames: sum('slipway_frames_total'), octets: sum('slipway_frame_bytes_total') }
}

/** All system calls of a process until the answer is called; undefined where perf is not there or may not. */
async function countAll(pid: number): Promise<() => Promise<number | undefined>> {
  const command = ['perf', 'stat', '-x', ',', '-e', 'raw_syscalls:sys_enter', '-p', `${pid}`]
  const perf = new Program(command, { limit: 600_000 })
  // It says nothing when it has begun; but what it counts with is open then.
  for (let waited = 0; perf.running && waited < 2_000 && !isCounting(perf.pid); waited += 10) {
    await pause(10)
  }
  return async () => {
    perf.kill('SIGINT')
    const { stderr } = await perf.ended.catch(() => ({ stderr: '' }))
    const count = /^(\d+),/m.exec(stderr)?.[1]
    return count === undefined ? undefined : Number(count)
  }
}

function isCounting(pid: number): boolean {
  try {
    const files = readdirSync(`/proc/${pid}/fd`)
    return files.some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`).includes('perf_event'))
  } catch {
    return false
  }
}

const slipway: Contender = {
  name: 'slipway',
  hint: '',
  offers: ['gateway', 'forward'],
  version: async () => '',
  start: async () => ({ pids: [], stop: async () => {} }),
}

interface RunOptions {
  /** Options of Node. */
  node: readonly string[]
  isLibrary: boolean
  args?: readonly string[]
  env?: Record<string, string>
  /** Does the work, and something before and after it. */
  around?(daemon: Daemon, work: () => Promise<Found>): Promise<Found>
}

interface Ran {
  found: Found
  /** The time of the workload, in µs of process.hrtime. */
  from: number
  to: number
}

async function run(
  world: World,
  workload: Workload,
  mtu: number,
  { node, isLibrary, args = [], env = {}, around }: RunOptions,
): Promise<Ran> {
  const guest = await world.container()
  const daemon = await world.attach(guest, {
    mtu,
    node: [process.execPath, ...node],
    args: isLibrary ? ['--forward', `${HOST_PORT}:${GUEST_PORT}`] : args,
    ...(isLibrary && { binary: own('embedder.mjs') }),
    env: { ...env, SLIPWAY_INDEX: pathToFileURL(built('index.js')).href },
  })
  try {
    if (!isLibrary) await daemon.forward({ hostPort: HOST_PORT, guestPort: GUEST_PORT })
    await serveIperf(guest, GUEST_PORT)
    const seconds = whole('--seconds', options.seconds)
    const effort = {
      ...{ seconds, exchanges: seconds, connections: CONNECTIONS },
      ...{ watch: 5, steps: 5, starts: 1 },
    }
    const forward = { host: HOST_ADDRESS, port: HOST_PORT }
    const running = { pids: [daemon.pid], guest, gateway: GATEWAY, forward, stop: async () => {} }
    const work = async (): Promise<Found> =>
      workload.run({ world, contender: slipway, running, effort, tuning: [] })
    const from = now()
    const found = around ? await around(daemon, work) : await work()
    return { found, from, to: now() }
  } finally {
    await daemon.stop()
    await guest.close()
  }
}

const now = (): number => Number(process.hrtime.bigint() / 1000n)

function whole(option: string, text: string): number {
  if (/^[1-9]\d*$/.test(text)) return Number(text)
  throw new Error(`cannot use ${option} ${text}: it is a whole number from 1 on`)
}
