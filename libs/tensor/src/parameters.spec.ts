import { allocateParameters, copyParameters, layoutParameters, parameterSignature } from './parameters';

const layout = layoutParameters([
  { name: 'matrix', shape: [3, 6] },
  { name: 'scalar', shape: [] },
  { name: 'vector', shape: [16] },
]);

it('places every parameter at a multiple of 16 floats', () => {
  expect(layout.entries.map(({ name, offset, size }) => [name, offset, size])).toEqual([
    ['matrix', 0, 18],
    ['scalar', 32, 1],
    ['vector', 48, 16],
  ]);
  expect(layout.length).toBe(64);
});

it('gives views of one buffer, zero at first', () => {
  const { data, views } = allocateParameters(layout);
  views.vector[0] = 7;
  expect(data[48]).toBe(7);
  expect(views.matrix).toHaveLength(18);
  expect(data.filter((value) => value !== 0)).toHaveLength(1);
});

it('copies into a buffer of its own', () => {
  const source = allocateParameters(layout);
  source.views.scalar[0] = 3;
  const copy = copyParameters(source);
  source.views.scalar[0] = 4;
  expect([copy.views.scalar[0], copy.layout]).toEqual([3, layout]);
});

it('describes itself for compile', () => {
  expect(parameterSignature(layout)).toEqual({
    matrix: { shape: [3, 6], dtype: 'float32' },
    scalar: { shape: [], dtype: 'float32' },
    vector: { shape: [16], dtype: 'float32' },
  });
});

it('refuses two parameters of one name', () => {
  expect(() =>
    layoutParameters([
      { name: 'w', shape: [1] },
      { name: 'w', shape: [2] },
    ]),
  ).toThrow('"w" is listed twice');
});
