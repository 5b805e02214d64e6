/** `slipway/policy` as others import it: nothing of Node's is in it, and it comes without the rest of slipway. */
import { createRequire } from 'node:module'
import { build } from 'esbuild'
import { expect, test } from 'vitest'

test('it bundles for a browser, of its own files, addresses and the list of public suffixes', async () => {
  const { outputFiles, metafile } = await build({
    stdin: { contents: "export * from 'slipway/policy'", resolveDir: process.cwd() },
    bundle: true,
    format: 'esm',
    platform: 'browser',
    write: false,
    metafile: true,
    logLevel: 'silent',
  })
  const inputs = Object.keys(metafile.inputs).filter((file) => file !== '<stdin>')
  const own = /^(dist\/policy\/|dist\/stack\/wire\/address\.js$|node_modules\/tldts)/
  expect(inputs.filter((file) => !own.test(file))).toEqual([])
  expect(outputFiles[0]!.text).not.toMatch(/\bnode:|\brequire\(|\bprocess\./)
})

test('its schema is part of the package', () => {
  const schema = createRequire(import.meta.url)('slipway/policy.schema.json')
  expect(schema.title).toBe('Policy of slipway')
})
