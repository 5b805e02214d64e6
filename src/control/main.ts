/**
 * The command from its words to its exit status. The engine comes last and lazily: help, version and everything that
 * is wrong with the command line are answered without loading it.
 */

import type { StartNetwork } from '../engine/types.ts'
import { parseArguments } from './arguments.ts'
import { host, say } from './host.ts'
import { run } from './lifecycle.ts'
import { ownVersion, usage, version } from './texts.ts'

/** `program` is the name that we were called by. `start` is for tests. */
export async function main(
  words: readonly string[],
  program: string,
  start: StartNetwork = startEngine,
): Promise<number> {
  const [tool, ...rest] = words
  if (tool === 'check') return (await import('./check.ts')).check(rest, program)
  if (tool === 'doctor') return (await import('./doctor.ts')).doctor(rest, program)
  const command = parseArguments(words, program, host)
  switch (command.kind) {
    case 'help':
      say(1, usage(program))
      return 0
    case 'version':
      say(1, version(ownVersion()))
      return 0
    case 'refuse':
      if (command.reason) say(2, `${command.reason}\n`)
      if (command.usage) say(1, usage(program))
      return 1
    case 'run':
      return run(command.settings, start)
  }
}

const startEngine: StartNetwork = async (options) => {
  const { startNetwork } = await import('../engine/main-thread.ts')
  return startNetwork(options)
}
