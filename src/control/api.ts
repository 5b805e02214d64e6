/**
 * The API's requests and answers: add_hostfwd, list_hostfwd, remove_hostfwd. A request is judged in upstream's order
 * and refused in upstream's words, because callers show or compare them; the cause follows after `: `.
 */

import { FORWARD_PROTOS, MAX_COUNT } from '../engine/limits.ts'
import type { Forward, ForwardProto, Network } from '../engine/types.ts'
import { versionOf } from '../stack/wire/address.ts'

/** What the API serves. */
export type Served = Pick<Network, 'forwards'>

/** Podman reads an answer once, with room for 2,048 octets: a cause must not make an error longer than that. */
const MAX_CAUSE = 256
const MAX_PORT = 65535

class BadRequest extends Error {}

/** The answer to one request, as JSON. Never rejects. */
export async function answer(request: string, network: Served): Promise<string> {
  try {
    return JSON.stringify(await dispatch(request, network))
  } catch (error) {
    return badRequest((error as Error).message)
  }
}

export function badRequest(why: string): string {
  return JSON.stringify({ error: { desc: `bad request: ${why}` } })
}

async function dispatch(text: string, network: Served): Promise<object> {
  const request = parseObject(text)
  const execute = own(request, 'execute')
  if (typeof execute !== 'string') throw bad('no execute found', 'it must be a string')
  switch (execute) {
    case 'add_hostfwd':
      return addHostfwd(argumentsOf(request), network)
    case 'list_hostfwd':
      return listHostfwd(network)
    case 'remove_hostfwd':
      return removeHostfwd(argumentsOf(request), network)
  }
  throw bad('unknown execute', show(execute))
}

async function addHostfwd(args: object, { forwards }: Served): Promise<object> {
  const at = 'add_hostfwd'
  const proto = own(args, 'proto')
  if (!isProto(proto)) throw badArgument(at, 'proto', PROTOS, proto)
  const [anywhere, version] = proto.endsWith('6') ? ['::', 6] : ['0.0.0.0', 4]
  const versions = /[46]$/.test(proto) ? [version] : [4, 6]
  const hostAddr = address(args, at, 'host_addr', anywhere, versions)
  const hostPort = port(args, at, 'host_port')
  const guestAddr = address(args, at, 'guest_addr', '', versions)
  const guestPort = port(args, at, 'guest_port')
  const count = countOf(args, at, Math.min(MAX_COUNT, MAX_PORT + 1 - Math.max(hostPort, guestPort)))
  try {
    const { id } = await forwards.add({ proto, hostAddr, hostPort, guestAddr, guestPort, count })
    return { return: { id } }
  } catch (error) {
    throw bad(`${at}: slirp_add_hostfwd failed`, (error as Error).message)
  }
}

/** Documented is `return`, sent by upstream is `entries` alone: one object serves readers of both. */
async function listHostfwd({ forwards }: Served): Promise<object> {
  const entries = (await forwards.list()).map(entryOf)
  return { return: { entries }, entries }
}

const entryOf = (forward: Forward) => ({
  id: forward.id,
  proto: forward.proto,
  host_addr: forward.hostAddr,
  host_port: forward.hostPort,
  guest_addr: forward.guestAddr,
  guest_port: forward.guestPort,
  // Ours: readers of upstream's entries never see it.
  ...(forward.count > 1 && { count: forward.count }),
})

async function removeHostfwd(args: object, { forwards }: Served): Promise<object> {
  const at = 'remove_hostfwd'
  const id = own(args, 'id')
  if (!isInteger(id) || id < 1) throw badArgument(at, 'id', 'the id of a forward', id)
  let isRemoved: boolean
  try {
    isRemoved = await forwards.remove(id)
  } catch (error) {
    throw bad(`${at}: slirp_remove_hostfwd failed`, (error as Error).message)
  }
  if (!isRemoved) throw bad(`${at}: bad arguments.id`, `no forward has the id ${id}`)
  return { return: {} }
}

function parseObject(text: string): object {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw bad('cannot parse JSON', (error as Error).message)
  }
  if (!isObject(value)) throw bad('json_object() failed', `${show(value)} is not an object`)
  return value
}

/** Missing arguments are an empty object: the first one that is needed is then missed by name. */
function argumentsOf(request: object): object {
  const args = own(request, 'arguments')
  return isObject(args) ? args : {}
}

/** Missing, null and empty are the default. For the guest that is '': its own address, whatever it is. */
function address(
  args: object,
  at: string,
  name: string,
  byDefault: string,
  versions: readonly number[],
): string {
  const value = own(args, name) ?? ''
  if (value === '') return byDefault
  if (typeof value !== 'string' || !versions.includes(versionOf(value))) {
    const wanted = versions.length > 1 ? 'an IP address' : `an IPv${versions[0]} address`
    throw badArgument(at, name, wanted, value)
  }
  return value
}

function port(args: object, at: string, name: string): number {
  const value = own(args, name)
  if (!isInteger(value) || value < 1 || value > MAX_PORT) {
    throw badArgument(at, name, `an integer from 1 to ${MAX_PORT}`, value)
  }
  return value
}

/** Ours: so many ports in a row; one when it is missing. */
function countOf(args: object, at: string, most: number): number {
  const value = own(args, 'count') ?? 1
  if (!isInteger(value) || value < 1 || value > most) {
    throw badArgument(at, 'count', `an integer from 1 to ${most}`, value)
  }
  return value
}

function own(from: object, name: string): unknown {
  return Object.hasOwn(from, name) ? (from as Record<string, unknown>)[name] : undefined
}

const isProto = (value: unknown): value is ForwardProto =>
  FORWARD_PROTOS.some((proto) => proto === value)
const PROTOS = FORWARD_PROTOS.map((proto) => `"${proto}"`).join(' or ')

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isInteger = (value: unknown): value is number => Number.isInteger(value)

const show = (value: unknown) => (JSON.stringify(value) ?? 'nothing').slice(0, MAX_CAUSE / 4)
const bad = (why: string, cause: string) => new BadRequest(`${why}: ${cause.slice(0, MAX_CAUSE)}`)
const badArgument = (at: string, name: string, wanted: string, value: unknown) =>
  bad(`${at}: bad arguments.${name}`, `must be ${wanted}, not ${show(value)}`)
