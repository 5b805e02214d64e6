/** What tsc leaves out: the run bit of the command. (The shebang is in src/cli.ts, tsc keeps it.) */
import { chmodSync } from 'node:fs'

chmodSync(new URL('../dist/cli.js', import.meta.url), 0o755)
