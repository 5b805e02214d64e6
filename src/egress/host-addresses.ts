/** The addresses that lead to the host: those of its interfaces, as they are now, looked at no more than once in a second. */
import { networkInterfaces } from 'node:os'
import type { Surroundings } from '../policy/addresses.ts'

/** Ours, in ms. */
const CHECK_INTERVAL = 1000

export class HostAddresses {
  readonly #always: readonly string[]
  /** As they were read last. */
  #own: readonly string[]
  #checkedAt = -Infinity

  /** `always`: addresses that are the host's for the guest alone, such as the gateway's. Throws when there is no reading them. */
  constructor(always: readonly string[]) {
    this.#always = always
    this.#own = readAddresses()
  }

  /** Tells the surroundings, when it is time to. */
  update(surroundings: Surroundings, now: number): void {
    if (now - this.#checkedAt < CHECK_INTERVAL) return
    this.#checkedAt = now
    try {
      this.#own = readAddresses()
    } catch {
      // Reading them takes a descriptor, and there may be none left: they are as they were.
    }
    surroundings.setHostAddresses([...this.#always, ...this.#own], this.#always)
  }

  /** The next `update` looks again. */
  forget(): void {
    this.#checkedAt = -Infinity
  }
}

function readAddresses(): string[] {
  const interfaces = Object.values(networkInterfaces())
  return interfaces.flatMap((entries) => (entries ?? []).map(({ address }) => address))
}
