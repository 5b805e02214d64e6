/**
 * `slipway/policy`: what a container may reach, as a value. Pure: nothing of Linux or Node's is in it, it runs in a
 * browser. See docs/egress.md.
 */
export type { DecidedBy, Decision, DecisionKind } from './decisions.ts'
export { definePolicy, PolicyError, type PolicyProblem, parsePolicy } from './define.ts'
export type {
  Action,
  Check,
  DnsInput,
  Policy,
  PolicyInput,
  Protocol,
  Rule,
  RuleInput,
} from './policy.ts'
export { type FlowInput, type Simulation, simulate } from './simulate.ts'
export { suggestRules } from './suggest.ts'
