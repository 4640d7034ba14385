/**
 * Line charts as SVG, all in one style: panels side by side with their own axes, one legend. No script, no external font, and
 * an own white ground, so that they can be read on a dark page too.
 */

/** A line: points by growing x. */
export interface Series {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

export interface Panel {
  readonly title: string
  readonly xLabel: string
  readonly yLabel: string
  readonly x: Scale
  readonly y: Scale
  readonly series: readonly Series[]
}

/** Logarithmic to the base 2 or 10; a linear one begins at 0. */
export type Scale = 'linear' | 'log2' | 'log10'

interface Axis {
  readonly ticks: readonly number[]
  /** Where a value stands, from 0 to 1. */
  at(value: number): number
}

const PANEL_WIDTH = 400
const PANEL_HEIGHT = 300
const MARGIN = { left: 66, right: 14, top: 40, bottom: 52 }
const HEAD_HEIGHT = 62
const TICKS_MAX = 6
/** Told apart by colour-blind readers, and printed in grey. */
const COLOURS = ['#0b6fb8', '#d1570b', '#5b5b5b'] as const
const DASHES = ['', '7 4', '2 4'] as const
const INK = '#1b1f24'
const FAINT = '#d8dde3'

/** The chart as text of an SVG file. Series of one name look the same in all panels. */
export function chartSvg(title: string, panels: readonly Panel[]): string {
  const names = [...new Set(panels.flatMap((panel) => panel.series.map((series) => series.name)))]
  const width = PANEL_WIDTH * panels.length
  const height = HEAD_HEIGHT + PANEL_HEIGHT
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${xmlText(title)}" font-family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif" font-size="13" fill="${INK}">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    textAt(16, 26, title, 'start', 'font-size="16" font-weight="600"'),
    ...names.map((name, i) => legend(16 + i * 150, 48, name, i)),
    ...panels.map((panel, i) => panelSvg(panel, names, i * PANEL_WIDTH)),
    '</svg>',
  ]
  return `${parts.join('\n')}\n`
}

function panelSvg(panel: Panel, names: readonly string[], left: number): string {
  const points = panel.series.flatMap((series) => series.points)
  const x = axis(
    panel.x,
    points.map(([value]) => value),
  )
  const y = axis(
    panel.y,
    points.map(([, value]) => value),
  )
  const plotWidth = PANEL_WIDTH - MARGIN.left - MARGIN.right
  const plotHeight = PANEL_HEIGHT - MARGIN.top - MARGIN.bottom
  const x0 = left + MARGIN.left
  const y0 = HEAD_HEIGHT + MARGIN.top
  const xAt = (value: number): number => x0 + x.at(value) * plotWidth
  const yAt = (value: number): number => y0 + (1 - y.at(value)) * plotHeight
  const parts = [textAt(x0, y0 - 14, panel.title, 'start', 'font-weight="600"')]
  for (const tick of y.ticks) {
    parts.push(line(x0, yAt(tick), x0 + plotWidth, yAt(tick), FAINT))
    parts.push(textAt(x0 - 8, yAt(tick) + 4, tickText(tick), 'end'))
  }
  for (const tick of x.ticks) {
    parts.push(line(xAt(tick), y0 + plotHeight, xAt(tick), y0 + plotHeight + 5, INK))
    parts.push(textAt(xAt(tick), y0 + plotHeight + 19, tickText(tick), 'middle'))
  }
  parts.push(line(x0, y0 + plotHeight, x0 + plotWidth, y0 + plotHeight, INK))
  parts.push(textAt(x0 + plotWidth / 2, y0 + plotHeight + 40, panel.xLabel, 'middle'))
  const [labelX, labelY] = [left + 14, y0 + plotHeight / 2]
  parts.push(
    textAt(labelX, labelY, panel.yLabel, 'middle', `transform="rotate(-90 ${round(labelX)} ${round(labelY)})"`),
  )
  for (const series of panel.series) {
    const path = series.points.map(([px, py], i) => `${i === 0 ? 'M' : 'L'}${round(xAt(px))} ${round(yAt(py))}`)
    parts.push(`<path d="${path.join(' ')}" ${stroke(names.indexOf(series.name))}/>`)
  }
  return parts.join('\n')
}

function axis(scale: Scale, values: readonly number[]): Axis {
  const largest = Math.max(...values, Number.MIN_VALUE)
  if (scale === 'linear') {
    const step = niceStep(largest / (TICKS_MAX - 1))
    const end = Math.ceil(largest / step) * step
    const ticks = Array.from({ length: Math.round(end / step) + 1 }, (_, i) => i * step)
    return { ticks, at: (value) => value / end }
  }
  const base = scale === 'log2' ? 2 : 10
  const log = (value: number): number => Math.log(value) / Math.log(base)
  const positive = values.filter((value) => value > 0)
  const from = Math.floor(log(Math.min(...positive, largest)) + 1e-9)
  const to = Math.max(from + 1, Math.ceil(log(largest) - 1e-9))
  const ticks = Array.from({ length: to - from + 1 }, (_, i) => base ** (from + i))
  return { ticks, at: (value) => (value <= 0 ? 0 : Math.max(0, (log(value) - from) / (to - from))) }
}

/** 1, 2 or 5 times a power of ten, not less than `least`. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least))
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least * 0.999) ?? 10 * power
}

function tickText(value: number): string {
  if (value >= 1e6) return `${round(value / 1e6)} M`
  if (value >= 1e3) return `${round(value / 1e3)} k`
  return String(Number(value.toPrecision(6)))
}

function legend(x: number, y: number, name: string, index: number): string {
  return `<path d="M${x} ${y - 4} H${x + 30}" ${stroke(index)}/>\n${textAt(x + 38, y, name, 'start')}`
}

function stroke(index: number): string {
  const dash = DASHES[index % DASHES.length]
  const dashes = dash === '' ? '' : ` stroke-dasharray="${dash}"`
  return `fill="none" stroke="${COLOURS[index % COLOURS.length]}" stroke-width="2" stroke-linejoin="round"${dashes}`
}

function textAt(x: number, y: number, content: string, anchor: 'start' | 'middle' | 'end', more = ''): string {
  const extra = more === '' ? '' : ` ${more}`
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}"${extra}>${xmlText(content)}</text>`
}

function line(x1: number, y1: number, x2: number, y2: number, colour: string): string {
  return `<path d="M${round(x1)} ${round(y1)} L${round(x2)} ${round(y2)}" stroke="${colour}"/>`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function xmlText(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
