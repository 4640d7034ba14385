/** Subjects that take turns, so that what else the machine does falls on all of them. */
import { cpuMs } from './servers.ts'

/**
 * Takes `rounds` samples of each subject in alternating rounds. Every other round begins with the last subject: none is always
 * the one behind the same neighbour. Returns the samples by subject.
 */
export async function alternate<Subject, Sample>(
  subjects: readonly Subject[],
  rounds: number,
  sample: (subject: Subject) => Promise<Sample>,
): Promise<Sample[][]> {
  const samples: Sample[][] = subjects.map(() => [])
  for (let round = 0; round < rounds; round++) {
    const order = [...subjects.keys()]
    if (round % 2 === 1) order.reverse()
    for (const i of order) samples[i]!.push(await sample(subjects[i]!))
  }
  return samples
}

/** Runs something and returns what came of it, and the CPU time that a process spent meanwhile, in ms. */
export async function withCpu<Result>(
  pid: number,
  run: () => Promise<Result>,
): Promise<{ readonly result: Result; readonly ms: number }> {
  const before = cpuMs(pid)
  const result = await run()
  return { result, ms: cpuMs(pid) - before }
}
