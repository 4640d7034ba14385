/**
 * What clients get for reading their own writes. Reads are served where writes are executed, so there is no state that a
 * client would have to wait for.
 */
export const SYNC_TOKEN = 'primary'
