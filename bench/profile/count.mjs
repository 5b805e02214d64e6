/**
 * Counts the system calls that slipway makes, without a line of it in slipway: `node --import …/count.mjs dist/cli.js …`
 *
 * Every call goes through a function that koffi has made, so koffi's binary is wrapped whoever loads it. At SIGUSR2 what was
 * counted is written to the file that COUNTS names, as JSON: by name, how often it was called, how often it failed (mostly
 * with EAGAIN, which is a call for nothing), and the octets that it moved.
 */
import { renameSync, writeFileSync } from 'node:fs'
import Module from 'node:module'
import { basename } from 'node:path'

/** Those that return how many octets they moved. */
const MOVERS = /^(read|write|readv|writev|send|recv|sendto|recvfrom|sendmsg|recvmsg|splice)$/

/** Those for which the C library has no function, in x86-64 and arm64 alike. */
const BY_NUMBER = { 426: 'io_uring_enter' }

const file = process.env.COUNTS
const counts = Object.fromEntries(Object.values(BY_NUMBER).map((name) => [name, none()]))
const open = Module._extensions['.node']

Module._extensions['.node'] = (module, path) => {
  open(module, path)
  if (basename(path) === 'koffi.node') wrap(module.exports)
}

function wrap(koffi) {
  const { load } = koffi
  koffi.load = (...args) => {
    const library = load(...args)
    return new Proxy(library, {
      get(target, key) {
        if (key === 'func') return (signature) => counted(signature, target.func(signature))
        const value = target[key]
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }
}

function counted(signature, call) {
  const name = /(\w+)\s*\(/.exec(signature)[1]
  if (name === 'strerror') return call
  const moves = MOVERS.test(name)
  const byNumber = name === 'syscall' ? BY_NUMBER : {}
  counts[name] = none()
  return Object.assign((...args) => {
    const n = call(...args)
    const count = counts[byNumber[args[0]] ?? name]
    count.calls++
    if (n < 0) count.failed++
    else if (moves) count.octets += Number(n)
    return n
  }, call)
}

function none() {
  return { calls: 0, failed: 0, octets: 0 }
}

process.on('SIGUSR2', () => {
  // In one piece for who waits for it.
  writeFileSync(`${file}.part`, JSON.stringify(counts))
  renameSync(`${file}.part`, file)
})
