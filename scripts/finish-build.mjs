/**
 * What tsc leaves out. The command and the data plane's worker become one file each: Node takes 60 ms to load our modules
 * one by one, and 6 ms so. The command's is CommonJS, of which Node loads its own modules when they are needed, not
 * beforehand; dist/cli.js only leads there. It gets its run bit, and a beginning that the shell reads.
 */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { ownVersion, usage, version } from '../dist/control/texts.js'

const root = fileURLToPath(new URL('..', import.meta.url))

/**
 * Of TEST-NET-1 (RFC 5737), so nobody's: until our handler of SIGUSR1 is there (src/cli.ts), the signal makes Node listen
 * for debuggers here, and fail. Node 20 has no --disable-sigusr1.
 */
const NOWHERE = '192.0.2.1:1024'

/** What in the caller's environment is meant for Node programs under development: debuggers, code to load, output on stderr. */
const UNWANTED =
  'NODE_OPTIONS NODE_DEBUG NODE_DEBUG_NATIVE NODE_COMPILE_CACHE NODE_V8_COVERAGE UV_USE_IO_URING'

const options = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  sourcemap: true,
  target: 'node20',
  packages: 'external',
  logLevel: 'warning',
}
await build({
  ...options,
  entryPoints: ['src/control/main.ts'],
  outfile: 'dist/command.cjs',
  format: 'cjs',
  // Comments are octets to be read, too, and those here take two each in V8.
  minifyWhitespace: true,
  define: { 'import.meta.url': '__filename' },
})
await build({
  ...options,
  entryPoints: ['src/cli.ts'],
  outfile: 'dist/cli.js',
  format: 'esm',
  plugins: [{ name: 'command', setup: leadTo('command.cjs', /\/control\/main\.ts$/) }],
})
await build({
  ...options,
  entryPoints: ['src/engine/worker.ts'],
  outfile: 'dist/engine/worker.js',
  format: 'esm',
})
beginWith(shellProgram(), `${root}dist/cli.js`)

/** In the place of a module, what another file has. */
function leadTo(file, module) {
  const contents = `const { createRequire } = process.getBuiltinModule('node:module')
    export const { main } = createRequire(import.meta.url)('./${file}')`
  return ({ onLoad }) => onLoad({ filter: module }, () => ({ contents, loader: 'js' }))
}

/**
 * Podman asks for the help before each container, RootlessKit twice, and a shell answers thirty times as fast as Node.
 * To Node all of this is a comment; to the shell its first line is a command that does nothing.
 */
function shellProgram() {
  const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`
  const help = quote(usage('PROGRAM')).replace('PROGRAM', `'"$name"'`)
  return `#!/usr/bin/env /bin/sh
':' /*
case "$#$1" in
1-h | 1--help)
  name=\${0##*[/]} name=\${name%.js}
  [ "$name" != cli ] || name=slipway
  printf %s ${help}
  exit 0
  ;;
1-v | 1--version)
  printf %s ${quote(version(ownVersion()))}
  exit 0
  ;;
esac
export PATH=\${PATH:-/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin}
unset ${UNWANTED}
exec node --inspect-port=${NOWHERE} "$0" "$@"
*/
`
}

/** Puts the lines where the file's own shebang is, and its source map right. */
function beginWith(lines, path) {
  const text = readFileSync(path, 'utf8')
  writeFileSync(path, lines + text.slice(text.indexOf('\n') + 1))
  const map = JSON.parse(readFileSync(`${path}.map`, 'utf8'))
  // A semicolon is a line: one of them stood there before.
  map.mappings = ';'.repeat(lines.split('\n').length - 2) + map.mappings
  writeFileSync(`${path}.map`, JSON.stringify(map))
  chmodSync(path, 0o755)
}
