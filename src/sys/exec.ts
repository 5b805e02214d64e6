/** Another program in the place of this one: the same process, with the descriptors that it is given. */
import { type Arena, addressOf } from './arena.ts'
import { must } from './errors.ts'
import { clearCloexec } from './io.ts'
import { libc, ownFunction } from './libc.ts'
import { vector, withStrings } from './strings.ts'

/**
 * execve(2); comes back only to throw. Of the descriptors, `kept` go along: Node has all others closed.
 */
export function become(
  file: string,
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  kept: readonly number[],
): never {
  const variables = Object.entries(environment).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  )
  for (const fd of kept) clearCloexec(fd)
  withStrings([file, ...args, ...variables], (path = 0, ...addresses) => {
    const argv = vector(addresses.slice(0, args.length))
    const envp = vector(addresses.slice(args.length))
    ownFunction('int execve(int64_t, int64_t, int64_t)')(path, start(argv), start(envp))
    must(-libc().errno(), 'execve', `cannot run ${file}`)
  })
  throw new Error('unreachable')
}

const start = (arena: Arena) => addressOf(arena, 0, arena.size)
