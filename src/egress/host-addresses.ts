/** The addresses that lead to the host: those of its interfaces, as they are now, looked at no more than once in a second. */
import { networkInterfaces } from 'node:os'
import type { Surroundings } from '../policy/addresses.ts'

/** Ours, in ms. */
const CHECK_INTERVAL = 1000

export class HostAddresses {
  readonly #always: readonly string[]
  #checkedAt = -Infinity

  /** `always`: addresses that are the host's for the guest alone, such as the gateway's. */
  constructor(always: readonly string[]) {
    this.#always = always
  }

  /** Tells the surroundings, when it is time to. */
  update(surroundings: Surroundings, now: number): void {
    if (now - this.#checkedAt < CHECK_INTERVAL) return
    this.#checkedAt = now
    const own = Object.values(networkInterfaces()).flatMap((entries) => entries ?? [])
    surroundings.setHostAddresses([...this.#always, ...own.map(({ address }) => address)])
  }

  /** The next `update` looks again. */
  forget(): void {
    this.#checkedAt = -Infinity
  }
}
