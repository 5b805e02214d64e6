/** Runs a TypeScript source of bench/, test/ or examples/ as it is: `node scripts/run.mjs FILE [ARG ...]`. */

import { pathToFileURL } from 'node:url'
import { register } from 'tsx/esm/api'

const [file, ...rest] = process.argv.slice(2)
if (!file) {
  console.error('usage: node scripts/run.mjs FILE [ARG ...]')
  process.exit(1)
}
process.argv.splice(1, process.argv.length - 1, file, ...rest)
register()
await import(pathToFileURL(file).href)
