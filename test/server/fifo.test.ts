import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Fifo } from '../../src/server/fifo.ts'

test('a queue gives items back in their order, whatever the mix of calls', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 300 }), (pushes) => {
      const fifo = new Fifo<number>()
      const model: number[] = []
      pushes.forEach((isPush, i) => {
        if (isPush) {
          fifo.push(i)
          model.push(i)
        } else expect(fifo.shift()).toBe(model.shift() ?? null)
        expect(fifo.size).toBe(model.length)
        expect(fifo.first()).toBe(model[0] ?? null)
      })
    }),
  )
})
