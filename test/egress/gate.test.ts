/** The gate without a network: SYNs and datagrams of containers, name servers that answer from a table, a clock that is set. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import { EgressGate } from '../../src/egress/gate.ts'
import { type HookQuestion, Hooks, type HooksAsked } from '../../src/egress/hooks.ts'
import type { DnsAsker } from '../../src/nat/dns-asker.ts'
import type { Passage } from '../../src/nat/gate.ts'
import type { Host } from '../../src/nat/host.ts'
import type { Server } from '../../src/nat/resolvers.ts'
import type { Decided } from '../../src/policy/decisions.ts'
import { definePolicy } from '../../src/policy/define.ts'
import {
  type Message,
  readMessage,
  showName,
  writeMessage,
} from '../../src/policy/evidence/dns-message.ts'
import type { PolicyInput } from '../../src/policy/policy.ts'
import type { Datagram } from '../../src/stack/stack.ts'
import type { SynRequest } from '../../src/stack/tcp/syn-request.ts'
import * as address from '../../src/stack/wire/address.ts'
import { answer, query, show } from '../policy/evidence/dns-messages.ts'

type OnEnd = (answer: Uint8Array | undefined) => void

/** A container's connection to the name server. */
interface TcpClient {
  isIdle: boolean
  isClosed: boolean
  ask(octets: Uint8Array): void
}

/** Name servers over TCP, and who asks so. */
const overTcp = vi.hoisted(() => ({
  serve: (_port: number, _question: Uint8Array, onEnd: OnEnd): void => onEnd(undefined),
  clients: [] as TcpClient[],
}))
vi.mock('../../src/egress/dns-over-tcp.ts', async (original) => ({
  ...(await original<object>()),
  ServerStream: class {
    readonly onEnd: OnEnd
    constructor(_host: Host, _at: number, server: Server, question: Uint8Array, onEnd: OnEnd) {
      this.onEnd = onEnd
      overTcp.serve(server.port, question, onEnd)
    }
    close(): void {
      this.onEnd(undefined)
    }
  },
  GuestStream: class implements TcpClient {
    isIdle = true
    isClosed = false
    readonly onMessage: (octets: Uint8Array, reply: () => void) => void
    readonly onClosed: () => void
    constructor(
      _host: Host,
      _request: SynRequest,
      onMessage: (octets: Uint8Array, reply: () => void) => void,
      onClosed: () => void,
    ) {
      this.onMessage = onMessage
      this.onClosed = onClosed
      overTcp.clients.push(this)
    }
    ask(octets: Uint8Array): void {
      this.isIdle = false
      this.onMessage(octets, () => {
        this.isIdle = true
      })
    }
    close(): void {
      this.isClosed = true
      this.onClosed()
    }
  },
}))

interface Asked {
  flow?: boolean
  query?: boolean
}

/** A SYN, and what became of it. */
interface Syn {
  outcome: 'waits' | 'dialled' | 'refused' | 'failed'
  passage: Passage | undefined
  readonly request: SynRequest
}

class Bed {
  readonly gate: EgressGate
  readonly asked: HookQuestion[] = []
  readonly decided: Decided[] = []
  /** What name servers know: `good.example A` → records. */
  readonly zone = new Map<string, string[]>()
  /** The names that they were asked for. */
  readonly upstream: string[] = []
  /** Answers wait until this is called. */
  readonly held: (() => void)[] = []
  isHeld = false
  readonly told: Uint8Array[] = []
  /** Name servers do not know EDNS. */
  isOld = false
  /** Answers are cut, and over TCP they would not be. */
  isCut = false
  readonly servers = [53, 54, 55].map((port) => ({ port })) as Server[]
  readonly refused: Datagram[] = []
  readonly #bytes = new Uint8Array(1 << 18)
  readonly #reactor = { now: 1000 }
  #reserved = 0
  #id = 0

