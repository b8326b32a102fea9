/** Plain-text tables for terminals. */

export interface Column<Row> {
  readonly title: string;
  readonly align: 'left' | 'right';
  readonly cell: (row: Row) => string;
}

export function renderTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string {
  const cells = [
    columns.map((column) => column.title),
    ...rows.map((row) => columns.map((column) => column.cell(row))),
  ];
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index].length)));
  const draw = (line: readonly string[]): string =>
    line
      .map((text, index) =>
        columns[index].align === 'left' ? text.padEnd(widths[index]) : text.padStart(widths[index]),
      )
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '─'.repeat(width)).join('──');
  return [draw(cells[0]), rule, ...cells.slice(1).map(draw)].map((line) => `  ${line}`).join('\n');
}

export const percent = (share: number | null | undefined): string =>
  typeof share === 'number' ? `${(share * 100).toFixed(1)} %` : '–';
export const fixed =
  (digits: number) =>
  (value: number | null | undefined): string =>
    typeof value === 'number' ? value.toFixed(digits) : '–';
export const whole = (value: number | null | undefined): string =>
  typeof value === 'number' ? Math.round(value).toLocaleString('en-US') : '–';
