/** The library: see docs/api.md. Importing it loads neither the data plane nor any native code; `attach` does. */
export { type ErrorCode, SlipwayError } from './engine/errors.ts'
export type { Addresses, Ending, Stats, Traffic } from './engine/types.ts'
export { attach, type Forward, type Forwards, type Network } from './library/network.ts'
export type { AttachOptions, ForwardOptions, Target } from './library/options.ts'
