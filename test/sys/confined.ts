/** Runs a program of a few lines in a Node of its own: what it does to its threads cannot be undone. */
import { spawnSync } from 'node:child_process'

const DIST = new URL('../../dist/', import.meta.url).href

export interface Ended {
  status: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

/** `imports` are names of `dist` modules by their path below it; `prefix` is a command that runs Node. */
export function confined(
  imports: Record<string, string>,
  program: string,
  prefix: readonly string[] = [],
): Ended {
  const lines = Object.entries(imports).map(
    ([path, names]) => `import { ${names} } from '${DIST}${path}.js'`,
  )
  const source = [...lines, "import * as fs from 'node:fs'", program].join('\n')
  const [file = '', ...args] = [
    ...[...prefix, process.execPath],
    ...['--input-type=module', '-e', source],
  ]
  return spawnSync(file, args, { encoding: 'utf8', timeout: 20_000 })
}

/** Whether an ordinary user's namespaces may be made here. */
export const hasNamespaces: boolean = spawnSync('unshare', ['-Urm', 'true']).status === 0
export const IN_NAMESPACES: readonly string[] = ['unshare', '-Urm', '--propagation', 'private']
