/** Endpoints, and what comes in an order that is rare: the data plane is a script. */
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
  expect((await dial).destroyed).toBe(true)
  await turn()
  expect(plane.holders).toBe(0)
})
