/**
 * What a listener of the program's has thrown reaches the program as an uncaught exception, as it would anyway; but what was
 * to come after the listener comes first.
 */
export function rethrow(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}
