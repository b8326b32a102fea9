import { fixed, percent, renderTable, whole } from './table';

describe('renderTable', () => {
  it('aligns its columns', () => {
    const table = renderTable(
      [
        { name: 'sft', share: 0.5 },
        { name: 'pretraining', share: 0.125 },
      ],
      [
        { title: 'stage', align: 'left', cell: (row) => row.name },
        { title: 'share', align: 'right', cell: (row) => percent(row.share) },
      ],
    );
    expect(table.split('\n')).toEqual([
      '  stage         share',
      '  ───────────────────',
      '  sft          50.0 %',
      '  pretraining  12.5 %',
    ]);
  });

  it('shows a dash for what was not measured', () => {
    expect([percent(null), percent(undefined), fixed(2)(null), whole(undefined)]).toEqual(['–', '–', '–', '–']);
    expect([percent(0), fixed(2)(0), whole(12_345.6)]).toEqual(['0.0 %', '0.00', '12,346']);
  });
});
