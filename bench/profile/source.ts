/** Where in the sources a place of what was built from them is. */
import { existsSync, readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { dirname, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Locate } from './cpu.ts'

/** Paths are shown from `root`. */
export function locator(root: string): Locate {
  const maps = new Map<string, SourceMap | undefined>()
  const mapOf = (file: string): SourceMap | undefined => {
    if (!maps.has(file)) {
      const name = `${file}.map`
      const map = existsSync(name)
        ? new SourceMap(JSON.parse(readFileSync(name, 'utf8')))
        : undefined
      maps.set(file, map)
    }
    return maps.get(file)
  }
  return ({ url, lineNumber, columnNumber }) => {
    if (!url.startsWith('file:')) return url
    const file = fileURLToPath(url)
    const found = mapOf(file)?.findEntry(lineNumber, columnNumber)
    if (found === undefined || !('originalSource' in found)) {
      return `${relative(root, file)}:${lineNumber + 1}`
    }
    return `${relative(root, resolve(dirname(file), found.originalSource))}:${found.originalLine + 1}`
  }
}
