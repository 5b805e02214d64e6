/**
 * What docs.test.ts does not run of the documents: commands of the shell, by the shell; lines of configuration, by those who
 * are configured so in test/interop; and links. Of README.md .ci/run runs each command in a clean clone.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { has, inWorlds } from '../e2e/lab.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const DOCS = [
  ...['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md'],
  ...readdirSync('docs').map((file) => `docs/${file}`),
]

interface Block {
  readonly file: string
  readonly language: string
  readonly text: string
}

function blocksOf(file: string): Block[] {
  const text = readFileSync(file, 'utf8')
  return [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({
    file,
    language,
    text,
  }))
}

const BLOCKS = DOCS.flatMap(blocksOf)
const commands = BLOCKS.filter(({ language, file }) => language === 'sh' && file !== 'README.md')

/** Run elsewhere: what needs a program of others, installs something, or takes long. */
const ELSEWHERE: readonly [text: RegExp, file: string, how: RegExp][] = [
  [/^rootlesskit /, 'test/interop/rootlesskit.test.ts', /docs\/rootlesskit\.md/],
  [/^npm ci$/m, '.ci/run', /bash -c 'block 1'/],
  [/^(npm (run|install) |sudo apt-get )/, '.ci/run', /npm run bench -- --smoke/],
]

const isElsewhere = ({ text }: Block): boolean =>
  ELSEWHERE.some(([pattern]) => pattern.test(text.trim()))

describe('blocks', () => {
  test('are of a kind that is run, or are listings', () => {
    const kinds = new Set(BLOCKS.map(({ language }) => language))
    // `js` by docs.test.ts; `text` and pictures say nothing that could be run.
    expect([...kinds].sort()).toEqual(['', 'ini', 'js', 'sh', 'text', 'toml'])
    expect(commands.length).toBeGreaterThan(12)
  })

  test('of README.md are those that .ci/run runs', () => {
    const readme = BLOCKS.filter(({ file, language }) => file === 'README.md' && language === 'sh')
    const run = readFileSync('.ci/run', 'utf8')
    for (let i = 1; i <= readme.length; i++) expect(run).toContain(`bash -c 'block ${i}'`)
    expect(run).not.toContain(`bash -c 'block ${readme.length + 1}'`)
  })

  test('that others run are still there, and still run', () => {
    for (const [pattern, file, how] of ELSEWHERE) {
      expect(BLOCKS.filter(({ text }) => pattern.test(text.trim())).length).toBeGreaterThan(0)
      expect(readFileSync(file, 'utf8')).toMatch(how)
    }
  })

  test('of npm and apt name scripts that there are, and packages that .ci/run installs', () => {
    const text = BLOCKS.filter(({ language }) => language === 'sh')
      .map((block) => block.text)
      .join('')
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'))
    const named = [...text.matchAll(/npm run ([\w:]+)/g)].map((match) => match[1]!)
    expect(named.filter((name) => scripts[name] === undefined)).toEqual([])
    const run = readFileSync('.ci/run', 'utf8')
    const packages = [...text.matchAll(/apt-get install (.*)/g)].flatMap((match) =>
      match[1]!.split(' ').filter((word) => !word.startsWith('-')),
    )
    expect(packages.filter((name) => !run.includes(name))).toEqual([])
  })

  test('of configuration have the settings that test/interop has, but for k3s, which is not run', () => {
    const interop = readdirSync('test/interop')
      .map((file) => readFileSync(`test/interop/${file}`, 'utf8'))
      .join('\n')
    const settings = BLOCKS.filter(({ language }) => ['toml', 'ini'].includes(language)).flatMap(
      ({ text }) => [...text.matchAll(/^(?:Environment=)?(\w+) ?=/gm)].map((match) => match[1]!),
    )
    const wanted = settings.filter((name) => !/^(K3S_|PATH$|Environment$)/.test(name))
    expect(wanted.length).toBeGreaterThan(4)
    expect(wanted.filter((name) => !interop.includes(name))).toEqual([])
  })
})

/** As GitHub makes them of headings. */
function anchorsOf(file: string): Set<string> {
  const headings = readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)
  return new Set(
    [...headings].map(([, text = '']) =>
      text
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}

test('links lead to what is there', () => {
  const broken: string[] = []
  for (const file of DOCS) {
    const text = readFileSync(file, 'utf8').replace(/^```.*?^```$/gms, '')
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const where = path === '' ? file : join(dirname(file), path)
      const isThere = existsSync(where) && (!anchor || anchorsOf(where).has(anchor))
      if (!isThere) broken.push(`${file}: ${target}`)
    }
  }
  expect(broken).toEqual([])
})

inWorlds((lab) => {
  /** A shell in a mount namespace of its own, in which this checkout is where the documents have it. */
  const PLACE = `
    for directory in /opt /usr/local/bin; do mount -t tmpfs tmpfs "$directory"; done
    mkdir /opt/slipway && mount --bind "$1" /opt/slipway
    mkdir /opt/shims && cd /opt/shims
    printf '#!/bin/sh\\nexec "$@"\\n' > sudo
    printf '#!/bin/sh\\necho "systemctl $*"\\n' > systemctl
    chmod +x sudo systemctl
    export PATH="/usr/local/bin:/opt/shims:$PATH" DAEMON_API="$3" DAEMON_METRICS="$4"
    cd "$1"
    exec sh -ec "$2"`

  test.each(
    commands
      .filter((block) => !isElsewhere(block))
      .map((block) => [block.file, block.text] as const),
  )('commands of %s do what they are for: %s', async (_, text) => {
    if (/socat/.test(text) && !has('socat')) return
    const metrics = join(lab.world.directory, `docs-${Math.random().toString(36).slice(2)}.sock`)
    const { daemon } = await lab.attach({ args: [`--metrics=${metrics}`] })
    const place = process.env.SLIPWAY_DIST ? dirname(process.env.SLIPWAY_DIST) : root
    const here = text
      .replaceAll('/tmp/', `${lab.world.directory}/`)
      .replaceAll('/run/user/1001/api.sock', daemon.apiSocket)
      .replaceAll('/run/slipway/metrics.sock', metrics)
      // Linked by others of these blocks.
      .replace(/^slipway --help/m, 'node dist/cli.js --help')
    // A script that stands in slipway's place hands on what it is asked.
    const script = `ln -s /opt/slipway/dist/cli.js /usr/local/bin/slipway
      printf %s "$DOCUMENTED" >/opt/script; chmod +x /opt/script; /opt/script --version`
    const isScript = text.startsWith('#!')
    const run = ['unshare', '--mount', 'sh', '-ec', PLACE, 'sh', place, isScript ? script : here]
    const { status, stdout, stderr } = await lab.host.execute(run, { env: { DOCUMENTED: here } })
    expect(status, `${stdout}${stderr}`).toBe(0)
    const link = /(\/\S+)$/.exec(text.trim())?.[1]
    if (isScript || /slipway --version/.test(text)) expect(stdout).toMatch(/^slipway: version /m)
    else if (/ln -s/.test(text)) expect(link).toMatch(/slipway$|slirp4netns$/)
    else expect(stdout.length, 'it says something').toBeGreaterThan(0)
    if (/list_hostfwd/.test(text)) expect(JSON.parse(stdout)).toHaveProperty('return.entries', [])
    if (/metrics\.sock/.test(text)) expect(stdout).toContain('slipway_flows{protocol="tcp"} 0')
  })
})
