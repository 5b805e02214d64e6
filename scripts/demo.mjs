/** `npm run demo`: starts dist/demo/main.js, or says what is missing for it. */
import { existsSync } from 'node:fs'

const root = new URL('../', import.meta.url)
const missing = ['node_modules/koffi', 'dist/demo/main.js'].find(
  (path) => !existsSync(new URL(path, root)),
)
if (missing) {
  console.error(`\n  ${missing} is not there: run \`npm ci\` first, it installs and builds.\n`)
  process.exit(2)
}
await import(new URL('dist/demo/main.js', root).href)
