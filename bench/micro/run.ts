/**
 * One round of the micro benches, in a process of its own: a line of JSON for each figure, or for what failed.
 *
 *     node scripts/run.mjs …/micro/run.ts MS [TEXT ...]     those benches whose name has one of the texts in it
 *
 * Files that cannot be loaded, since they are of sources that are otherwise now, do not stop the others.
 */
import type { Bench, Measured } from './bench.ts'

/** What a line says. */
export type Line = Measured | { name: string; error: string }

export const FILES = ['wire', 'checksum', 'cutting', 'demux', 'queues', 'pair', 'worker']

const say = (line: Line): void => console.log(JSON.stringify(line))

export async function runAll(ms: number, texts: readonly string[]): Promise<void> {
  for (const file of FILES) {
    let benches: readonly Bench[]
    try {
      benches = ((await import(`./${file}.ts`)) as { benches: readonly Bench[] }).benches
    } catch (error) {
      say({ name: file, error: (error as Error).message })
      continue
    }
    for (const bench of benches) {
      if (texts.length > 0 && !texts.some((text) => bench.name.includes(text))) continue
      try {
        for (const measured of await bench.run(ms)) say(measured)
      } catch (error) {
        say({ name: bench.name, error: (error as Error).message })
      }
    }
  }
}
