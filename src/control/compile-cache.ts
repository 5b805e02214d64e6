/**
 * V8's compile cache, where Node has it (from 22.10 on): what the command is compiled to is kept in a directory of the user's, and the
 * next start reads it from there.
 *
 * Who writes there decides what we run. So it is `slipway` in XDG_CACHE_HOME (or ~/.cache), made with mode 0700, and used only if it and
 * the two directories above it are the user's and nobody else's to write (root may have somebody's HOME); never Node's default
 * in /tmp, where anybody may have been first.
 */
import { dirname, isAbsolute, join } from 'node:path'

// Imported, they would be ES modules: Node looks at all their members for that, and `fs` loads its
// streams and promises then, which takes 2 ms of each start.
const { existsSync, lstatSync, mkdirSync } = process.getBuiltinModule('node:fs')
const nodeModule = process.getBuiltinModule('node:module')

interface CompileCache {
  enableCompileCache(directory: string): unknown
  flushCompileCache(): void
}

/**
 * Modules that are loaded from here on come from the cache. What it returns writes those that did not; later they may not be
 * written any more, since a sandbox has no such directory. Without a cache all goes on as usual.
 */
export function useCompileCache(): () => void {
  const { enableCompileCache, flushCompileCache } = nodeModule as Partial<CompileCache>
  if (enableCompileCache === undefined || flushCompileCache === undefined) return () => {}
  const directory = ownDirectory(process.env)
  if (directory === undefined) return () => {}
  enableCompileCache(directory)
  return flushCompileCache
}

/** The directory, made if need be; undefined when there is none that can be trusted. */
export function ownDirectory({
  XDG_CACHE_HOME: cache,
  HOME: home,
}: Readonly<Record<string, string | undefined>>): string | undefined {
  const parent = cache || (home && join(home, '.cache'))
  // Of the base directory specification: a relative path is not valid.
  if (!parent || !isAbsolute(parent)) return undefined
  const directory = join(parent, 'slipway')
  try {
    // Not recursively: in /proc Node would try for ever.
    for (const path of [parent, directory]) if (!existsSync(path)) mkdirSync(path, { mode: 0o700 })
    const isOurs =
      isOwn(directory, 0o077) &&
      isOwn(parent, WRITE_OF_OTHERS) &&
      isOwn(dirname(parent), WRITE_OF_OTHERS)
    return isOurs ? directory : undefined
  } catch {
    return undefined // a home that is not there, or read-only
  }
}

const WRITE_OF_OTHERS = 0o022

/** A directory of the user's, none of whose `denied` permissions is set. */
function isOwn(path: string, denied: number): boolean {
  const stat = lstatSync(path)
  return stat.isDirectory() && stat.uid === process.geteuid!() && (stat.mode & denied) === 0
}
