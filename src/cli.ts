#!/usr/bin/env node
/**
 * The command `slipway`, or `slirp4netns` where it is linked by that name. See docs/cli.md.
 */

import { basename } from 'node:path'
import { useCompileCache } from './control/compile-cache.ts'

// In the place of Node's handler, which opens a debugger on the host's loopback: the container may reach that, and would
// be where we are. The signal ends us, as it ends slirp4netns.
process.once('SIGUSR1', () => process.kill(process.pid, 'SIGUSR1'))
// An empty one would be the current directory.
process.env.PATH ||= '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin'

const keepCompiled = useCompileCache()
const { main } = await import('./control/main.ts')
keepCompiled()
const name = basename(process.argv[1] ?? '', '.js')
// Out by exit(): nothing of the engine may hold up the end that was decided.
process.exit(await main(process.argv.slice(2), name === 'cli' ? 'slipway' : name))
