/** The Redis version whose behaviour this server has; what INFO and HELLO report and fatal errors name. */
export const REDIS_VERSION = '7.2.4'
