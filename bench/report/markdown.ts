/** The figures of a run for README.md. */
import { grouped, isDisturbed, isWide, type Row } from '../suite/results.ts'
import { ratioOf } from '../suite/statistics.ts'
import { formatRatio, qualityOf, type Report } from './report.ts'

/** The lines between which the section stands. */
const BEGIN = '<!-- of npm run bench: begin -->'
const END = '<!-- of npm run bench: end -->'

/** Which rows a reader of README.md is shown, in this order. */
const SHOWN: readonly (readonly [workload: string, metric: string, label: string])[] = [
  ['tcp-up-1', 'rate', 'TCP, guest → host'],
  ['tcp-down-1', 'rate', 'TCP, host → guest'],
  ['forward-down', 'rate', 'published port, host → guest'],
  ['forward-up', 'rate', 'published port, guest → host'],
  ['spliced-down', 'rate', 'published port, spliced, host → guest'],
  ['spliced-up', 'rate', 'published port, spliced, guest → host'],
  ['tcp-up-1', 'cpuPerGigabyte', 'processor time, TCP, guest → host'],
  ['tcp-down-1', 'cpuPerGigabyte', 'processor time, TCP, host → guest'],
  ['udp-up-1400', 'rate', 'UDP of 1,400 octets, delivered'],
  ['udp-lossless', 'rate', 'UDP of 1,400 octets, less than 1 % lost'],
  ['tcp-rr', 'p50', 'request and response, p50'],
  ['tcp-rr', 'p99', 'request and response, p99'],
  ['loaded-up', 'p99', 'the same beside guest → host, p99'],
  ['loaded-down', 'p99', 'the same beside host → guest, p99'],
  ['tcp-crr', 'rate', 'connect, request, response, close'],
  ['resident', 'rss', 'memory when idle'],
  ['idle', 'each', 'memory for each idle connection'],
]

const MTUS = [1500, 65_520]

/** `chart`: the picture's file, beside README.md or below it. */
export function markdownOf(report: Report, chart: string | undefined): string {
  const { command, machine, versions, commit, date, rounds, seconds, names, rows } = report
  const facts = Object.entries(machine).map(([name, value]) => `${name} ${value}`)
  const others = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  const { samples, disturbed } = qualityOf(report)
  const trust = disturbed === 0 ? 'none' : `${disturbed}`
  return [
    ...(chart === undefined ? [] : [`![Throughput beside that of others](${chart})\n`]),
    `Medians of \`${command}\` (${rounds} × ${seconds} s each, interleaved) at commit ${commit}, ${date.slice(0, 10)};`,
    `${trust} of ${samples} samples were disturbed by other work of the machine.`,
    `${facts.join(', ')}; ${others.join(', ')}.\n`,
    tableOf(names, rows),
    '\n`~`: the rounds differ by more than ±15 %. `!`: the machine did something else meanwhile. `*`: with a send buffer of',
    '256 KiB, with which that one is faster.',
  ].join('\n')
}

function tableOf(names: readonly string[], rows: readonly Row[]): string {
  const [, ...others] = names
  const head = ['', 'MTU', 'unit', ...names, ...others.map((name) => `: ${name}`)]
  const starts = rows.filter(({ workload }) => /^(start|start-podman|node):/.test(workload))
  const wanted = [
    ...SHOWN.flatMap(([workload, metric, label]) =>
      rows
        .filter((row) => row.workload === workload && row.metric === metric && isShown(row))
        .map((row) => ({ row, label })),
    ),
    ...starts.filter(({ metric }) => metric === 'time').map((row) => ({ row, label: row.name })),
  ]
  const lines = [...grouped(wanted, ({ row }) => `${row.mtu ?? ''}`).values()].flat()
  return [
    line(head),
    line(head.map((_, i) => (i === 0 ? '---' : '---:'))),
    ...lines.map(({ row, label }) =>
      line([label, `${row.mtu ?? ''}`, row.unit, ...cells(row), ...ratios(row)]),
    ),
  ].join('\n')
}

/** What lies between the smallest and the largest MTU is in the other outputs. */
function isShown({ mtu }: Row): boolean {
  return mtu === null || MTUS.includes(mtu)
}

const line = (texts: readonly string[]): string => `| ${texts.join(' | ')} |`

function cells({ figures, digits }: Row): string[] {
  return figures.map((figure) => {
    if (figure === null) return ''
    const marks = `${isWide(figure) ? '~' : ''}${isDisturbed(figure) ? '!' : ''}${figure.tuning && '*'}`
    return `${figure.median.toFixed(digits)}${marks && ` ${marks}`}`
  })
}

function ratios({ figures }: Row): string[] {
  return figures.slice(1).map((figure) => {
    const ratio = ratioOf(figures[0]?.samples, figure?.samples)
    return ratio === undefined ? '' : formatRatio(ratio.value)
  })
}

/** `text` with the section in the place of the one that it has; the section alone where there is no text. */
export function withSection(text: string | undefined, section: string): string {
  const whole = `${BEGIN}\n${section}\n${END}`
  if (text === undefined || text.trim() === '') return `${whole}\n`
  const begin = text.indexOf(BEGIN)
  const end = text.indexOf(END)
  if (begin < 0 || end < begin) {
    throw new Error(`cannot write a section into a file without the lines ${BEGIN} and ${END}`)
  }
  return text.slice(0, begin) + whole + text.slice(end + END.length)
}
