/** All contenders, in the order of their columns. */
import type { Contender } from './contender.ts'
import { pasta } from './pasta.ts'
import { rootlesskit } from './rootlesskit.ts'
import { slirpLike, splicing } from './slirp.ts'
import { veth } from './veth.ts'

export const contenders: readonly Contender[] = [
  slirpLike('slipway', 'npm ci'),
  splicing('slipway', 'this one has no --forward-mode'),
  slirpLike('slirp4netns', 'apt install slirp4netns', 'slirp4netns'),
  pasta,
  rootlesskit,
  veth,
]
