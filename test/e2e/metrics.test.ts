/** --metrics: counters for Prometheus. */
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Kit } from '../../src/lab/agent.ts'
import { readMetrics } from '../engine/prometheus-reader.ts'
import { HOST_ADDRESS, inWorlds } from './lab.ts'
import * as tasks from './tasks.ts'

interface Page {
  status: number
  type: string
  text: string
}

function get(
  { http }: Kit,
  where: { host: string; port: number } | { socketPath: string },
  path: string,
  method = 'GET',
): Promise<Page> {
  return new Promise((resolve, reject) => {
    const options = { ...where, path, method, agent: false, timeout: 5_000 }
    const request = http.request(options, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      const { statusCode = 0, headers } = response
      response.once('end', () =>
        resolve({ status: statusCode, type: `${headers['content-type']}`, text }),
      )
    })
    request.once('timeout', () => request.destroy(new Error('no answer for 5 s')))
    request.once('error', reject)
    request.end()
  })
}

/** A port that was free a moment ago. */
async function freePort({ net, listen }: Kit): Promise<number> {
  const server = net.createServer()
  const port = await listen(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

let count = 0

inWorlds((lab) => {
  const newPath = (): string => join(lab.world.directory, `metrics-${++count}.sock`)

  test('on a TCP port, as Prometheus reads it', async () => {
    const port = await lab.host.run(freePort)
    const { guest } = await lab.attach({ args: [`--metrics=127.0.0.1:${port}`] })
    const echo = await lab.host.run(tasks.serveEcho, HOST_ADDRESS)
    await guest.run(tasks.exchange, { host: HOST_ADDRESS, port: echo }, 'x')
    const { status, type, text } = await lab.host.run(get, { host: '127.0.0.1', port }, '/metrics')
    expect([status, type]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
    const metrics = readMetrics(text)
    const opened = metrics.get('slipway_flows_opened_total')!.samples
    expect(opened.find(({ labels }) => labels.protocol === 'tcp')!.value).toBe(1)
    expect(metrics.get('slipway_build_info')!.samples[0]).toEqual({
      labels: { version: expect.stringMatching(/^\d+\.\d+\.\d+/) },
      value: 1,
    })
    const [start] = metrics.get('process_start_time_seconds')!.samples
    expect(Math.abs(start!.value - Date.now() / 1000)).toBeLessThan(60)
    expect(metrics.has('process_cpu_seconds_total')).toBe(true)
    expect(metrics.has('process_resident_memory_bytes')).toBe(true)
    const elsewhere = await lab.host.run(tasks.tryToConnect, { host: HOST_ADDRESS, port })
    expect(elsewhere.outcome).toBe('ECONNREFUSED')
  })

  describe('on a Unix socket', () => {
    test.each([
      ['which is gone in the end', []],
      ['in the sandbox, with system calls taken', ['--enable-sandbox', '--enable-seccomp']],
    ])('%s', async (_, args) => {
      const socketPath = newPath()
      const { daemon } = await lab.attach({ args: [`--metrics=${socketPath}`, ...args] })
      const pages: Page[] = []
      for (const path of ['/', '/metrics', '/nothing']) {
        pages.push(await lab.host.run(get, { socketPath }, path))
      }
      pages.push(await lab.host.run(get, { socketPath }, '/metrics', 'POST'))
      expect(pages.map(({ status }) => status)).toEqual([200, 200, 404, 405])
      expect(readMetrics(pages[1]!.text).has('slipway_frames_total')).toBe(true)
      // The API, whose socket is in the same folder, is served all the same.
      expect(await daemon.api({ execute: 'list_hostfwd' })).toMatchObject({ entries: [] })
      expect((await daemon.stop()).status).toBe(0)
      expect(existsSync(socketPath)).toBe(false)
    })

    test('clients that say nothing, nonsense, or are many, hold up nobody', async () => {
      const socketPath = newPath()
      const { guest, daemon } = await lab.attach({ args: [`--metrics=${socketPath}`] })
      const silent = Array.from({ length: 14 }, () => connect(socketPath).on('error', () => {}))
      const loud = connect(socketPath).on('error', () => {})
      loud.write('\0\0\0\0 nonsense\r\n\r\n')
      const { status } = await lab.host.run(get, { socketPath }, '/metrics')
      expect(status).toBe(200)
      const port = await lab.host.run(tasks.serveEcho, HOST_ADDRESS)
      expect(await guest.run(tasks.exchange, { host: HOST_ADDRESS, port }, 'x')).toBe('x')
      for (const socket of [...silent, loud]) socket.destroy()
      expect(daemon.program.running).toBe(true)
    })
  })

  test('an address that cannot be had is an error of the start', async () => {
    const port = await lab.host.run(tasks.serveText, 'taken')
    const taken = lab.attach({ args: [`--metrics=127.0.0.1:${port}`] })
    await expect(taken).rejects.toThrow(
      `cannot serve metrics on 127.0.0.1 port ${port}: EADDRINUSE`,
    )
    const nowhere = lab.attach({ args: ['--metrics=/nowhere/metrics.sock'] })
    await expect(nowhere).rejects.toThrow('cannot serve metrics on /nowhere/metrics.sock: ENOENT')
  })
})
