/** The filter of control/seccomp.ts on a real process: its calls, from JavaScript and by the C library. */

import { expect, test } from 'vitest'
import { confined } from './confined.ts'

const MODULES = {
  'control/seccomp': 'confineCalls',
  'sys/syscalls': 'syscall',
  'sys/libc': 'libc, ownFunction',
}

test.each(['execve', 'ptrace', 'mount', 'unshare', 'pidfd_open', 'open_tree', 'bpf'] as const)(
  '%s ends the process',
  (name) => {
    const { signal, stdout } = confined(
      MODULES,
      `libc(); confineCalls(); console.log('alive'); syscall('${name}'); console.log('still')`,
    )
    expect({ signal, stdout }).toEqual({ signal: 'SIGSYS', stdout: 'alive\n' })
  },
)

test('it holds for threads that were there before, and for those that come', () => {
  const { status, stdout, stderr } = confined(
    MODULES,
    `import { Worker } from 'node:worker_threads'
     const before = fs.readdirSync('/proc/self/task').length
     confineCalls()
     await fs.promises.stat('/')
     await new Promise((resolve) => new Worker('', { eval: true }).once('exit', resolve))
     const modes = fs.readdirSync('/proc/self/task').map((tid) =>
       /^Seccomp:\\s*(.*)$/m.exec(fs.readFileSync('/proc/self/task/' + tid + '/status', 'utf8'))[1])
     console.log(JSON.stringify([modes.length >= before, [...new Set(modes)]]))`,
  )
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(JSON.parse(stdout)).toEqual([true, ['2']])
})

test('what is refused is an error of Node, and Node goes on', () => {
  const { status, stdout, stderr } = confined(
    MODULES,
    `import { spawnSync } from 'node:child_process'
     import { connect } from 'node:net'
     import { createServer } from 'node:http'
     const code = (emitter) => new Promise((resolve) => emitter.once('error', (error) => resolve(error.code)))
     libc()
     confineCalls()
     const codes = [spawnSync('true').error.code, await code(connect('/run/nothing.sock'))]
     try { process.kill(1, 0) } catch (error) { codes.push(error.code) }
     codes.push(syscall('prctl', 15), process.kill(process.pid, 0))
     const server = createServer((_, response) => response.end('page'))
     await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
     const page = await fetch('http://127.0.0.1:' + server.address().port)
     codes.push(await page.text())
     console.log(JSON.stringify(codes))
     process.exit(0)`,
  )
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(JSON.parse(stdout)).toEqual(['EPERM', 'EPERM', 'EPERM', -1, true, 'page'])
})

test('no privileges are needed, and none can be got afterwards', () => {
  const { stdout } = confined(
    MODULES,
    `confineCalls()
     console.log(/^NoNewPrivs:\\s*(.*)$/m.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1])`,
  )
  expect(stdout).toBe('1\n')
})
