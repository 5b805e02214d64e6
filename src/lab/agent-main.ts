/**
 * The program that stands in a namespace and does there what its parent sends: JavaScript functions, one message
 * each, over Node's IPC channel. It ends when the channel does, so nothing outlives the parent.
 */
import * as childProcess from 'node:child_process'
import * as crypto from 'node:crypto'
import * as dgram from 'node:dgram'
import * as dns from 'node:dns'
import * as fs from 'node:fs'
import * as http from 'node:http'
import * as net from 'node:net'
import * as os from 'node:os'
import { inspect } from 'node:util'
import type { Answer, Job, Kit } from './agent.ts'
import { loopbackUp } from './loopback.ts'

const kit: Kit = {
  childProcess,
  crypto,
  dgram,
  dns,
  fs,
  http,
  net,
  os,
  keep: new Map(),
  loopbackUp,
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  load: (url) => import(url),
  listen: (server, host = '127.0.0.1', port = 0) =>
    new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, host, 4096, () => {
        server.off('error', reject)
        resolve((server.address() as net.AddressInfo).port)
      })
    }),
  bind: (socket, host = '127.0.0.1', port = 0) =>
    new Promise((resolve, reject) => {
      socket.once('error', reject)
      socket.bind(port, host, () => {
        socket.off('error', reject)
        resolve(socket.address().port)
      })
    }),
}

// esbuild (tsx) wraps named functions in this helper; a function sent here has lost the file it was defined in.
;(globalThis as Record<string, unknown>).__name = (fn: unknown): unknown => fn

process.on('message', (job: Job) => void work(job))
process.on('disconnect', () => process.exit())
// Ctrl-C reaches the whole terminal group; the parent decides when an agent ends.
process.on('SIGINT', () => {})
// A reset connection without a listener for it is not the end of the agent: other jobs go on.
process.on('uncaughtException', (error: NodeJS.ErrnoException) => {
  if (error.syscall === undefined) process.stderr.write(`agent: ${inspect(error)}\n`)
})
process.send?.({ id: 0, value: process.pid } satisfies Answer)

async function work(job: Job): Promise<void> {
  let answer: Answer
  try {
    // biome-ignore lint/security/noGlobalEval: that is what an agent is for; the sender is our parent.
    const fn = globalThis.eval(`(${job.source})`) as (kit: Kit, ...args: unknown[]) => unknown
    answer = { id: job.id, value: await fn(kit, ...job.args) }
  } catch (error) {
    const { name, message, code, stack } = error as NodeJS.ErrnoException
    answer = { id: job.id, error: { name, message, code, stack } }
  }
  if (process.connected) process.send?.(answer)
}
