/** The Redis version whose behaviour this server has; what INFO and HELLO report and fatal errors name. */
export const REDIS_VERSION = '7.2.4'

/** Releases of Redis that can be followed where they differ (`redis-compatibility`). */
export const RELEASES = ['7.0', '7.2'] as const
export type Release = (typeof RELEASES)[number]
