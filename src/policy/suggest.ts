/** Rules that would allow what was denied: for who has watched a container and now writes its policy. */
import type { Decision } from './decisions.ts'
import { readName } from './names.ts'
import type { Protocol, RuleInput } from './policy.ts'

/** Ours: of more the rest is left out. */
const MOST = 200

interface Wanted {
  readonly name?: string
  readonly address?: string
  readonly protocol: Protocol
  readonly ports: Set<number>
}

/**
 * Rules for the flows that were denied, or would be; by name where one is known, one for each name and protocol. What a name was
 * looked up for, and nothing came of, has none.
 */
export function suggestRules(decisions: Iterable<Decision>): RuleInput[] {
  const wanted = new Map<string, Wanted>()
  const privateNames = new Set<string>()
  for (const decision of decisions) {
    const { kind, verdict, by, name, address, protocol, port, said } = decision
    if (verdict !== 'deny') continue
    if (by === 'rebinding' && name !== undefined) privateNames.add(name)
    if (kind !== 'flow' || protocol === undefined || by === 'malformed') continue
    // What no rule can have as a name, such as an address in a Host field, is allowed by where it went.
    const host = said === undefined || said === '' ? name : isName(said) ? said : undefined
    const key = `${protocol} ${host ?? address}`
    let found = wanted.get(key)
    if (found === undefined) {
      if (wanted.size >= MOST) continue
      const where = host !== undefined ? { name: host } : { address: address ?? '' }
      found = { ...where, protocol, ports: new Set() }
      wanted.set(key, found)
    }
    if (port !== undefined) found.ports.add(port)
  }
  return [...wanted.values()].map((each) => ruleFor(each, privateNames))
}

function ruleFor({ name, address, protocol, ports }: Wanted, privateNames: Set<string>): RuleInput {
  const [first, ...more] = [...ports].toSorted((a, b) => a - b)
  return {
    action: 'allow',
    ...(name !== undefined ? { name } : { to: address }),
    ...(first !== undefined && { port: more.length === 0 ? first : [first, ...more] }),
    ...(protocol !== 'tcp' && { protocol }),
    // No name is read from UDP.
    ...(protocol === 'udp' && name !== undefined && { check: 'none' as const }),
    ...(name !== undefined && privateNames.has(name) && { private: true }),
  }
}

const isName = (said: string): boolean => 'name' in readName(said)
