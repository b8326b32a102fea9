import { installMatchers, tolerances } from '@pavlov/testing';
import { r8, r9, rax, rcx, rdi, rdx, type VectorExtension } from './encoding';
import { assembleKernel } from './kernel';
import { describeExtensions, noise, runKernel } from './spec-support';
import { emitProduct, mostRows, sumAt, type Tile, zeroSums } from './tile';

installMatchers();

interface Case {
  readonly rows: number;
  readonly vectors: number;
  readonly depth: number;
  readonly depthIn: Tile['depthIn'];
  /** Columns of the last vector. */
  readonly last: number;
}

function product(extension: VectorExtension, { rows, vectors, depth, depthIn, last }: Case) {
  const lanes = extension === 'avx512' ? 16 : 8;
  const columns = (vectors - 1) * lanes + last;
  const partial = last < lanes;
  return assembleKernel(extension, {
    name: 'Product',
    inputs: ['float32', 'float32'],
    outputs: [{ type: 'float32', shape: [rows, vectors * lanes] }],
    phases: [
      {
        tasks: 1,
        emit: (code) => {
          [r8, r9, rdx].forEach((register, i) => code.mov(register, { base: rdi, displacement: 8 * i }));
          const mask = extension === 'avx512' ? 2 : code.registers - 1;
          if (partial) code.setMask(mask, last, rax);
          if (depthIn === 'register') code.movImmediate(rcx, depth);
          zeroSums(code, { rows, vectors });
          emitProduct(code, {
            rows,
            vectors,
            left: { base: r8, step: 4, rowStride: 4 * depth },
            right: { base: r9, step: 4 * columns },
            depth: depthIn === 'register' ? rcx : depth,
            depthIn,
            counter: rcx,
            ...(partial && { mask }),
          });
          for (let row = 0; row < rows; row++)
            for (let vector = 0; vector < vectors; vector++)
              code.store(
                { base: rdx, displacement: 4 * lanes * (row * vectors + vector) },
                sumAt({ vectors }, row, vector),
              );
        },
      },
    ],
  });
}

describeExtensions('a tile of a product', (extension) => {
  const registers = extension === 'avx512' ? 32 : 16;
  const lanes = extension === 'avx512' ? 16 : 8;

  it('has as many rows as there are registers for', () => {
    for (const vectors of [1, 2, 3]) {
      const rows = mostRows({ registers }, vectors);
      expect(rows * vectors + vectors + 1).toBeLessThanOrEqual(registers);
      expect((rows + 1) * vectors + vectors + 1).toBeGreaterThan(registers);
    }
  });

  const cases = [1, 2, 3].flatMap((vectors) =>
    // A mask of AVX2 takes a register more.
    [1, 2, Math.max(1, mostRows({ registers }, vectors) - 1)].flatMap((rows) =>
      [1, 3, 4, 5, 17].flatMap((depth) =>
        (['code', 'register'] as const).flatMap((depthIn) =>
          [1, lanes - 1, lanes].map((last) => ({ rows, vectors, depth, depthIn, last })),
        ),
      ),
    ),
  ); // prettier-ignore
  it('of any size, with its depth in the code or in a register', () => {
    for (const one of cases) {
      const { rows, vectors, depth, last } = one;
      const columns = (vectors - 1) * lanes + last;
      const [a, b] = [noise(rows * depth), noise(depth * columns, 2)];
      const expected = Array.from({ length: rows * vectors * lanes }, (_, i) => {
        const [row, column] = [Math.floor(i / (vectors * lanes)), i % (vectors * lanes)];
        if (column >= columns) return 0;
        let sum = 0;
        for (let k = 0; k < depth; k++) sum += a[row * depth + k] * b[k * columns + column];
        return sum;
      });
      expect(runKernel(product(extension, one), [a, b])[0]).toBeAllClose(expected, tolerances.kernel);
    }
  });

  it('needs a register to count in where its depth is in the code', () => {
    const tile = { rows: 1, vectors: 1, left: { base: r8, step: 4, rowStride: 4 }, right: { base: r9, step: 4 } };
    const assemble = () =>
      assembleKernel(extension, {
        name: 'Product',
        inputs: [],
        outputs: [],
        phases: [{ tasks: 1, emit: (code) => emitProduct(code, { ...tile, depth: 9, depthIn: 'code' }) }],
      });
    expect(assemble).toThrow('a register to count in');
  });
});
