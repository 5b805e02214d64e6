/** Endpoints, and what comes in an order that is rare: the data plane is a script. */
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { DIAL } from '../../src/engine/endpoint-records.ts'
import type { NetworkSocket } from '../../src/index.ts'
import { ScriptedPlane } from './scripted-plane.ts'

const turn = (): Promise<void> => new Promise(setImmediate)

/** The plane, and the id of a connection that is dialled. */
async function dialling(): Promise<{
  plane: ScriptedPlane
  dial: Promise<NetworkSocket>
  id: number
}> {
  const plane = new ScriptedPlane()
  const dial = plane.endpoints.connect({ port: 80 })
  const [record] = await plane.heard()
  expect(record!.kind).toBe(DIAL)
  return { plane, dial, id: record!.id }
}

test('what connects while the network is being closed ends with it', async () => {
  const plane = new ScriptedPlane()
  const sockets: NetworkSocket[] = []
  await plane.endpoints.listen({ port: 80 }, (socket) => {
    sockets.push(socket)
    plane.stop()
  })
  plane.opened(1, 1)
  plane.opened(3, 1)
  plane.opened(5, 99)
  plane.look()
  expect(sockets).toHaveLength(2)
  plane.end()
  await turn()
  expect(sockets.map((socket) => [socket.destroyed, socket.errored])).toEqual([
    [true, null],
    [true, null],
  ])
  expect(plane.holders).toBe(0)
})

test('a dial that is answered while the network is being closed ends with it', async () => {
  const { plane, dial, id } = await dialling()
  plane.stop()
  plane.established(id)
  plane.look()
  plane.end()
  const socket = await dial
  await turn()
  expect(socket.destroyed).toBe(true)
  expect(plane.holders).toBe(0)
})

test('a dial that is answered and reset at once gives a stream whose error can be heard', async () => {
  const { plane, dial, id } = await dialling()
  const later = (async () => {
    const socket = await dial
    return once(socket, 'error')
  })()
  plane.established(id)
  plane.closed(id, 'reset')
  // As when the port of the data plane's thread is read: no promise is served before all is.
  setImmediate(() => plane.look())
  expect(await later).toMatchObject([{ code: 'ECONNRESET' }])
})

test('so does one that is answered when the network fails', async () => {
  const { plane, dial, id } = await dialling()
  const later = (async () => {
    const socket = await dial
    return once(socket, 'error')
  })()
  plane.established(id)
  setImmediate(() => {
    plane.look()
    plane.end({ reason: 'failed', error: new Error('the TAP is gone') })
  })
  expect(await later).toMatchObject([{ code: 'ERR_NETWORK_CLOSED' }])
})
