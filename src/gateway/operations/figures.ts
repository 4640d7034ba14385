/**
 * What the gateway counts about itself, for /metrics. Hot path: `RouteFigures.add`, once for each answer; it touches a
 * number, a typed array and a small map. The families of routes add to the plain counters themselves.
 */

/** Upper bounds of the histogram's buckets, in seconds. The last bucket, without a bound, comes after them. */
export const DURATION_BUCKETS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30,
]
/** Routes are those of the code, so there are some hundred; further ones are counted as none. */
const ROUTES_MAX = 1000
/** Stands for requests without a route: unknown paths. */
const NO_ROUTE = 'none'

/** Answers of one method of one route. */
export class RouteFigures {
  readonly method: string
  readonly route: string
  /** Answers by status. */
  readonly statuses = new Map<number, number>()
  /** Answers by duration, each in the one bucket where it belongs. */
  readonly durations = new Float64Array(DURATION_BUCKETS.length + 1)
  durationSum = 0

  constructor(method: string, route: string) {
    this.method = method
    this.route = route
  }

  /** Counts an answer. */
  add(status: number, durationMs: number): void {
    const seconds = durationMs / 1000
    let bucket = 0
    while (bucket < DURATION_BUCKETS.length && seconds > DURATION_BUCKETS[bucket]!) bucket++
    this.durations[bucket]!++
    this.durationSum += seconds
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1)
  }
}

export class Figures {
  /** TCP connections that are open, and that were closed because there were too many. */
  connections = 0
  connectionsRefused = 0
  /** Connections that did not read their reply in time. */
  connectionsStalled = 0
  /** Bytes that were no HTTP request, and requests that did not come in time. */
  requestsMalformed = 0
  /** Requests that were refused because of `http-rate-limit`. */
  requestsLimited = 0
  /** Credentials that were wrong. */
  loginsDenied = 0
  webSockets = 0
  eventStreams = 0
  /** Messages that were sent to WebSockets and event streams, and that were not because the client was too slow. */
  messagesPushed = 0
  messagesDropped = 0
  private readonly none = new RouteFigures(NO_ROUTE, NO_ROUTE)
  /** By pattern, then by method. */
  private readonly byRoute = new Map<string, Map<string, RouteFigures>>()
  private count = 0

  /** The figures of a method of a route (its pattern); undefined: of requests for which there is no route. */
  route(method: string, pattern: string | undefined): RouteFigures {
    if (pattern === undefined) return this.none
    return this.byRoute.get(pattern)?.get(method) ?? this.add(method, pattern)
  }

  /** All routes that have answered. */
  *routes(): IterableIterator<RouteFigures> {
    if (this.none.statuses.size > 0) yield this.none
    for (const methods of this.byRoute.values()) {
      for (const figures of methods.values()) if (figures.statuses.size > 0) yield figures
    }
  }

  private add(method: string, pattern: string): RouteFigures {
    if (this.count >= ROUTES_MAX) return this.none
    this.count++
    let methods = this.byRoute.get(pattern)
    if (methods === undefined) {
      methods = new Map()
      this.byRoute.set(pattern, methods)
    }
    const figures = new RouteFigures(method, pattern)
    methods.set(method, figures)
    return figures
  }
}
