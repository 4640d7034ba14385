// Methods of Node's Buffer that @types/node leaves out. They skip the encoding lookup of toString and write.
interface Buffer {
  base64Slice(start: number, end: number): string
  latin1Slice(start: number, end: number): string
  latin1Write(text: string, offset: number, length: number): number
  utf8Write(text: string, offset: number, length: number): number
  utf8Slice(start: number, end: number): string
}
