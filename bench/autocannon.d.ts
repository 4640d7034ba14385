// autocannon ships no types; these are the parts in use.
declare module 'autocannon' {
  interface Options {
    url: string
    connections: number
    duration: number
    workers?: number
    method?: string
    headers?: Record<string, string>
    body?: string
  }

  interface Result {
    readonly requests: { readonly total: number; readonly average: number }
    readonly latency: { readonly p50: number; readonly p99: number }
    readonly duration: number
    readonly errors: number
    readonly timeouts: number
    readonly non2xx: number
  }

  function autocannon(options: Options): Promise<Result>
  export = autocannon
}
