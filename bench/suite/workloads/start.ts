/** How long it takes to start: until it says that it is ready, beside what Node needs to start and end. */
import { execFileSync } from 'node:child_process'
import { execute } from '../../../src/lab/program.ts'
import { wrapper } from '../contenders/contender.ts'
import { median } from '../statistics.ts'
import type { Metric, Place, Workload } from '../workload.ts'

const MS: Metric = { name: '', unit: 'ms', digits: 1, less: true }

/** The workloads for the Node that runs this, and for those of `--node`. Throws where one is no Node. */
export function starts(nodes: readonly string[]): Workload[] {
  const others = nodes.map((file) => startsOf(versionOf(file), file))
  return [...startsOf(process.versions.node, undefined), ...others.flat()]
}

function startsOf(version: string, node: string | undefined): Workload[] {
  const life = { group: 'Life', needs: 'start', once: true, metrics: { time: MS } } as const
  const quick = node === undefined
  return [
    {
      ...life,
      id: `node:${version}`,
      name: `node -e 0, Node ${version}`,
      quick,
      run: (place) =>
        repeated(place, async () => {
          if (place.contender.name !== 'slipway') return undefined
          return startNode(place, node ?? process.execPath)
        }),
    },
    {
      ...life,
      id: `start:${version}`,
      name: `start to ready, Node ${version}`,
      quick,
      run: (place) => repeated(place, () => start(place, { podman: false, node })),
    },
    {
      ...life,
      id: `start-podman:${version}`,
      name: `start to ready as Podman starts it, Node ${version}`,
      quick,
      run: (place) => repeated(place, () => start(place, { podman: true, node })),
    },
  ]
}

async function start(
  { contender, world }: Place,
  how: { podman: boolean; node: string | undefined },
): Promise<number | undefined> {
  return contender.startOnly?.(world, how)
}

async function repeated(
  { effort }: Place,
  once: () => Promise<number | undefined>,
): Promise<{ values: { time?: number } }> {
  const times: number[] = []
  for (let i = 0; i < effort.starts; i++) {
    const time = await once()
    if (time === undefined) return { values: {} }
    times.push(time)
  }
  return { values: { time: median(times) } }
}

/** Behind the same programs that start a daemon. */
async function startNode({ world }: Place, node: string): Promise<number> {
  const prefix = [...world.host.enter, 'setpriv', '--pdeathsig', 'KILL', '--', ...wrapper]
  const started = performance.now()
  const { status, stderr } = await execute([...prefix, node, '-e', '0'])
  if (status !== 0) throw new Error(`${node}: ${stderr.trim()}`)
  return performance.now() - started
}

function versionOf(file: string): string {
  try {
    const text = execFileSync(file, ['-p', 'process.versions.node'], { encoding: 'utf8' })
    if (/^\d+\.\d+\.\d+/.test(text)) return text.trim()
  } catch {
    // told below
  }
  throw new Error(`cannot use --node ${file}: it is no program of Node`)
}
