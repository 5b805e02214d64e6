/**
 * Calls on a thread of their own: for what changes the thread that makes them and cannot be undone.
 *
 * A thread that entered a network namespace may not be allowed to leave it. So a worker makes a few
 * calls and ends; the descriptors it opened belong to the process and stay. The worker's program is
 * text, not a file: it is found however the rest of us was loaded.
 */
import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'
import { Arena, addressOf } from './arena.ts'
import { type LibcName, SIGNATURES } from './libc.ts'

/** A call of the C library; a string becomes its octets' address. */
export type ThreadCall = readonly [name: LibcName, ...args: (number | string)[]]

const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads')
const koffi = require(workerData.koffi)
const library = koffi.load(null)
const results = []
for (const [signature, ...args] of workerData.calls) {
  const n = library.func(signature)(...args)
  results.push(n < 0 ? -koffi.errno() : n)
  if (n < 0) break
}
parentPort.postMessage(results)
`

/** The results, each n or -errno, up to and with the first that failed. */
export function callOnThread(calls: readonly ThreadCall[]): Promise<number[]> {
  const strings: Arena[] = []
  const place = (argument: number | string): number => {
    if (typeof argument === 'number') return argument
    const bytes = new TextEncoder().encode(`${argument}\0`)
    const arena = new Arena(bytes.length)
    arena.bytes.set(bytes)
    strings.push(arena)
    return addressOf(arena, 0, bytes.length)
  }
  const worker = new Worker(PROGRAM, {
    eval: true,
    execArgv: [],
    workerData: {
      koffi: createRequire(import.meta.url).resolve('koffi'),
      calls: calls.map(([name, ...args]) => [SIGNATURES[name], ...args.map(place)]),
    },
  })
  return new Promise((resolve, reject) => {
    let results: number[] | undefined
    worker.once('message', (message) => {
      results = message
    })
    worker.once('error', reject)
    worker.once('exit', () => {
      // The strings must live until here: the thread reads them.
      strings.length = 0
      if (results) resolve(results)
      else reject(new Error('a thread ended without a result'))
    })
  })
}
