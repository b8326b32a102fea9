import fc from 'fast-check';
import { learnedPlaces, lengthsOf, paddingOf, sliceByLength, takeSlice } from './slices';

describe('sliceByLength', () => {
  it('puts rows of similar length together, the longest first', () => {
    const lengths = [5, 30, 7, 0, 40, 5];
    const slices = sliceByLength(lengths, { size: 2, columns: 40 });
    expect(slices).toEqual([
      { rows: [4, 1], size: 2, columns: 40 },
      { rows: [2, 0], size: 2, columns: 8 },
      { rows: [5], size: 2, columns: 8 },
    ]);
    expect(paddingOf(slices, lengths)).toBeCloseTo(1 - (40 + 30 + 7 + 5 + 5) / (2 * (40 + 8 + 8)), 10);
  });

  it('leaves the order alone where one slice holds all', () => {
    expect(sliceByLength([5, 30, 7], { size: 3, columns: 40 })).toEqual([{ rows: [0, 1, 2], size: 3, columns: 32 }]);
  });

  it('has one slice of padding where there is nothing', () => {
    expect(sliceByLength([0, 0], { size: 2, columns: 40 })).toEqual([{ rows: [], size: 2, columns: 8 }]);
  });

  it('has room for every row once, in few widths of little padding', () => {
    const lengths = fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(lengths, fc.integer({ min: 1, max: 9 }), (given, size) => {
        const slices = sliceByLength(given, { size, columns: 1000 });
        const rows = slices.flatMap((slice) => slice.rows);
        expect([...rows].sort((a, b) => a - b)).toEqual(given.flatMap((length, row) => (length > 0 ? [row] : [])));
        for (const { rows, columns } of slices) {
          const longest = Math.max(1, ...rows.map((row) => given[row]));
          expect(columns).toBeGreaterThanOrEqual(longest);
          expect(columns).toBeLessThan(Math.max(longest * 1.125, longest + 8));
        }
      }),
    );
    const widths = Array.from({ length: 1000 }, (_, index) => sliceByLength([index + 1], { size: 1, columns: 1000 }));
    expect(new Set(widths.map(([{ columns }]) => columns)).size).toBe(40);
  });
});

it('lengthsOf counts to the last 1 of a row', () => {
  expect(lengthsOf(Float32Array.of(0, 1, 0, 0, 0, 0, 1, 0, 1), 3)).toEqual([2, 0, 3]);
});

it('takeSlice takes the rows and columns of the slice', () => {
  const grid = Float32Array.from({ length: 12 }, (_, index) => index); // [3, 4]
  const slice = { rows: [2, 0], size: 3, columns: 2 };
  const values = takeSlice(grid, slice, { columns: 4, fill: -1 });
  expect([...values]).toEqual([8, 9, 0, 1, -1, -1]);
});

describe('learnedPlaces', () => {
  it('names every learned token, and as many others as make one of few numbers', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 700 }), (learned) => {
        const mask = Float32Array.from(learned, Number);
        const count = learned.filter(Boolean).length;
        const places = [...learnedPlaces(mask)];
        expect(new Set(places).size).toBe(places.length);
        expect(places.every((place) => place in learned)).toBe(true);
        expect(places.slice(0, count).every((place) => learned[place])).toBe(true);
        expect(places.slice(count).some((place) => learned[place])).toBe(false);
        expect(places.length).toBeLessThanOrEqual(Math.max(Math.min(32, mask.length), count + Math.max(8, count / 8)));
      }),
    );
  });

  it('comes in few lengths', () => {
    const lengths = Array.from(
      { length: 1024 },
      (_, count) => learnedPlaces(Float32Array.from({ length: 1024 }, (_, place) => (place < count ? 1 : 0))).length,
    );
    expect(new Set(lengths).size).toBe(5 + 4 * 8); // 32, 40 … 64, then eight in each doubling
  });
});
