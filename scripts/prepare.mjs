/**
 * `npm ci` ends here: builds dist/, so that dist/cli.js can be run at once. Without the development
 * dependencies (`npm ci --omit=dev`) there is no compiler; then it says so and does not fail.
 */
import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
let compiler
try {
  compiler = require.resolve('typescript/package.json')
} catch {
  console.log('slipway: no TypeScript here (--omit=dev), dist/ is not built')
}
if (compiler) execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' })
