/** Three digits are enough for a sentence. */
export function round(value: number): string {
  return String(Number(value.toPrecision(3)));
}

export function percent(share: number): string {
  return `${round(100 * share)} %`;
}
