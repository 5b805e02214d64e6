/**
 * One chart as SVG, for README.md: TCP's throughput, each way and MTU, in the reader's colours (light or dark). What a
 * README shows may have no script, so Chart.js does not draw it.
 */
import type { Row } from '../suite/results.ts'
import { type Report, significant } from './report.ts'

const WIDTH = 860
const LABEL = 92
const GAP = 28
const BAR = 15
const LINE = 20
const TOP = 64

interface Panel {
  title: string
  row: Row
}

export function svgOf(report: Report): string {
  const rows = ['tcp-up-1', 'tcp-down-1'].map((workload) =>
    report.rows.filter((row) => row.workload === workload && row.metric === 'rate'),
  )
  const most = Math.max(
    1e-9,
    ...rows.flat().flatMap(({ figures }) => figures.map((figure) => figure?.high ?? 0)),
  )
  const height = panelHeight(rows.flat()[0])
  const columns = Math.max(1, ...rows.map((line) => line.length))
  const width = (WIDTH - GAP * (columns - 1)) / columns
  const panels = rows.flatMap((line, y) =>
    line.map((row, x) => {
      const title = `${row.name}, MTU ${row.mtu}`
      const at = `translate(${round(x * (width + GAP))} ${TOP + y * height})`
      return `<g transform="${at}">${drawn({ title, row }, report.names, width, most)}</g>`
    }),
  )
  const total = TOP + rows.filter((line) => line.length > 0).length * height
  const { machine, date, commit } = report
  const facts = [
    date.slice(0, 10),
    `commit ${commit}`,
    machine.CPU,
    `Linux ${machine.Linux}`,
    `Node ${machine.Node}`,
  ]
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${total}" width="${WIDTH}" height="${total}" role="img">
<title>Throughput of TCP in Gbit/s, by MTU: ${escaped(report.names.join(', '))}</title>
<style>${STYLE}</style>
<text class="head" y="20">Gbit/s of one TCP stream</text>
<text class="soft" y="40">${escaped(facts.join(' · '))}; medians, the thin line from quartile to quartile</text>
${panels.join('\n')}
</svg>
`
}

function panelHeight(row: Row | undefined): number {
  return 40 + LINE * (row?.figures.filter((figure) => figure !== null).length ?? 0)
}

function drawn(
  { title, row }: Panel,
  names: readonly string[],
  width: number,
  most: number,
): string {
  // Room for the figure behind the longest bar.
  const scale = (width - LABEL - 36) / most
  const lines = names.flatMap((name, i) => {
    const figure = row.figures[i]
    return figure ? [{ name, figure }] : []
  })
  const bars = lines.map(({ name, figure }, i) => {
    const y = 14 + i * LINE
    const middle = y + BAR / 2
    const end = LABEL + figure.median * scale
    const [low, high] = [figure.low, figure.high].map((value) => round(LABEL + value * scale))
    const range = `<path class="range" d="M${low} ${middle}H${high}"/>`
    const bar = `<rect class="${barClass(name)}" x="${LABEL}" y="${y}" width="${round(Math.max(1, end - LABEL))}" height="${BAR}" rx="2"/>`
    const text = `<text class="soft" x="${round(Math.max(end, high!) + 5)}" y="${middle + 4}">${significant(figure.median)}</text>`
    return `<text${name === 'slipway' ? ' class="own"' : ''} y="${middle + 4}">${escaped(name)}</text>${bar}${range}${text}`
  })
  return `<text class="title">${escaped(title)}</text>${bars.join('')}`
}

/** A name of CSS for each contender. */
const barClass = (name: string): string => name.replace(/\W.*/, '-then')

const round = (value: number): number => Math.round(value * 10) / 10

const escaped = (text: string): string =>
  text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/"/g, '&quot;')

const STYLE = `
text{font:12px system-ui,sans-serif;fill:#17202b}
.head{font-size:16px;font-weight:650}.title{font-weight:650}.own{font-weight:650}.soft{fill:#5a6674}
rect{fill:#7a5cc2}.slipway{fill:#0072b2}.slirp4netns{fill:#e69f00}.pasta{fill:#009e73}.veth{fill:#98a2ad}
.range{stroke:#17202b;stroke-opacity:.7}
@media(prefers-color-scheme:dark){text{fill:#e7ecf2}.soft{fill:#9ba8b6}.slipway{fill:#4db1f0}.pasta{fill:#2fc79b}
.veth{fill:#74808c}.range{stroke:#e7ecf2}}`
