/** On what it was measured. */
import { readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { execute } from '../../src/lab/program.ts'

/** What a reader needs to compare machines, in words. */
export async function describeMachine(congestion: string): Promise<Record<string, string>> {
  const { stdout } = await execute(['iperf3', '--version']).catch(() => ({ stdout: '' }))
  const isVirtual = / hypervisor /.test(read('/proc/cpuinfo'))
  return {
    CPU: `${cpus()[0]?.model.trim()} × ${cpus().length}${isVirtual ? ', virtual' : ''}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    Linux: release(),
    TCP: congestion,
    Node: process.versions.node,
    iperf: stdout.split(' ')[1] ?? '?',
  }
}

/** The commit of the checkout, with a + when something in it is changed; '' where there is none. */
export async function commit(): Promise<string> {
  const options = { limit: 5_000 }
  const git = ['git', '-c', 'safe.directory=*', '-C', new URL('../..', import.meta.url).pathname]
  try {
    const { stdout } = await execute([...git, 'rev-parse', '--short', 'HEAD'], options)
    const changed = await execute([...git, 'status', '--porcelain', '--', 'src'], options)
    return stdout.trim() + (changed.stdout.trim() === '' ? '' : '+')
  } catch {
    return ''
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
