/**
 * Schotter, after Georg Nees: rows of squares that lose their order from top to bottom, drawn in Braille. Cold.
 *
 * A character holds 2 × 4 dots.
 */

/** Where the dots of a character stand in its code, row by row. Source: Unicode, Braille Patterns. */
const DOT_BITS = [0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80] as const
const BRAILLE_BASE = 0x2800
const PADDING_DOTS = 2
/** Rows at the top whose squares are in order. */
const ORDERED_ROWS = 2

/** What is drawn: `columns` characters wide, with so many squares. */
export interface SchotterSize {
  readonly columns: number
  readonly squaresPerRow: number
  readonly squaresPerColumn: number
}

/** Draws it as text. @param random in [0, 1) */
export function drawSchotter(size: SchotterSize, random: () => number): string {
  const width = size.columns * 2
  const padding = width > 2 * PADDING_DOTS ? PADDING_DOTS : 0
  const side = (width - padding * 2) / size.squaresPerRow
  const canvas = new Canvas(width, Math.ceil(side * size.squaresPerColumn) + padding * 2)
  for (let row = 0; row < size.squaresPerColumn; row++) {
    // How far a square may be turned and moved, either way.
    const disorder = row < ORDERED_ROWS ? 0 : row / size.squaresPerColumn
    const noise = (): number => (random() * 2 - 1) * disorder
    for (let column = 0; column < size.squaresPerRow; column++) {
      const x = padding + side * (column + 0.5 + noise() / 3)
      const y = padding + side * (row + 0.5 + noise() / 3)
      canvas.square(x, y, side, noise())
    }
  }
  return canvas.text()
}

class Canvas {
  private readonly width: number
  private readonly height: number
  private readonly dots: Uint8Array

  constructor(width: number, height: number) {
    this.width = width
    this.height = height
    this.dots = new Uint8Array(width * height)
  }

  /** A square around a point, turned by `angle`. */
  square(x: number, y: number, side: number, angle: number): void {
    const radius = Math.round(side / Math.SQRT2)
    const cornerAt = (i: number): [number, number] => {
      const direction = angle + (Math.PI / 4) * (2 * i + 1)
      return [Math.round(x + Math.sin(direction) * radius), Math.round(y + Math.cos(direction) * radius)]
    }
    for (let i = 0; i < 4; i++) this.line(cornerAt(i), cornerAt(i + 1))
  }

  text(): string {
    let text = ''
    for (let y = 0; y < this.height; y += 4) {
      for (let x = 0; x < this.width; x += 2) {
        let code = BRAILLE_BASE
        for (const [i, bit] of DOT_BITS.entries()) if (this.isSet(x + (i & 1), y + (i >> 1))) code |= bit
        text += String.fromCodePoint(code)
      }
      text += '\n'
    }
    return text
  }

  private line([fromX, fromY]: [number, number], [toX, toY]: [number, number]): void {
    const steps = Math.max(Math.abs(toX - fromX), Math.abs(toY - fromY), 1)
    for (let i = 0; i <= steps; i++) {
      const x = Math.round(fromX + ((toX - fromX) * i) / steps)
      const y = Math.round(fromY + ((toY - fromY) * i) / steps)
      if (x >= 0 && x < this.width && y >= 0 && y < this.height) this.dots[y * this.width + x] = 1
    }
  }

  private isSet(x: number, y: number): boolean {
    return x < this.width && y < this.height && this.dots[y * this.width + x] === 1
  }
}
