/** The library: see docs/api.md. Importing it loads neither the data plane nor any native code; `attach` does. */
export { type ErrorCode, SlipwayError } from './engine/errors.ts'
export { formatMetrics } from './engine/prometheus.ts'
export type {
  Addresses,
  CaptureResult,
  ClosedFlow,
  DatagramFlows,
  Drops,
  Ending,
  Filtering,
  Flow,
  FlowAddress,
  FlowEnd,
  ForwardProto,
  Stats,
  Traffic,
  Warning,
} from './engine/types.ts'
export type { Capture, CaptureOptions } from './library/capture.ts'
export {
  allow,
  deny,
  type EgressOptions,
  type FlowQuestion,
  type HookContext,
  type NameQuestion,
  type Verdict,
} from './library/egress.ts'
export type {
  BindOptions,
  ConnectOptions,
  ListenOptions,
  StreamOptions,
} from './library/endpoint-options.ts'
export type { NetworkEvents } from './library/events.ts'
export { attach, type Forward, type Forwards, type Network } from './library/network.ts'
export type {
  AttachOptions,
  ForwardOptions,
  KeepAliveOptions,
  LimitOptions,
  Target,
} from './library/options.ts'
export type { NetworkServer, NetworkServerEvents } from './library/server.ts'
export type { NetworkSocket } from './library/socket.ts'
export type {
  DatagramInfo,
  NetworkUdpSocket,
  NetworkUdpSocketEvents,
} from './library/udp-socket.ts'
export type { DecidedBy, Decision, DecisionKind } from './policy/decisions.ts'
export type { Policy, PolicyInput, Rule, RuleInput } from './policy/policy.ts'