  constructor(policy: PolicyInput, asked?: Asked) {
    const options = { gateway: 0x0a000202, dns: true, dnsAddress: 0x0a000203, hostLoopback: true }
    const host = {
      options,
      reactor: this.#reactor,
      arena: {
        bytes: this.#bytes,
        view: new DataView(this.#bytes.buffer),
        reserve: (length: number) => {
          this.#reserved += length
          return this.#reserved - length
        },
      },
      resolvers: { servers: () => this.servers },
      stack: {
        counters: { drop: { dnsMalformed: 0 } },
        refuseDatagram: (datagram: Datagram) => this.refused.push(datagram),
        transmitter: {
          sendUdp: (_key: Int32Array, _neighbour: unknown, at: number, len: number) =>
            this.told.push(this.#bytes.slice(at, at + len)),
        },
      },
    }
    const asker = {
      ask: (_key: Int32Array, octets: Uint8Array, { answered, closed }: never) =>
        this.#serve(octets, answered, closed),
    }
    const hooks: HooksAsked = { flow: false, query: false, timeout: 5_000, ...asked }
    this.gate = new EgressGate(
      host as unknown as Host,
      asker as unknown as DnsAsker,
      definePolicy(policy),
      asked &&
        new Hooks(
          hooks,
          (question) => this.asked.push(question),
          () => {},
        ),
    )
    this.gate.listener = (decided) => this.decided.push(decided)
  }

  get now(): number {
    return this.#reactor.now
  }

  pass(ms: number): void {
    this.#reactor.now += ms
    this.gate.timeout(this.#reactor.now)
  }

  #serve(
    octets: Uint8Array,
    answered: (at: number, len: number, server: Server) => void,
    closed: (end: string) => void,
  ): void {
    const asked = readMessage(octets, 0, octets.length)!
    const { wire, type } = asked.question
    const name = showName(wire)
    this.upstream.push(`${name} ${type}${asked.edns === undefined ? ' plain' : ''}`)
    const tell = (): void => {
      const own = this.zone.get(name) ?? []
      const records = type === 28 ? [] : own
      const isWrong = this.isOld && asked.edns !== undefined
      const whole = isWrong ? answer(asked, [], 1) : answer(asked, records)
      const flags = whole.flags | (this.isCut ? 0x0200 : 0)
      const told = writeMessage({ ...whole, flags }, 4096)
      const at = this.#bytes.length - 4096
      this.#bytes.set(told, at)
      answered(at, told.length, this.servers[1]!)
      closed('finished')
    }
    if (this.isHeld) this.held.push(tell)
    else tell()
  }

  /** The container's question; what it was told. */
  lookUp(name: string, guest = 1, type = 'A'): Message | undefined {
    const octets = writeMessage({ ...query(name, type), id: ++this.#id & 0xffff }, 4096)
    return this.ask(octets, guest)
  }

  ask(octets: Uint8Array, guest = 1): Message | undefined {
    const at = this.#bytes.length - 8192
    this.#bytes.set(octets, at)
    const before = this.told.length
    const key = keyOf('10.0.2.3', 53, 4000 + (this.#id % 1000))
    const datagram = { key, at, len: octets.length, neighbour: neighbour(guest) }
    this.gate.receiveQuestion(datagram as unknown as Datagram)
    const told = this.told[before]
    return told && readMessage(told, 0, told.length)
  }

  /** Its addresses, as text. */
  addressesOf(name: string, guest = 1): string[] {
    return show(this.lookUp(name, guest)!).map((record) => record.split(' ').at(-1)!)
  }

  syn(host: string, port: number, guest = 1): Syn {
    const syn: Syn = {
      outcome: 'waits',
      passage: undefined,
      request: {
        key: keyOf(host, port, 5000),
        neighbour: neighbour(guest),
        onGivenUp: undefined,
        refuse: () => {
          syn.outcome = 'refused'
        },
        fail: () => {
          syn.outcome = 'failed'
        },
      } as unknown as SynRequest,
    }
    this.gate.openTcp(syn.request, (passage) => {
      syn.outcome = 'dialled'
      syn.passage = passage
      passage.revoke ??= () => {
        syn.outcome = 'refused'
      }
    })
    return syn
  }

  /** May the container send a datagram there? */
  sends(protocol: 'udp' | 'icmp', host: string, port: number): boolean {
    const datagram = { key: keyOf(host, port, 5000), neighbour: neighbour(1) }
    return this.gate.admit(protocol, datagram as unknown as Datagram) !== undefined
  }

  answer(action: 'allow' | 'deny', question = this.asked.at(-1)!): void {
    this.gate.hooks!.answer(question.id, { action, for: 'flow' }, this.now)
  }
}

const neighbour = (guest: number) => ({ mac: Uint8Array.of(2, 0, 0, 0, guest >> 8, guest & 255) })

function keyOf(host: string, port: number, guestPort: number): Int32Array {
  const key = new Int32Array(9)
  address.parse('10.0.2.100', key.subarray(0, 4))
  address.parse(host, key.subarray(4, 8))
  key[8] = (guestPort << 16) | port
  return key
}

const placesOf = ({ passage }: Syn): string[] | undefined =>
  passage?.destinations?.map(({ words }) => address.format(words))

afterEach(() => {
  vi.restoreAllMocks()
})

describe('a made-up address', () => {
  test('stays the name’s that the program was asked about, though another gets it meanwhile', () => {
    const bed = new Bed({}, { flow: true })
    bed.zone.set('good.example', ['good.example 60 A 1.1.1.1'])
    bed.zone.set('evil.example', ['evil.example 60 A 6.6.6.6'])
    const [addr] = bed.addressesOf('good.example')
    const syn = bed.syn(addr!, 443)
    expect(bed.asked.at(-1)).toMatchObject({ name: 'good.example', port: 443 })
    for (let i = 0; i < 1023; i++) bed.lookUp(`n${i}.example`)
    expect(bed.addressesOf('evil.example')).toEqual([addr])
    bed.answer('allow')
    expect(placesOf(syn)).toEqual(['1.1.1.1'])
    expect(bed.upstream.join()).not.toContain('evil')
    expect(bed.decided.at(-1)).not.toMatchObject({ name: 'evil.example' })
  })

  test('is left by who gives up, though another name gets it meanwhile', () => {
    const bed = new Bed({}, { flow: true })
    const [addr] = bed.addressesOf('good.example')
    const syn = bed.syn(addr!, 443)
    for (let i = 0; i < 1024; i++) bed.lookUp(`n${i}.example`)
    syn.request.onGivenUp!('guest-reset')
    bed.answer('allow')
    expect([syn.outcome, bed.upstream]).toEqual(['waits', []])
  })
})

describe('what rules deny stays denied, though the program allows it:', () => {
  const ONE = 'good.example 60 A 1.1.1.1'
  const TWO = 'good.example 60 A 2.2.2.2'
  const NO_ONES = { rules: [{ id: 'ones', action: 'deny', to: '1.0.0.0/8' }] } as const

  /** A connection to a name whose addresses are these waits for an answer. */
  function ask(policy: PolicyInput, records: string[]): { bed: Bed; syn: Syn } {
    const bed = new Bed(policy, { flow: true })
    bed.zone.set('good.example', records)
    return { bed, syn: bed.syn(bed.addressesOf('good.example')[0]!, 443) }
  }

  test('addresses that the name leads to', () => {
    const { bed, syn } = ask(NO_ONES, [ONE])
    bed.answer('allow')
    expect(syn.outcome).toBe('refused')
    expect(bed.decided.at(-1)).toMatchObject({ verdict: 'deny', rule: 'ones' })
  })

  test('some of them: the others are tried', () => {
    const { bed, syn } = ask(NO_ONES, [ONE, TWO])
    bed.answer('allow')
    expect([syn.outcome, placesOf(syn)]).toEqual(['dialled', ['2.2.2.2']])
  })

  test('names that a policy denies which came while the program thought', () => {
    const { bed, syn } = ask({}, [ONE])
    bed.gate.setPolicy(
      definePolicy({ rules: [{ id: 'good', action: 'deny', name: 'good.example' }] }),
    )
    bed.answer('allow')
    expect([syn.outcome, bed.decided.at(-1)?.rule]).toEqual(['refused', 'good'])
    expect(bed.upstream).toEqual([])
  })

  test('addresses that a policy denies which came while the name was looked up', () => {
    const { bed, syn } = ask({}, [ONE])
    bed.isHeld = true
    bed.answer('allow')
    bed.gate.setPolicy(definePolicy(NO_ONES))
    for (const tell of bed.held) tell()
    expect(syn.outcome).toBe('refused')
  })

  test('addresses without a name', () => {
    const bed = new Bed({}, { flow: true })
    const syn = bed.syn('1.1.1.1', 22)
    bed.gate.setPolicy(definePolicy(NO_ONES))
    bed.answer('allow')
    expect(syn.outcome).toBe('refused')
  })

  test('flows that are there, by where they go', () => {
    const { bed, syn } = ask({}, [ONE])
    bed.answer('allow')
    expect(syn.outcome).toBe('dialled')
    bed.gate.setPolicy(definePolicy({ rules: [{ action: 'deny', to: 'private' }] }))
    expect(syn.outcome).toBe('dialled')
    bed.gate.setPolicy(definePolicy(NO_ONES))
    expect(syn.outcome).toBe('refused')
  })

  test('a name that is denied, at an address that the container has for another as well', () => {
    const rules = [{ action: 'deny', name: 'evil.example', port: 443 }] as const
    const bed = new Bed({ rules }, { flow: true })
    for (const name of ['good.example', 'evil.example']) {
      // The one that is denied was looked up last.
      const until = name === 'evil.example' ? 900_000 : 800_000
      bed.gate.leases.grant(0x020000000001, name, 0x01010101, bed.now, until)
    }
    const syn = bed.syn('1.1.1.1', 443)
    expect(bed.asked.at(-1)?.name).toBe('good.example')
    bed.answer('allow')
    expect(syn.outcome).toBe('dialled')
    const other = new Bed({ rules }, { flow: true })
    other.gate.leases.grant(0x020000000001, 'evil.example', 0x01010101, other.now, 900_000)
    expect([other.syn('1.1.1.1', 443).outcome, other.asked]).toEqual(['refused', []])
  })

  test('private addresses, but not those that are made up', () => {
    const bed = new Bed({ rules: [{ action: 'deny', to: 'private' }] }, { flow: true })
    bed.zone.set('good.example', [ONE])
    const syn = bed.syn(bed.addressesOf('good.example')[0]!, 443)
    bed.answer('allow')
    expect(placesOf(syn)).toEqual(['1.1.1.1'])
  })
})

describe('an answer that was cut', () => {
  function resolve(
    serve: (port: number, question: Uint8Array) => Uint8Array | 'nothing' | 'later',
  ) {
    const bed = new Bed({}, { flow: true })
    const ports: number[] = []
    const later: (() => void)[] = []
    bed.isCut = true
    overTcp.serve = (port, question, onEnd) => {
      ports.push(port)
      const said = serve(port, question)
      if (said === 'later') later.push(() => onEnd(undefined))
      else onEnd(said === 'nothing' ? undefined : said)
    }
    const syn = bed.syn(bed.addressesOf('good.example')[0]!, 443)
    bed.answer('allow')
    return { bed, syn, ports, later }
  }
  const whole = (question: Uint8Array): Uint8Array => {
    const asked = readMessage(question, 0, question.length)!
    return writeMessage(answer(asked, ['good.example 60 A 1.1.1.1']), 4096)
  }

  test('is asked for over TCP of the server whose it was', () => {
    const { syn, ports } = resolve((_port, question) => whole(question))
    expect([placesOf(syn)?.[0], ports]).toEqual(['1.1.1.1', [54, 54]])
  })

  test('is asked for of the others where that one fails at once, or later', () => {
    const { bed, syn, ports } = resolve((port, question) =>
      port === 54 ? 'nothing' : port === 53 ? 'later' : whole(question),
    )
    expect(ports).toEqual([54, 53, 54, 53])
    bed.pass(5_000)
    expect([placesOf(syn)?.[0], ports.slice(4)]).toEqual(['1.1.1.1', [55, 55]])
  })

  test('is none where all fail', () => {
    const { syn, ports } = resolve(() => 'nothing')
    expect([syn.outcome, ports]).toEqual(['failed', [54, 53, 55, 54, 53, 55]])
  })
})

test('a policy that comes to deny a name resets its flows and those to come, though the default allows', () => {
  const bed = new Bed({ default: 'allow' })
  bed.zone.set('evil.example', ['evil.example 60 A 6.6.6.6'])
  bed.zone.set('good.example', ['good.example 60 A 1.1.1.1'])
  bed.lookUp('evil.example')
  bed.lookUp('good.example')
  const [evil, good] = [bed.syn('6.6.6.6', 443), bed.syn('1.1.1.1', 443)]
  expect([evil.outcome, good.outcome]).toEqual(['dialled', 'dialled'])
  const rules = [{ action: 'deny', name: 'evil.example' }] as const
  bed.gate.setPolicy(definePolicy({ default: 'allow', rules }))
  expect([evil.outcome, good.outcome]).toEqual(['refused', 'dialled'])
  expect([bed.syn('6.6.6.6', 443).outcome, bed.syn('1.1.1.1', 443).outcome]).toEqual([
    'refused',
    'dialled',
  ])
})

describe('names that the program allowed', () => {
  function bed(): Bed {
    const bed = new Bed({}, { query: true })
    for (const name of ['cdn1.example', 'cdn2.example']) {
      bed.zone.set(name, [`${name} 60 A 1.1.1.1`])
      bed.lookUp(name)
      bed.answer('allow')
    }
    return bed
  }

  test('are for TCP: no ping, no UDP', () => {
    const open = bed()
    expect(open.syn('1.1.1.1', 22).outcome).toBe('dialled')
    expect(open.sends('icmp', '1.1.1.1', 0)).toBe(false)
    expect(open.sends('udp', '1.1.1.1', 53)).toBe(false)
  })

  test('may share an address: each may be said', () => {
    for (const name of ['cdn1.example', 'cdn2.example', 'cdn3.example']) {
      const { passage } = bed().syn('1.1.1.1', 80)
      const request = Buffer.from(`GET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`)
      passage!.inspector!.feed(request, 0, request.length)
      const isAllowed = name !== 'cdn3.example'
      expect(passage!.inspector!.passed).toBe(isAllowed ? request.length : 0)
    }
  })
})

test('a program that is asked about a flow allows datagrams as well', () => {
  const bed = new Bed({}, { flow: true })
  expect(bed.sends('udp', '1.1.1.1', 53)).toBe(false)
  bed.answer('allow')
  expect(bed.sends('udp', '1.1.1.1', 53)).toBe(true)
})

describe('another policy judges a flow', () => {
  const rule = (action: 'allow' | 'deny', ...name: string[]) => ({ action, name, port: [22, 80] })

  /** Both names have the address; b.example was looked up last. */
  function shared(policy: PolicyInput): Bed {
    const bed = new Bed(policy)
    for (const name of ['a.example', 'b.example']) {
      bed.zone.set(name, [`${name} 60 A 1.1.1.1`])
      bed.lookUp(name)
    }
    return bed
  }
  const says = (syn: Syn, name: string): number => {
    const request = Buffer.from(`GET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`)
    const { inspector, inspected } = syn.passage!
    inspector!.feed(request, 0, request.length)
    inspected!.call(syn.passage)
    return inspector!.passed
  }

  test('by the name that it was admitted by, not by others of its address', () => {
    const bed = shared({ rules: [rule('allow', 'a.example')] })
    // As if an earlier policy had allowed it.
    bed.gate.leases.grant(0x020000000001, 'b.example', 0x01010101, bed.now, 900_000)
    const syn = bed.syn('1.1.1.1', 22)
    bed.gate.setPolicy(definePolicy({ rules: [rule('allow', 'b.example')] }))
    expect(syn.outcome).toBe('refused')
  })

  test('by the name that it said', () => {
    const bed = shared({ rules: [rule('allow', 'a.example', 'b.example')] })
    const [a, b] = [bed.syn('1.1.1.1', 80), bed.syn('1.1.1.1', 80)]
    expect([says(a, 'a.example'), says(b, 'b.example')]).not.toContain(0)
    bed.gate.setPolicy(definePolicy({ rules: [rule('allow', 'b.example')] }))
    expect([a.outcome, b.outcome]).toEqual(['refused', 'dialled'])
  })

  test('by any of its names as long as it has said none', () => {
    const bed = shared({ rules: [rule('allow', 'a.example', 'b.example')] })
    const syn = bed.syn('1.1.1.1', 80)
    bed.gate.setPolicy(definePolicy({ rules: [rule('allow', 'a.example')] }))
    expect(syn.outcome).toBe('dialled')
    expect(says(syn, 'b.example')).toBe(0)
  })

  test('and lets further requests be for others of its names', () => {
    const bed = shared({ rules: [rule('allow', 'a.example', 'b.example')] })
    const syn = bed.syn('1.1.1.1', 80)
    const first = says(syn, 'b.example')
    bed.gate.setPolicy(definePolicy({ rules: [rule('allow', 'a.example', 'b.example')] }))
    expect(says(syn, 'a.example')).toBe(2 * first)
  })

  test.each(['a.example', 'evil.example'])('that was only observed, and said %s', (name) => {
    const rules = [rule('allow', 'a.example', 'b.example')]
    const bed = shared({ mode: 'observe', rules })
    const syn = bed.syn('1.1.1.1', 80)
    says(syn, name)
    expect([syn.outcome, syn.passage!.inspector!.passed]).toEqual(['dialled', Infinity])
    bed.gate.setPolicy(definePolicy({ rules }))
    expect(syn.outcome).toBe(name === 'a.example' ? 'dialled' : 'refused')
  })

  test('that was only observed, and would have been denied by its name', () => {
    const rules = [rule('deny', 'a.example')]
    const bed = new Bed({ mode: 'observe', default: 'allow', rules })
    bed.zone.set('a.example', ['a.example 60 A 1.1.1.1'])
    bed.lookUp('a.example')
    const syn = bed.syn('1.1.1.1', 22)
    expect(syn.outcome).toBe('dialled')
    bed.gate.setPolicy(definePolicy({ default: 'allow', rules }))
    expect(syn.outcome).toBe('refused')
  })

  test('that was observed from its beginning, or comes to be', () => {
    const rules = [rule('allow', 'a.example', 'b.example')]
    const bed = shared({ mode: 'observe', rules })
    const before = bed.syn('1.1.1.1', 80)
    bed.gate.setPolicy(definePolicy({ rules }))
    expect([says(before, 'evil.example'), before.passage!.inspector!.state]).toEqual([0, 'denied'])
    const then = bed.syn('1.1.1.1', 80)
    bed.gate.setPolicy(definePolicy({ mode: 'observe', rules }))
    expect([says(then, 'evil.example'), then.passage!.inspector!.state]).toEqual([Infinity, 'open'])
  })
})

describe('a name that is not said within 10 s from the first octet on', () => {
  const rules = [{ action: 'allow', name: 'a.example', port: 443 }] as const
  function open(policy: PolicyInput): { bed: Bed; syn: Syn } {
    const bed = new Bed(policy)
    bed.zone.set('a.example', ['a.example 60 A 1.1.1.1'])
    bed.lookUp('a.example')
    return { bed, syn: bed.syn('1.1.1.1', 443) }
  }
  const feed = ({ passage }: Syn, octets: readonly number[]): void => {
    passage!.inspector!.feed(Uint8Array.from(octets), 0, octets.length)
    passage!.inspected!()
  }

  test('ends the flow; octets one by one win no time', () => {
    const { bed, syn } = open({ rules })
    bed.pass(60_000)
    expect(syn.outcome).toBe('dialled')
    feed(syn, [22, 3, 1])
    bed.pass(5_000)
    feed(syn, [0])
    expect(bed.gate.deadline()).toBe(bed.now + 5_000)
    bed.pass(4_999)
    expect(syn.outcome).toBe('dialled')
    bed.pass(1)
    expect(syn.outcome).toBe('refused')
    expect(bed.decided.at(-1)).toMatchObject({ by: 'check', why: 'it does not say its name' })
  })

  test('is told, and ends nothing, where the policy only observes', () => {
    const { bed, syn } = open({ mode: 'observe', rules })
    feed(syn, [22, 3, 1])
    bed.pass(10_000)
    expect(syn.outcome).toBe('dialled')
    expect(bed.decided.at(-1)).toMatchObject({ isObserved: true, why: 'it does not say its name' })
  })
})

test('a pool that dials ten minutes after its lookup gets there, and not much later', () => {
  const bed = new Bed({ rules: [{ action: 'allow', name: 'db.example', port: 5432 }] })
  bed.zone.set('db.example', ['db.example 5 A 1.1.1.1'])
  bed.lookUp('db.example')
  bed.pass(599_999)
  const syn = bed.syn('1.1.1.1', 5432)
  expect(syn.outcome).toBe('dialled')
  // As long as that one is there, its address may be gone to.
  bed.pass(3_600_000)
  const second = bed.syn('1.1.1.1', 5432)
  expect(second.outcome).toBe('dialled')
  for (const { passage } of [syn, second]) passage!.closed(0, 0)
  expect(bed.syn('1.1.1.1', 5432).outcome).toBe('refused')
})

describe('the name server', () => {
  const ALLOW_A: PolicyInput = { rules: [{ action: 'allow', name: ['a.example', '*.a.example'] }] }
  const rcodeOf = (message: Message | undefined): number | undefined =>
    message && message.flags & 15

  test('asks without EDNS who does not know it (RFC 6891 §7)', () => {
    const bed = new Bed(ALLOW_A)
    bed.isOld = true
    bed.zone.set('a.example', ['a.example 60 A 1.1.1.1'])
    expect(bed.addressesOf('a.example')).toEqual(['1.1.1.1'])
    expect(bed.upstream).toEqual(['a.example 1', 'a.example 1 plain'])
    bed.zone.clear()
    expect(rcodeOf(bed.lookUp('a.example'))).toBe(0)
  })

  describe('answers about names that no policy can name', () => {
    const printer = 'My+Printer._ipp._tcp.a.example'
    test.each<[string, PolicyInput, boolean]>([
      ['where the default is allow', { default: 'allow' }, true],
      ['where it is only observed', { mode: 'observe' }, true],
      [
        'not where a rule denies what is around them',
        { default: 'allow', rules: [{ action: 'deny', name: '*.a.example' }] },
        false,
      ],
      ['not where rules say what is allowed', ALLOW_A, false],
    ])('%s', (_, policy, isAsked) => {
      const bed = new Bed(policy)
      bed.zone.set(printer.toLowerCase(), [`${printer.toLowerCase()} 60 A 1.1.1.1`])
      const told = bed.lookUp(printer)
      expect([rcodeOf(told), told?.answers.length]).toEqual(isAsked ? [0, 1] : [3, 0])
      expect(bed.upstream).toHaveLength(isAsked ? 1 : 0)
    })
  })

  test('says nothing of all types, or of types that it cannot ask for, and not that the name is not there', () => {
    const bed = new Bed(ALLOW_A)
    const ask = (name: string, type: number): number | undefined => {
      const asked = query(name)
      return rcodeOf(
        bed.ask(writeMessage({ ...asked, question: { ...asked.question, type } }, 512)),
      )
    }
    expect([ask('a.example', 255), ask('a.example', 252), ask('b.example', 255)]).toEqual([0, 4, 3])
    expect(bed.upstream).toEqual([])
  })

  test('has room for another connection: who has nothing to wait for goes', () => {
    const bed = new Bed(ALLOW_A)
    overTcp.clients = []
    bed.isHeld = true
    const open = (): TcpClient => {
      bed.gate.openDns({ key: keyOf('10.0.2.3', 53, 6000), neighbour: neighbour(1) } as SynRequest)
      return overTcp.clients.at(-1)!
    }
    const clients = Array.from({ length: 64 }, open)
    const question = writeMessage(query('a.example'), 512)
    for (const i of [0, 2]) clients[i]!.ask(question)
    for (let i = 0; i < 2; i++) open()
    const closed = clients.flatMap(({ isClosed }, i) => (isClosed ? [i] : []))
    expect(closed).toEqual([1, 3])
  })

  test('leaves SRV and MX targets to rules of their own', () => {
    const bed = new Bed(ALLOW_A)
    bed.zone.set('mail.b.example', ['mail.b.example 60 A 1.1.1.1'])
    bed.zone.set('a.example', ['a.example 60 MX mail.b.example'])
    const before = bed.lookUp('a.example', 1, 'MX')
    expect(rcodeOf(before)).toBe(0)
    expect(rcodeOf(bed.lookUp('mail.b.example'))).toBe(3)
    expect(bed.syn('1.1.1.1', 25).outcome).toBe('refused')
    const rules = [{ action: 'allow', name: ['a.example', 'mail.b.example'] }] as const
    bed.gate.setPolicy(definePolicy({ rules }))
    expect(bed.addressesOf('mail.b.example')).toEqual(['1.1.1.1'])
    expect(bed.syn('1.1.1.1', 25).outcome).toBe('dialled')
  })
})
