/** Names that the program has allowed when it was asked, and what flows for them go by. */
import { Decider } from '../policy/decider.ts'
import type { Guest } from '../policy/leases.ts'
import type { Policy, Protocol, Rule } from '../policy/policy.ts'

/** Ours. */
const MOST = 4096

export class HookedNames {
  readonly #until = new Map<string, number>()

  allow(guest: Guest, name: string, until: number): void {
    const key = `${guest} ${name}`
    this.#until.delete(key)
    if (this.#until.size >= MOST) this.#until.delete(this.#until.keys().next().value!)
    this.#until.set(key, until)
  }

  has(guest: Guest, name: string, now: number): boolean {
    return (this.#until.get(`${guest} ${name}`) ?? -Infinity) > now
  }
}

/** As a rule would have it that allows these names, or none in particular: addresses of the Internet, checked by the port. */
export function hookedBy(names: readonly string[], protocol: Protocol): Decider {
  const rule: Rule = {
    id: 'hook',
    action: 'allow',
    ...(names.length > 0 && { name: names }),
    protocol,
    sni: 'required',
    ech: 'allow',
    private: false,
    wide: false,
  }
  return new Decider({ ...BARE, rules: [rule] })
}

const BARE: Policy = {
  default: 'deny',
  mode: 'enforce',
  rules: [],
  leaseMin: 600,
  dns: { denied: 'nxdomain', maxLabel: 63, maxNames: 1_000_000 },
}
