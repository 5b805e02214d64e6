/** Every program in the documents and in the TSDoc of both entries runs as it stands there. */
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { built } from '../../src/lab/agent.ts'
import { Program } from '../../src/lab/program.ts'
import { inWorlds } from '../e2e/lab.ts'

const SOURCES = [
  'docs/api.md',
  'docs/egress.md',
  'docs/embedding.md',
  'docs/stack.md',
  'README.md',
  'src/library/network.ts',
  'src/stack/index.ts',
  'src/policy/define.ts',
  'src/policy/simulate.ts',
]

/** The blocks marked `js`; those of a comment without its margin. */
function programsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8').replace(/^ \* ?/gm, '')
  return [...text.matchAll(/^```js\n(.*?)^```$/gms)].map((match) => match[1]!)
}

test('each error code has a heading in docs/api.md, and the other way round', () => {
  const source = readFileSync('src/engine/errors.ts', 'utf8')
  const codes = [...source.matchAll(/'(ERR_\w+)'/g)].map((match) => match[1])
  const headings = [...readFileSync('docs/api.md', 'utf8').matchAll(/^### (.*)$/gm)]
  expect(codes.length).toBeGreaterThan(3)
  expect(headings.map((match) => match[1])).toEqual(codes)
})

test('the table of docs/cli.md has each option of the command and each of attach', () => {
  const text = readFileSync('docs/cli.md', 'utf8')
    .split('\n## The library\n')[1]!
    .split('\n## ')[0]!
  const rows = [...text.matchAll(/^\| (.*?) \| (.*?) \|.*$/gm)].slice(2)
  const commands = rows.flatMap(([, cell]) => [...cell!.matchAll(/--([a-z0-9-]+)/g)])
  const parser = readFileSync('src/control/arguments.ts', 'utf8')
  const known = [...parser.matchAll(/^ {2}(?:flag|value)\(\s*'([a-z0-9-]+)'/gm)].map(
    ([, name]) => name!,
  )
  // About the command itself; and deprecated names of others.
  const apart = ['help', 'version', 'create-sandbox', 'no-host-loopback']
  expect([...new Set(commands.map(([, name]) => name))].sort()).toEqual(
    known.filter((name) => !apart.includes(name)).sort(),
  )
  const options = rows.flatMap(([, , cell]) => [...cell!.matchAll(/`([a-zA-Z0-9]+)[`:]/g)])
  const [, list] = /const ATTACH_OPTIONS = \[(.*?)\]/s.exec(
    readFileSync('src/library/options.ts', 'utf8'),
  )!
  const own = [...list!.matchAll(/'(\w+)'/g)].map(([, name]) => name!)
  const named = options.map(([, name]) => name).filter((name) => name !== 'attach')
  expect([...new Set([...named, 'signal'])].sort()).toEqual(own.sort())
})

inWorlds((lab) => {
  let count = 0

  for (const file of SOURCES) {
    const programs = programsOf(file)
    test.each(programs.map((program, i) => [i + 1, program] as const))(
      `program %i of ${file} does what it says`,
      async (_, text) => {
        const directory = join(lab.world.directory, `example-${++count}`)
        mkdirSync(join(directory, 'node_modules'), { recursive: true })
        symlinkSync(dirname(dirname(built('index.js'))), join(directory, 'node_modules/slipway'))
        writeFileSync(join(directory, 'package.json'), '{}') // which ends the search for one
        writeFileSync(join(directory, 'example.mjs'), text)
        chmodSync(directory, 0o755)
        const guest = await lab.world.container()
        const command = [process.execPath, join(directory, 'example.mjs'), `${guest.pid}`]
        const program = new Program([...guest.outer, ...command], { limit: 20_000 })
        // One that waits for its end has said so first.
        if (text.includes('SIGTERM')) program.child.stdout!.once('data', () => program.kill())
        const { status, stdout, stderr } = await program.ended
        await guest.close()
        // What slirp4netns says, the command says, too.
        const said = stderr.replace(
          /^(sent tapfd=|received tapfd=|exitfd event|WARNING: ).*\n/gm,
          '',
        )
        expect({ status, stderr: said }).toEqual({ status: 0, stderr: '' })
        for (const [, expected] of text.matchAll(/console\.log\(.*\/\/ (.*)$/gm)) {
          expect(stdout).toContain(expected)
        }
        if (text.includes('the end:')) expect(stdout).toMatch(/^http.*\nthe end: closed\n$/)
      },
    )
  }
})

test('there are programs to run', () => {
  expect(SOURCES.filter((file) => programsOf(file).length === 0)).toEqual([])
})
