/** Runs the built command, or another, and gathers what it says. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'

const fileOf = (name: string) => fileURLToPath(new URL(name, import.meta.url))
export const CLI = fileOf('../../dist/cli.js')
export const FAKE_DAEMON = fileOf('./fake-daemon.mjs')

export interface Outcome {
  status: number | NodeJS.Signals | null
  stdout: string
  stderr: string
}

export interface Running {
  child: ChildProcess
  outcome: Promise<Outcome>
}

/** What a stream carries until its end. */
export function textOf(stream: Readable): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    stream.setEncoding('utf8')
    stream.on('data', (chunk) => {
      text += chunk
    })
    stream.once('end', () => resolve(text))
    stream.once('error', reject)
  })
}

export function start(command: string[], options: SpawnOptions = {}): Running {
  const [file = '', ...args] = command
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
  const texts = Promise.all(
    [child.stdout, child.stderr].map((stream) => (stream ? textOf(stream) : '')),
  )
  const outcome = new Promise<Outcome>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', async (code, signal) => {
      const [stdout = '', stderr = ''] = await texts
      resolve({ status: signal ?? code, stdout, stderr })
    })
  })
  return { child, outcome }
}

export const run = (command: string[], options: SpawnOptions = {}): Promise<Outcome> =>
  start(command, options).outcome
