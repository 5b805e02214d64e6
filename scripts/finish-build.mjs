/**
 * What tsc leaves out. The command and the data plane's worker become one file each, with a second one for what is
 * loaded when the command line is right: Node takes 60 ms to load our modules one by one, and 13 ms so. The command
 * gets its run bit (the shebang is in src/cli.ts, tsc keeps it).
 */
import { chmodSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))

rmSync(`${root}dist/command`, { recursive: true, force: true })
await build({
  absWorkingDir: root,
  entryPoints: ['src/cli.ts', 'src/engine/worker.ts'],
  outbase: 'src',
  outdir: 'dist',
  chunkNames: 'command/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  sourcemap: true,
  target: 'node20',
  packages: 'external',
  logLevel: 'warning',
})
chmodSync(`${root}dist/cli.js`, 0o755)
