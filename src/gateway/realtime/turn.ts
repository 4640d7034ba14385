/**
 * What is sent within a turn of the loop leaves together at its end: topics hand their batches to the clients first, then
 * each socket that was written to is uncorked, which is one `writev`. Hot path.
 */

/** Has something to do at the end of the turn. */
export interface TurnEnd {
  endTurn(): void
}

export class Turn {
  private topics: TurnEnd[] = []
  private sockets: TurnEnd[] = []
  private isScheduled: boolean = false

  /** Has a topic flushed at the end of the turn. */
  addTopic(topic: TurnEnd): void {
    this.topics.push(topic)
    this.schedule()
  }

  /** Has a socket uncorked at the end of the turn, behind all topics. */
  addSocket(socket: TurnEnd): void {
    this.sockets.push(socket)
    this.schedule()
  }

  private schedule(): void {
    if (this.isScheduled) return
    this.isScheduled = true
    setImmediate(this.end)
  }

  private readonly end = (): void => {
    const { topics } = this
    this.topics = []
    for (let i = 0; i < topics.length; i++) topics[i]!.endTurn()
    const { sockets } = this
    this.sockets = []
    this.isScheduled = false
    for (let i = 0; i < sockets.length; i++) sockets[i]!.endTurn()
  }
}
