/** Flows of one guest endpoint each: how they are named, how long they live, which one gives way. */
import { beforeEach, expect, test } from 'vitest'
import { type GuestFlow, GuestFlows, type GuestKey, nameOf } from '../../src/nat/guest-flows.ts'
import { KEY_WORDS, key4 } from '../../src/stack/flow-table.ts'

class Flow implements GuestFlow {
  deadline: number = Infinity
  heapIndex = -1
  heapKey = 0
  readonly name: GuestKey
  constructor(name: GuestKey) {
    this.name = name
  }
  release(): void {
    released.push(this.name)
  }
}

let released: GuestKey[]
let closed: number
let flows: GuestFlows<Flow>

beforeEach(() => {
  released = []
  closed = 0
  flows = new GuestFlows(3, () => closed++)
})

function open(name: GuestKey, deadline: number): Flow {
  flows.makeRoom()
  const flow = new Flow(name)
  flows.add(flow)
  flows.keep(flow, deadline)
  return flow
}

test('a flow is found until it was silent for its time-out', () => {
  const flow = open(1, 100)
  expect(flows.deadline()).toBe(100)
  flows.timeout(99)
  expect(flows.get(1)).toBe(flow)
  flows.timeout(100)
  expect([flows.get(1), flows.size, released, closed]).toEqual([undefined, 0, [1], 1])
})

test('what carries something stays', () => {
  const flow = open(1, 100)
  flows.keep(flow, 250)
  flows.timeout(100)
  flows.timeout(249)
  expect(flows.get(1)).toBe(flow)
  flows.timeout(250)
  expect(released).toEqual([1])
})

test('at the limit the one whose time-out is nearest makes room, not the one that came first', () => {
  const first = open(1, 100)
  open(2, 150)
  open(3, 200)
  flows.keep(first, 300)
  open(4, 400)
  expect([released, flows.size, closed]).toEqual([[2], 3, 1])
  open(5, 500)
  expect(released).toEqual([2, 3])
  expect(flows.get(1)).toBe(first)
})

test('all are closed at the end', () => {
  open(1, 100)
  open(2, 100)
  flows.destroy()
  expect([released, flows.size, flows.deadline()]).toEqual([[1, 2], 0, Infinity])
})

test('the name is the guest’s address and port, DNS apart, whatever the host’s side', () => {
  const key = new Int32Array(KEY_WORDS)
  const names = new Set<GuestKey>()
  for (const addr of [0x0a000264, 0x0a000265, -1]) {
    for (const port of [1, 65535]) {
      for (const isDns of [false, true]) {
        key4(key, addr, port, 0x01020304, 53)
        names.add(nameOf(key, isDns))
        key4(key, addr, port, 0x05060708, 80)
        names.add(nameOf(key, isDns))
      }
    }
  }
  for (const isDns of [false, true]) {
    names.add(nameOf(Int32Array.of(0xfd00 << 16, 0, 0, 100, 1, 2, 3, 4, 7 << 16), isDns))
    names.add(nameOf(Int32Array.of(0xfd00 << 16, 0, 0, 100, 5, 6, 7, 8, 7 << 16), isDns))
    names.add(nameOf(Int32Array.of(0xfd00 << 16, 0, 0, 101, 1, 2, 3, 4, 7 << 16), isDns))
  }
  expect(names.size).toBe(3 * 2 * 2 + 2 * 2)
})
