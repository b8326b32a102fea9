import { r10, r8, r9, rax, rcx, rdi } from './encoding';
import { assembleKernel } from './kernel';
import { describeExtensions, noise, runKernel } from './spec-support';
import { emitTranspose } from './transpose';
import { emitTransposedCopy } from './transposed-copy';

describeExtensions('transposing', (extension) => {
  const lanes = extension === 'avx512' ? 16 : 8;

  it('makes columns of rows, all in registers', () => {
    const kernel = assembleKernel(extension, {
      name: 'Transpose',
      inputs: ['float32'],
      outputs: [{ type: 'float32', shape: [lanes, lanes] }],
      phases: [
        {
          tasks: 1,
          emit: (code) => {
            code.mov(rax, { base: rdi });
            code.mov(rcx, { base: rdi, displacement: 8 });
            for (let row = 0; row < lanes; row++) code.load(row, { base: rax, displacement: 4 * lanes * row });
            emitTranspose(code).forEach((register, column) =>
              code.store({ base: rcx, displacement: 4 * lanes * column }, register),
            );
          },
        },
      ],
    });
    const x = noise(lanes * lanes);
    const expected = x.map((_, i) => x[(i % lanes) * lanes + Math.floor(i / lanes)]);
    expect(runKernel(kernel, [x])[0]).toEqual(expected);
  });

  const sizes = [1, lanes - 1, lanes, lanes + 1, 2 * lanes].flatMap((rows) =>
    [1, 5, lanes, lanes + 3, 3 * lanes].map((columns) => ({ rows, columns })),
  );
  it.each(sizes)('copies [$rows, $columns], scaled, with zeros for rows that are missing', ({ rows, columns }) => {
    const between = 3; // floats that stand between the rows
    const kernel = assembleKernel(extension, {
      name: 'TransposedCopy',
      inputs: ['float32'],
      outputs: [{ type: 'float32', shape: [columns, 2 * lanes] }],
      phases: [
        {
          tasks: 1,
          emit: (code) => {
            code.mov(r8, { base: rdi });
            code.mov(r9, { base: rdi, displacement: 8 });
            const registers = { source: r8, target: r9, counter: r10, scratch: rax };
            emitTransposedCopy(code, { ...registers, rows, columns, rowStride: 4 * (columns + between), factor: 0.5 });
          },
        },
      ],
    });
    const x = noise(rows * (columns + between) - between);
    const expected = Array.from({ length: columns * 2 * lanes }, (_, i) => {
      const [column, row] = [Math.floor(i / (2 * lanes)), i % (2 * lanes)];
      return row < rows ? 0.5 * x[row * (columns + between) + column] : 0;
    });
    expect([...runKernel(kernel, [x])[0]]).toEqual(expected);
  });
});
