/** The counters of a daemon, by its own `--metrics`. */
import { get } from 'node:http'
import { join } from 'node:path'
import { readMetrics } from '../engine/prometheus-reader.ts'
import type { Lab } from './lab.ts'

let count = 0

export class Counters {
  readonly #path: string
  /** The option that the daemon is to be given. */
  readonly option: string

  constructor(lab: Lab) {
    this.#path = join(lab.world.directory, `counters-${++count}.sock`)
    this.option = `--metrics=${this.#path}`
  }

  /** How many packets were dropped for that reason, as Prometheus has it: `tcp_limit`. */
  drops(reason: string): Promise<number> {
    return this.value('slipway_drops_total', 'reason', reason)
  }

  async value(name: string, label?: string, is?: string): Promise<number> {
    const samples = readMetrics(await this.#page()).get(name)?.samples
    const sample = samples?.find(({ labels }) => label === undefined || labels[label] === is)
    if (sample === undefined) throw new Error(`no ${name} of ${label} ${is}`)
    return sample.value
  }

  #page(): Promise<string> {
    return new Promise((resolve, reject) => {
      const options = { socketPath: this.#path, path: '/metrics', agent: false as const }
      get(options, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part
        })
        response.once('end', () => resolve(text))
      }).once('error', reject)
    })
  }
}
