import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const SRC = new URL('../../src/', import.meta.url).pathname

const sources = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => ({ name, text: readFileSync(join(SRC, name), 'utf8') }))
const outside = sources.filter(({ name }) => !name.startsWith('sys/'))
const inside = sources.filter(({ name }) => name.startsWith('sys/'))

const importsOf = (text: string) => [...text.matchAll(/from '([^']+)'/g)].map((match) => match[1]!)

test('only sys knows koffi', () => {
  const knowing = outside.filter(({ text }) => /(?<!resolve)\('koffi'\)|from 'koffi'/.test(text))
  expect(knowing.map(({ name }) => name)).toEqual([])
})

test('no address leaves sys', () => {
  const asking = outside.filter(({ text }) => /sys\/(libc|scratch)\.ts'|addressOf\b/.test(text))
  expect(asking.map(({ name }) => name)).toEqual([])
})

test('sys imports nothing of ours', () => {
  const strangers = inside.flatMap(({ text }) =>
    importsOf(text).filter((from) => !from.startsWith('./') && !from.startsWith('node:')),
  )
  expect(strangers).toEqual([])
})

test('importing sys loads neither koffi nor anything of the C library', async () => {
  for (const { name } of inside) await import(/* @vite-ignore */ join(SRC, name))
  expect(readFileSync('/proc/self/maps', 'utf8')).not.toContain('koffi')
})
