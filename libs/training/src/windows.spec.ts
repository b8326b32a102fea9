import { putStates, statesOf, takeStates, windowOf } from './windows';

const columns = 6;
const mask = Float32Array.of(...[0, 1, 1, 0, 0, 0], ...[0, 0, 0, 0, 1, 1], ...[1, 0, 1, 0, 0, 0]);
const slice = { rows: [2, 0, 1], size: 4, columns: 6 };
const window = { width: 3, starts: [0, 1, 3] };

it('a window begins where the mask does, and no later than it fits', () => {
  expect(windowOf(mask, slice, { columns, most: 3 })).toEqual(window);
  expect(windowOf(mask, { ...slice, columns: 2, rows: [2] }, { columns, most: 3 })).toEqual({ width: 2, starts: [0] });
  expect(windowOf(new Float32Array(6), { rows: [0], size: 1, columns }, { columns, most: 2 }).starts).toEqual([0]);
});

it('refuses a row that has states beside it', () => {
  expect(() => windowOf(mask, slice, { columns, most: 2 })).toThrow('Row 2 has states up to column 2, not 2 from 0 on');
});

it('its states are places in the slice, those of missing rows their first', () => {
  expect([...statesOf(slice, window)]).toEqual([0, 1, 2, 7, 8, 9, 15, 16, 17, 18, 19, 20]);
});

it('takeStates and putStates are each other’s inverse on the states', () => {
  const grid = Float32Array.from({ length: 18 }, (_, index) => index); // [3, 6]
  const values = takeStates(grid, slice, { ...window, columns, fill: -1 });
  expect([...values]).toEqual([12, 13, 14, 1, 2, 3, 9, 10, 11, -1, -1, -1]);
  expect(takeStates(Int32Array.from(grid), slice, { ...window, columns, fill: 7 })).toBeInstanceOf(Int32Array);
  const target = new Float32Array(18);
  putStates(target, slice, { ...window, columns, values });
  expect([...target]).toEqual([0, 1, 2, 3, 0, 0, 0, 0, 0, 9, 10, 11, 12, 13, 14, 0, 0, 0]);
});
