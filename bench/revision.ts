/** slipway as it was at a revision of git: its sources in a folder of their own, which goes with this process. */
import { execFileSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const CACHE = join(ROOT, '.cache')

export interface Revision {
  /** Its abbreviated hash. */
  name: string
  /** Where it is. */
  directory: string
  /** Its command, built. */
  binary: string
}

const git = (...args: string[]): Buffer =>
  execFileSync('git', ['-c', 'safe.directory=*', ...args], {
    cwd: ROOT,
    maxBuffer: 2 ** 30,
    stdio: ['ignore', 'pipe', 'pipe'],
  })

/**
 * Takes the revision out of the repository and builds it. It is below the checkout, and so finds what is installed
 * there; what it needs of another version at run time it gets itself. Throws when there is no such revision, or it does not
 * build.
 */
export function revision(text: string): Revision {
  const name = abbreviated(text)
  mkdirSync(CACHE, { recursive: true })
  const directory = mkdtempSync(join(CACHE, `${name}-`))
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  execFileSync('tar', ['-x', '-C', directory], { input: git('archive', name) })
  const npm = (...args: string[]): void => {
    execFileSync('npm', args, { cwd: directory, stdio: ['ignore', 'ignore', 'inherit'] })
  }
  if (dependencies(ROOT) !== dependencies(directory)) {
    npm('ci', '--omit=dev', '--ignore-scripts', '--silent', '--no-audit', '--no-fund')
  }
  npm('run', '--silent', 'build')
  return { name, directory, binary: join(directory, 'dist/cli.js') }
}

/** Those at run time. */
function dependencies(directory: string): string {
  return JSON.stringify(
    JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')).dependencies,
  )
}

function abbreviated(text: string): string {
  try {
    return git('rev-parse', '--short', '--verify', `${text}^{commit}`).toString().trim()
  } catch {
    throw new Error(`cannot use --against ${text}: it is no revision of this repository`)
  }
}

/** The benches as they are now, for the sources as they were. */
export function overlay({ directory }: Revision, ...folders: string[]): void {
  for (const folder of folders) {
    rmSync(join(directory, folder), { recursive: true, force: true })
    cpSync(join(ROOT, folder), join(directory, folder), { recursive: true })
  }
}

/** Was a source changed after the command was built from it? */
export function isStale(): boolean {
  const built = statSync(join(ROOT, 'dist/cli.js'), { throwIfNoEntry: false })?.mtimeMs ?? 0
  return readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).some(
    (file) => /\.ts$/.test(file) && statSync(join(ROOT, 'src', file)).mtimeMs > built,
  )
}
