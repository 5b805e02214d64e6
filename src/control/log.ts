/**
 * What the command says on stderr while it runs, by level. The lines that slirp4netns prints, which programs read, are not
 * said here: they come at every level.
 */
import { say } from './host.ts'

/** From the most urgent to the least. */
export const LEVELS = ['error', 'warning', 'info', 'debug'] as const
export type Level = (typeof LEVELS)[number]

export class Log {
  readonly #most: number

  /** What is less urgent than `level` is not said. */
  constructor(level: Level) {
    this.#most = LEVELS.indexOf(level)
  }

  has(level: Level): boolean {
    return LEVELS.indexOf(level) <= this.#most
  }

  say(level: Level, text: string): void {
    if (this.has(level)) say(2, `slipway: ${level}: ${text}\n`)
  }
}
