/** `slipway/stack` as others import it: nothing of Node's is in it, and the example runs wherever JavaScript does. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createContext, runInContext } from 'node:vm'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { execute } from '../../src/lab/program.ts'
import { has } from '../e2e/lab.ts'

const EXAMPLE = 'examples/two-stacks.ts'
const OUTPUT = [
  /^the stream has finished after \d+ ms$/,
  /^1048576 octets, all of them right$/,
  /^[1-9]\d+ frames lost, [1-9]\d+ sent again, \d+ time-outs$/,
]

let directory: string
/** The example and the stack in one script that imports nothing. */
let bundle: string
let inputs: string[]

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'slipway-bundle-'))
  const result = await build({
    entryPoints: [EXAMPLE],
    bundle: true,
    format: 'iife',
    platform: 'browser',
    write: false,
    metafile: true,
    logLevel: 'silent',
  })
  bundle = result.outputFiles[0]!.text
  inputs = Object.keys(result.metafile.inputs)
})

afterAll(() => rmSync(directory, { recursive: true, force: true }))

function expectOutput(lines: readonly string[]): void {
  expect(lines.length).toBe(OUTPUT.length)
  for (const [i, pattern] of OUTPUT.entries()) expect(lines[i]).toMatch(pattern)
}

test('it bundles for a browser, of files of the stack alone', () => {
  expect(inputs.filter((file) => !file.startsWith('dist/stack/'))).toEqual([EXAMPLE])
  expect(bundle).not.toMatch(/\bnode:|\brequire\(|\bprocess\.|\bBuffer\b/)
})

describe('the example', () => {
  test('runs in Node, by one command', async () => {
    const script = new URL('../../scripts/run.mjs', import.meta.url).pathname
    const example = new URL(`../../${EXAMPLE}`, import.meta.url).pathname
    const { status, stdout, stderr } = await execute([process.execPath, script, example])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expectOutput(stdout.trimEnd().split('\n'))
  })

  test('runs with nothing but the language and a console', () => {
    const lines: string[] = []
    const context = createContext({ console: { log: (line: string) => lines.push(line) } })
    runInContext(bundle, context)
    expectOutput(lines)
  })

  test.skipIf(!has('chromium'))('runs in Chromium', async () => {
    const page = join(directory, 'page.html')
    const show =
      "console.log = (line) => { document.querySelector('pre').textContent += line + '\\n' }"
    const script = bundle.replaceAll('</', '<\\/')
    writeFileSync(
      page,
      `<!doctype html><pre></pre><script>${show}</script><script>${script}</script>`,
    )
    const { status, stdout, stderr } = await execute([
      'chromium',
      '--headless',
      '--no-sandbox', // we may be root; the page is ours
      '--disable-gpu',
      '--disable-background-networking',
      `--user-data-dir=${join(directory, 'profile')}`,
      '--dump-dom',
      `file://${page}`,
    ])
    expect(status, stderr).toBe(0)
    const text = /<pre>([^<]*)<\/pre>/.exec(stdout)?.[1] ?? ''
    expectOutput(text.trimEnd().split('\n'))
  })
})
