import { configDefaults, defineConfig } from 'vitest/config'

// .ci/run has a step of its own for what runs Podman and others.
const apart = process.env.SLIPWAY_INTEROP === 'apart' ? ['test/interop/**'] : []

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...apart],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
