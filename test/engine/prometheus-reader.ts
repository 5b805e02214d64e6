/** Reads Prometheus' text format as its documentation has it, and throws at anything else. */
export interface Read {
  type: string
  help: string
  samples: { labels: Record<string, string>; value: number }[]
}

export function readMetrics(text: string): Map<string, Read> {
  const metrics = new Map<string, Read>()
  if (!text.endsWith('\n')) throw new Error('the last line does not end')
  let current: { name: string; read: Read } | undefined
  for (const line of text.slice(0, -1).split('\n')) {
    const [, helpOf, help = ''] = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line) ?? []
    const [, typeOf, type = ''] = /^# TYPE (\S+) (counter|gauge)$/.exec(line) ?? []
    if (helpOf !== undefined) {
      if (metrics.has(helpOf)) throw new Error(`${helpOf} twice`)
      current = { name: helpOf, read: { type: '', help, samples: [] } }
      metrics.set(helpOf, current.read)
    } else if (typeOf !== undefined) {
      if (current?.name !== typeOf || current.read.type !== '') throw new Error(line)
      current.read.type = type
    } else {
      const [, name, labels, value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
      if (current === undefined || name !== current.name) throw new Error(`out of place: ${line}`)
      if (!Number.isFinite(Number(value))) throw new Error(line)
      current.read.samples.push({ labels: readLabels(labels ?? ''), value: Number(value) })
    }
  }
  return metrics
}

function readLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  const pattern = /([a-z_]+)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/gy
  for (let at = 0; at < text.length; at = pattern.lastIndex) {
    pattern.lastIndex = at
    const [, name, value = ''] = pattern.exec(text) ?? []
    if (name === undefined) throw new Error(`labels: ${text}`)
    labels[name] = value.replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c))
  }
  return labels
}
