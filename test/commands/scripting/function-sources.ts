/** Sources of libraries, and the words of commands about them. */

/** The source of a library. */
export function library(name: string, body: string): string {
  return `#!lua name=${name}\n${body}`
}

/** The source of a library with one function, whose body is given. */
export function single(name: string, body: string): string {
  return library(name, `redis.register_function('${name}', function(keys, args)\n${body}\nend)`)
}

export const LOAD = ['FUNCTION', 'LOAD'] as const
export const REPLACE = ['FUNCTION', 'LOAD', 'REPLACE'] as const
export const LIST = ['FUNCTION', 'LIST'] as const
export const HELLO = single('hello', "return 'hello'")
