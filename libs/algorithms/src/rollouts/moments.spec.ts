import { GARBAGE, withGarbage } from '../spec-support';
import { columnsOf, rowSums } from './grid';
import { maskedMoments } from './moments';

describe('maskedMoments', () => {
  it('gives the hand-worked mean and biased variance', () => {
    // mean (1 + 2 + 6) / 3 = 3; variance (4 + 1 + 9) / 3 = 14/3
    const moments = maskedMoments({ values: [1, 2, 99, 6], mask: [1, 1, 0, 1] });
    expect(moments).toEqual({ count: 3, mean: 3, variance: 14 / 3 });
  });

  it('does not cancel on a large mean', () => {
    expect(maskedMoments({ values: [1e8, 1e8 + 1], mask: [1, 1] }).variance).toBe(0.25);
  });

  it.each(GARBAGE)('does not read a masked %p', (garbage) => {
    const mask = [0, 1, 1, 0];
    expect(maskedMoments({ values: withGarbage([0, 2, 4, 0], mask, garbage), mask })).toEqual({
      count: 2,
      mean: 3,
      variance: 1,
    });
  });

  it('refuses an empty mask and lists of different lengths', () => {
    expect(() => maskedMoments({ values: [1, 2], mask: [0, 0] })).toThrow('leaves no value');
    expect(() => maskedMoments({ values: [1, 2], mask: [1] })).toThrow('values (2), mask (1)');
  });
});

describe('grid', () => {
  it('sums the real tokens of each row', () => {
    expect([...rowSums({ values: [1, 2, 3, NaN, 5, 6], mask: [1, 0, 1, 0, 1, 1], rows: 2 })]).toEqual([4, 11]);
  });

  it('refuses rows that do not divide it', () => {
    expect(() => columnsOf(7, 2)).toThrow('does not divide into 2 rows');
    expect(() => columnsOf(4, 0)).toThrow(RangeError);
  });
});
