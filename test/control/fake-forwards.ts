/** Forwards that are only a list: a host port is taken when a forward has it. */
import type { Forward, ForwardRequest, Forwards } from '../../src/engine/types.ts'

export class FakeForwards implements Forwards {
  entries: Forward[] = []
  #lastId = 0

  async add(wanted: ForwardRequest): Promise<Forward> {
    const { proto, hostAddr, hostPort, guestAddr } = wanted
    if (this.entries.some((entry) => entry.proto === proto && entry.hostPort === hostPort)) {
      throw new Error(`cannot listen on ${hostAddr}:${hostPort}: EADDRINUSE`)
    }
    const forward = {
      ...{ count: 1, ...wanted },
      ...{ id: ++this.#lastId, guestAddr: guestAddr || '10.0.2.100' },
    }
    this.entries.push(forward)
    return forward
  }

  async list(): Promise<Forward[]> {
    return this.entries
  }

  async remove(id: number): Promise<boolean> {
    const before = this.entries.length
    this.entries = this.entries.filter((entry) => entry.id !== id)
    return this.entries.length < before
  }
}
