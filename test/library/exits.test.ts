/**
 * Every way out of a program with a network: Node joins its threads and cannot interrupt one in a system call, so each of
 * these would hang for ever if nobody woke the data plane. Each ends in under a second.
 */
import { describe, expect, test } from 'vitest'
import { Program } from '../../src/lab/program.ts'
import { inWorlds } from '../e2e/lab.ts'
import { LIBRARY } from './embedder.ts'

const LIMIT = 1_000

/** What a program does after `goodbye()`, and how it has to end. `network` is there, and carries traffic or not. */
const WAYS: [what: string, script: string, status: number | null, signal: string | null][] = [
  ['process.exit()', 'goodbye(); process.exit(7)', 7, null],
  ['an uncaught exception', 'goodbye(); setTimeout(() => { throw new Error("oops") })', 1, null],
  ['an unhandled rejection', 'goodbye(); Promise.reject(new Error("oops"))', 1, null],
  ["nothing left to do but an unref'd network", 'network.unref(); goodbye()', 0, null],
  [
    "an unref'd network that is asked something, which is answered",
    `network.unref()
     const { hostPort } = await network.forwards.add({ guestPort: 80 })
     if (!(hostPort > 0)) process.exit(3)
     goodbye()`,
    0,
    null,
  ],
  [
    "an unref'd network that is closed",
    'network.unref(); goodbye(); await network.close()',
    0,
    null,
  ],
  ['a network that was closed', 'goodbye(); await network.close()', 0, null],
  [
    'several networks',
    'await attach({ target, tapName: "tap1", configure: false }); goodbye(); process.exit(7)',
    7,
    null,
  ],
  ['SIGTERM without a handler', 'goodbye(); process.kill(process.pid, "SIGTERM")', null, 'SIGTERM'],
  [
    'SIGTERM with a handler that closes',
    'process.once("SIGTERM", () => network.close()); goodbye(); process.kill(process.pid, "SIGTERM")',
    0,
    null,
  ],
  ['process.reallyExit(), which tells nobody', 'goodbye(); process.reallyExit(7)', 7, null],
  ['process.exit() while it closes', 'goodbye(); network.close(); process.exit(7)', 7, null],
  [
    'process.exit() in an exit listener',
    'process.on("exit", () => process.exit(7)); goodbye(); process.exit(1)',
    7,
    null,
  ],
]

/** The same where the network was attached by a worker of the program. */
const WORKER_WAYS: [what: string, script: string][] = [
  ['the worker is terminated', 'goodbye(); await worker.terminate(); process.exitCode = 7'],
  ['the program exits', 'goodbye(); process.exit(7)'],
  [
    'the worker exits',
    'worker.postMessage("process.exit()"); goodbye(); worker.once("exit", () => { process.exitCode = 7 })',
  ],
  [
    'the worker fails',
    'worker.on("error", () => { process.exitCode = 7 }); worker.postMessage("throw new Error()"); goodbye()',
  ],
]

const GOODBYE = 'const goodbye = () => console.log("goodbye")'

inWorlds((lab) => {
  /** Runs a script beside a new container; answers how it ended, and how long after its goodbye. */
  async function run(script: string): Promise<{
    status: number | null
    signal: string | null
    ms: number
    stderr: string
  }> {
    const guest = await lab.world.container()
    const text = `
      import { attach } from ${JSON.stringify(LIBRARY)}
      import { Worker } from 'node:worker_threads'
      ${GOODBYE}
      const target = { pid: ${guest.pid} }
      ${script}`
    const command = [process.execPath, '--input-type=module', '-e', text]
    const program = new Program(
      [...guest.outer, 'setpriv', '--pdeathsig', 'KILL', '--', ...command],
      {
        limit: 20_000,
      },
    )
    const saidGoodbye = new Promise<number>((resolve) => {
      program.child.stdout!.on('data', () => {
        if (program.stdout.includes('goodbye')) resolve(performance.now())
      })
    })
    const { status, signal, stdout, stderr } = await program.ended
    const ended = performance.now()
    await guest.close()
    expect(stdout, stderr).toContain('goodbye')
    return { status, signal, ms: ended - (await saidGoodbye), stderr }
  }

  describe('the program ends in under a second', () => {
    test.each(WAYS)('by %s', async (_, script, status, signal) => {
      const ending = await run(`const network = await attach({ target })\n${script}`)
      expect(ending).toMatchObject({ status, signal })
      expect(ending.ms).toBeLessThan(LIMIT)
    })

    for (const delay of [0, 20, 40, 60, 80, 100]) {
      test(`by process.exit() ${delay} ms after it began to attach`, async () => {
        const ending = await run(`
          attach({ target }).catch(() => {})
          setTimeout(() => { goodbye(); process.exit(7) }, ${delay})`)
        expect(ending).toMatchObject({ status: 7, stderr: '' })
        expect(ending.ms).toBeLessThan(LIMIT)
      })
    }

    test.each(WORKER_WAYS)('with a network of a worker when %s', async (_, script) => {
      const worker = `
        import { parentPort, workerData } from 'node:worker_threads'
        import { attach } from ${JSON.stringify(LIBRARY)}
        await attach({ target: workerData })
        parentPort.on('message', (text) => eval(text))
        parentPort.postMessage('attached')`
      const ending = await run(`
        const program = new URL(${JSON.stringify(`data:text/javascript,${encodeURIComponent(worker)}`)})
        const worker = new Worker(program, { workerData: target })
        await new Promise((resolve) => worker.once('message', resolve))
        ${script}`)
      expect(ending).toMatchObject({ status: 7, signal: null })
      expect(ending.ms).toBeLessThan(LIMIT)
    })
  })

  test('a network keeps its program alive', async () => {
    const ending = await run(`
      const network = await attach({ target })
      network.unref().ref()
      goodbye()
      setTimeout(() => process.exit(7), 500).unref()`)
    expect(ending.status).toBe(7)
  })

  test('a data plane that dies ends the network with the cause, and nothing else', async () => {
    // Nobody but Node has the thread (it may run out of memory); here it is caught when it is made.
    const ending = await run(`
      import worker_threads from 'node:worker_threads'
      import { syncBuiltinESMExports } from 'node:module'
      let thread
      const { Worker: Original } = worker_threads
      process.on('unhandledRejection', () => process.exit(9))
      worker_threads.Worker = class extends Original {
        constructor(...args) { super(...args); thread = this }
      }
      syncBuiltinESMExports()
      const network = await attach({ target })
      const asked = network.forwards.list().then(() => 'answered', (error) => error.code)
      thread.terminate()
      const { reason, error } = await network.closed
      await network.close()
      const late = await network.stats().catch((error) => error.code)
      console.error(reason, error.code, await asked, late)
      goodbye()`)
    expect(ending.stderr).toMatch(
      /^failed ERR_WORKER_FAILED (answered|ERR_NETWORK_CLOSED) ERR_NETWORK_CLOSED$/m,
    )
    expect(ending).toMatchObject({ status: 0, signal: null })
  })
})
