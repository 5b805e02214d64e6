/** The command line of `npm run bench`, as a plan. Pure: names of contenders and groups are judged by who knows them. */
import { parseArgs } from 'node:util'

export const USAGE = `npm run bench [-- OPTION ...]

what is measured
  --quick              the main workloads, one round, under two minutes
  --smoke              every workload once, as short as it can be: for CI, its figures say nothing
  --rounds N           how often all contenders take turns (default 5)
  --seconds N          how long each transfer lasts (default 3)
  --mtu N,…            default 1500,4000,16384,65520
  --only NAME,…        these contenders (--list)
  --group NAME,…       these groups of workloads (--list)
  --congestion NAME    of everybody's TCP (default cubic, or reno where the kernel does not give that to namespaces)
  --node FILE,…        start the command with these programs of Node as well
  --against REVISION   slipway as it was then as one more contender
  --from FILE          measures nothing: makes the outputs of a run that was kept with --json
  --list               the contenders, groups and workloads

what comes out, besides the tables
  --json FILE          all of it, with each sample
  --html FILE          one page with charts
  --svg FILE           one chart
  --markdown FILE      the section Speed of README.md; in a file that has such a section already, that is replaced
`

/** How much work is put into each workload. */
export interface Effort {
  /** Of a transfer. */
  seconds: number
  /** Of requests and responses, in s. */
  exchanges: number
  /** How many idle connections: at first, and in the end. */
  connections: readonly [number, number]
  /** How long one looks at what an idle daemon uses, in s. */
  watch: number
  /** How often the rate without loss is halved. */
  steps: number
  /** How often it is started in a round. */
  starts: number
}

export interface Plan {
  effort: Effort
  /** The congestion control of the world, if not its default. */
  congestion: string | undefined
  rounds: number
  mtus: readonly number[]
  /** Only the quick ones of the workloads; with `smoke` all of ours, and of the others' the quick ones. */
  quick: boolean
  smoke: boolean
  only: readonly string[] | undefined
  groups: readonly string[] | undefined
  nodes: readonly string[]
  against: string | undefined
  from: string | undefined
  list: boolean
  outputs: { json?: string; html?: string; svg?: string; markdown?: string }
}

const FULL: Effort = {
  seconds: 3,
  exchanges: 2,
  connections: [1_000, 10_000],
  watch: 30,
  steps: 8,
  starts: 5,
}
const QUICK: Effort = {
  seconds: 1,
  exchanges: 0.6,
  connections: [1_000, 10_000],
  watch: 10,
  steps: 6,
  starts: 2,
}
const SMOKE: Effort = {
  seconds: 1,
  exchanges: 0.3,
  connections: [20, 100],
  watch: 1,
  steps: 1,
  starts: 1,
}

/** Throws an error that names the option. */
export function planOf(argv: readonly string[]): Plan | 'help' {
  const { values: o } = parseArgs({
    args: [...argv],
    options: {
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      mtu: { type: 'string' },
      only: { type: 'string' },
      group: { type: 'string' },
      congestion: { type: 'string' },
      node: { type: 'string' },
      against: { type: 'string' },
      from: { type: 'string' },
      json: { type: 'string' },
      html: { type: 'string' },
      svg: { type: 'string' },
      markdown: { type: 'string' },
      list: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      smoke: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (o.help) return 'help'
  if (o.quick && o.smoke) throw new Error('cannot use --quick with --smoke')
  const { json, html, svg, markdown } = o
  const effort = o.smoke ? SMOKE : o.quick ? QUICK : FULL
  const mtus = o.mtu ?? (o.smoke ? '1500' : o.quick ? '1500,65520' : '1500,4000,16384,65520')
  return {
    effort: { ...effort, seconds: whole('--seconds', o.seconds, effort.seconds, 1, 600) },
    congestion: o.congestion,
    rounds: whole('--rounds', o.rounds, o.smoke || o.quick ? 1 : 5, 1, 1000),
    mtus: [...new Set(mtus.split(','))].map((text) => whole('--mtu', text, 0, 68, 65_520)),
    quick: o.quick && o.group === undefined,
    smoke: o.smoke && o.group === undefined,
    only: o.only?.split(','),
    groups: o.group?.split(','),
    nodes: o.node?.split(',') ?? [],
    against: o.against,
    from: o.from,
    list: o.list,
    outputs: {
      ...(json !== undefined && { json }),
      ...(html !== undefined && { html }),
      ...(svg !== undefined && { svg }),
      ...(markdown !== undefined && { markdown }),
    },
  }
}

function whole(
  option: string,
  text: string | undefined,
  otherwise: number,
  least: number,
  most: number,
): number {
  if (text === undefined) return otherwise
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= least && value <= most) return value
  throw new Error(`cannot use ${option} ${text}: it is a whole number from ${least} to ${most}`)
}
