/**
 * `npm run bench [-- --rounds N --seconds S --mtu 1500,65520 --only NAME,NAME --quick --smoke --json FILE]`
 *
 * iperf3, request/response and connect rate through slipway and whichever of slirp4netns and pasta is installed, in a
 * private world. The daemons take turns within each round, so that a change of the machine's mood meets all of them;
 * the table shows medians. Only ratios within one run compare.
 */
import { writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { parseArgs } from 'node:util'
import { explain, preflight } from '../src/lab/preflight.ts'
import { execute } from '../src/lab/program.ts'
import { World } from '../src/lab/world.ts'
import { type Contender, contenders } from './contenders.ts'
import { FORWARD, measureAll, startGuestServers, startHostServers } from './measures.ts'
import { Results } from './results.ts'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    mtu: { type: 'string', default: '1500,65520' },
    only: { type: 'string' },
    json: { type: 'string' },
    quick: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
  },
})

main().catch((error) => {
  process.exitCode = 1
  console.error(`bench: ${error.message}`)
})

async function main(): Promise<void> {
  const obstacle = await preflight()
  if (obstacle) throw new Error(explain(obstacle))
  const { rounds, seconds } = effort()
  const mtus = options.mtu.split(',').map(Number)
  const chosen = await choose()
  const machine = await describeMachine()
  console.log(
    Object.entries(machine)
      .map(([name, value]) => `${name} ${value}`)
      .join(' · '),
  )
  console.log(`${rounds} × ${seconds} s each, interleaved; medians\n`)

  const world = await World.open()
  const results = new Results(chosen.map(({ contender }) => contender.name))
  try {
    await startHostServers(world)
    for (let round = 0; round < rounds; round++) {
      for (const mtu of mtus) {
        for (let turn = 0; turn < chosen.length; turn++) {
          const { contender } = chosen[(turn + round) % chosen.length]!
          progress(`round ${round + 1}/${rounds}: ${contender.name}, MTU ${mtu}`)
          await measureOne(world, contender, mtu, seconds, results)
        }
      }
    }
  } finally {
    progress('')
    await world.close()
  }

  console.log(results.table(mtus))
  for (const { contender, version } of chosen) console.log(`${contender.name}: ${version}`)
  if (options.json) {
    const versions = Object.fromEntries(chosen.map((one) => [one.contender.name, one.version]))
    const report = { machine, versions, rounds, seconds, ...results.report(mtus) }
    writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`)
  }
  for (const failure of results.failures) console.error(failure)
  if (results.failures.some((text) => text.startsWith('slipway'))) process.exitCode = 1
}

/** A container and a daemon of their own for each turn: none inherits the other's state. */
async function measureOne(
  world: World,
  contender: Contender,
  mtu: number,
  seconds: number,
  results: Results,
): Promise<void> {
  const fail = (text: string): void => results.fail(contender.name, mtu, text)
  const container = await world.container()
  try {
    const running = await contender.start(world, container, mtu, FORWARD)
    try {
      await startGuestServers(container)
      results.add(contender.name, mtu, { ready: running.readyAfter })
      results.add(contender.name, mtu, await measureAll(world, container, seconds, fail))
    } finally {
      await running.stop()
    }
  } catch (error) {
    fail((error as Error).message)
  } finally {
    await world.remove(container)
  }
}

/** One line that is written over, for somebody who watches. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
}

function effort(): { rounds: number; seconds: number } {
  if (options.smoke) return { rounds: 1, seconds: 1 }
  if (options.quick) return { rounds: 1, seconds: 2 }
  return { rounds: Number(options.rounds), seconds: Number(options.seconds) }
}

async function choose(): Promise<{ contender: Contender; version: string }[]> {
  const wanted = options.only?.split(',')
  const chosen: { contender: Contender; version: string }[] = []
  for (const contender of contenders) {
    if (wanted && !wanted.includes(contender.name)) continue
    const version = await contender.version()
    if (version !== undefined) chosen.push({ contender, version })
    else if (contender.name === 'slipway' || wanted)
      throw new Error(`${contender.name} does not run`)
    else console.log(`${contender.name} is not installed`)
  }
  for (const tool of ['iperf3', 'python3']) {
    const { status } = await execute([tool, '--version']).catch(() => ({ status: 1 }))
    if (status !== 0) throw new Error(`${tool} is not installed`)
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
