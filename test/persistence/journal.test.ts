/** The journal's targets: who receives which effects. */
import { describe, expect, test } from 'vitest'
import { Journal, JournalTarget } from '../../src/persistence/journal.ts'
import { Arena } from '../../src/storage/arena.ts'

const SELECT_0 = 'SELECT 0'

class TestJournal {
  readonly journal = new Journal(new Arena())
  #aof = ''
  #replicas = ''

  listen(target: number): void {
    this.journal.subscribe((buffer, start, end) => {
      const text = buffer.latin1Slice(start, end)
      if (target === JournalTarget.Aof) this.#aof += text
      else this.#replicas += text
      // As the append-only file does, which writes behind what it receives.
      buffer.fill('x', end, end + 8)
    }, target)
  }

  effect(db: number, ...words: readonly string[]): void {
    this.journal.begin(db, words.length)
    for (const word of words) this.journal.text(word)
  }

  effectFor(targets: number, db: number, ...words: readonly string[]): void {
    const outer = this.journal.narrow(targets)
    this.effect(db, ...words)
    this.journal.widen(outer)
  }

  unit(effects: () => void): void {
    this.journal.beginUnit()
    effects()
    this.journal.endUnit()
  }

  /** What both have received, as commands with their arguments. */
  received(): { aof: string[]; replicas: string[] } {
    this.journal.drain()
    return { aof: commands(this.#aof), replicas: commands(this.#replicas) }
  }
}

function commands(resp: string): string[] {
  return resp.split(/(?=\*\d+\r\n)/).map((command) =>
    command
      .split('\r\n')
      .slice(1)
      .filter((_, i) => i % 2 === 1)
      .join(' '),
  )
}

function journalOfBoth(): TestJournal {
  const journal = new TestJournal()
  journal.listen(JournalTarget.Aof)
  journal.listen(JournalTarget.Replicas)
  return journal
}

describe('targets of effects', () => {
  test('an effect is for everybody unless it is said otherwise', () => {
    const journal = journalOfBoth()
    journal.effect(0, 'SET', 'a', '1')
    expect(journal.received()).toEqual({ aof: [SELECT_0, 'SET a 1'], replicas: [SELECT_0, 'SET a 1'] })
  })

  test('a narrowed effect reaches only those that it is for', () => {
    const journal = journalOfBoth()
    journal.effect(0, 'SET', 'a', '1')
    journal.effectFor(JournalTarget.Aof, 0, 'SET', 'b', '1')
    journal.effectFor(JournalTarget.Replicas, 0, 'SET', 'c', '1')
    journal.effectFor(JournalTarget.None, 0, 'SET', 'd', '1')
    journal.effect(0, 'SET', 'e', '1')
    expect(journal.received()).toEqual({
      aof: [SELECT_0, 'SET a 1', 'SET b 1', 'SET e 1'],
      replicas: [SELECT_0, 'SET a 1', 'SET c 1', 'SET e 1'],
    })
  })

  test('a SELECT that only some have received is repeated for all', () => {
    const journal = journalOfBoth()
    journal.effectFor(JournalTarget.Aof, 3, 'SET', 'a', '1')
    journal.effect(3, 'SET', 'b', '1')
    expect(journal.received()).toEqual({
      aof: ['SELECT 3', 'SET a 1', 'SELECT 3', 'SET b 1'],
      replicas: ['SELECT 3', 'SET b 1'],
    })
  })

  test('a unit keeps its frame for everybody, whichever of its effects are narrowed', () => {
    const journal = journalOfBoth()
    journal.effect(0, 'SET', 'before', '1')
    journal.unit(() => {
      journal.effectFor(JournalTarget.Aof, 0, 'SET', 'a', '1')
      journal.effectFor(JournalTarget.Replicas, 0, 'SET', 'b', '1')
      journal.effect(0, 'SET', 'c', '1')
    })
    const frame = (name: string): string[] => [SELECT_0, 'SET before 1', 'MULTI', `SET ${name} 1`, 'SET c 1', 'EXEC']
    expect(journal.received()).toEqual({ aof: frame('a'), replicas: frame('b') })
  })

  test('narrowing within narrowed effects never widens them', () => {
    const journal = journalOfBoth()
    const outer = journal.journal.narrow(JournalTarget.Aof)
    journal.effectFor(JournalTarget.Replicas, 0, 'PUBLISH', 'channel', 'message')
    journal.effect(0, 'SET', 'a', '1')
    journal.journal.widen(outer)
    expect(journal.received()).toEqual({ aof: [SELECT_0, 'SET a 1'], replicas: [''] })
  })

  test('what nobody listens for is not encoded', () => {
    const journal = new TestJournal()
    journal.listen(JournalTarget.Aof)
    journal.effectFor(JournalTarget.Replicas, 0, 'PUBLISH', 'channel', 'message')
    expect(journal.journal.pendingBytes).toBe(0)
    journal.effect(0, 'SET', 'a', '1')
    expect(journal.received().aof).toEqual([SELECT_0, 'SET a 1'])
  })

  test('narrowing while nothing is recorded (data are loaded) records nothing', () => {
    const journal = journalOfBoth()
    journal.journal.enabled = false
    journal.effectFor(JournalTarget.Aof, 0, 'SET', 'a', '1')
    expect(journal.journal.enabled).toBe(false)
    expect(journal.journal.pendingBytes).toBe(0)
  })

  test('a key that expired is recorded for all, within narrowed effects too', () => {
    const arena = new Arena()
    const journal = new Journal(arena)
    const received: string[] = []
    journal.subscribe((buffer, start, end) => {
      received.push(...commands(buffer.latin1Slice(start, end)))
    }, JournalTarget.Replicas)
    const outer = journal.narrow(JournalTarget.None)
    journal.deleted(0, arena.store(Buffer.from('key'), 0, 3), 'DEL')
    journal.widen(outer)
    journal.drain()
    expect(received).toEqual([SELECT_0, 'DEL key'])
  })

  test('what stands before an open unit is handed out with its narrowed effects left out, and the unit stays whole', () => {
    const journal = journalOfBoth()
    journal.effectFor(JournalTarget.Aof, 0, 'SET', 'a', '1')
    journal.journal.beginUnit()
    journal.effectFor(JournalTarget.Replicas, 0, 'SET', 'b', '1')
    journal.journal.drainBeforeUnit()
    journal.effectFor(JournalTarget.Aof, 0, 'SET', 'c', '1')
    journal.journal.endUnit()
    expect(journal.received()).toEqual({
      aof: [SELECT_0, 'SET a 1', 'MULTI', SELECT_0, 'SET c 1', 'EXEC'],
      replicas: ['MULTI', SELECT_0, 'SET b 1', 'EXEC'],
    })
  })
})
