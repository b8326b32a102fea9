import { packDocuments, type TokenBatch } from './packing';

/** One token per letter: a is 10, b is 11 … */
const tokenizer = {
  encode: (text: string) => [...text].map((letter) => letter.charCodeAt(0) - 87),
  eosId: 0,
  padId: 1,
};
const pack = (documents: string[], columns = 4, seed = 1) => packDocuments(documents, { tokenizer, columns, seed });
const rowsOf = (values: Int32Array | Float32Array, columns: number): number[][] =>
  Array.from({ length: values.length / columns }, (_, row) => [...values.subarray(row * columns, (row + 1) * columns)]);

describe('packDocuments', () => {
  it('lays out one stream with EOS after each document; targets are one ahead', () => {
    const packed = pack(['abc', 'de', 'f']);
    expect([packed.rows, packed.tokens]).toEqual([2, 9]);
    const [{ tokens, targets, mask }] = packed.everyBatch(2);
    expect(rowsOf(tokens, 4)).toEqual([
      [10, 11, 12, 0],
      [13, 14, 0, 15],
    ]);
    expect(rowsOf(targets, 4)).toEqual([
      [11, 12, 0, 13],
      [14, 0, 15, 0],
    ]);
    expect(mask.every((value) => value === 1)).toBe(true);
  });

  it('learns every token of the stream but the first exactly once in a pass', () => {
    const packed = pack(['abcdefg', 'hij', 'klmnop']);
    const learned = [...packed.everyBatch(2)].flatMap(({ targets, mask }) =>
      [...targets].filter((_, i) => mask[i] === 1),
    );
    expect(learned).toEqual(
      [...'bcdefg'].map((l) => l.charCodeAt(0) - 87).concat(0, 17, 18, 19, 0, 20, 21, 22, 23, 24, 25, 0),
    );
  });

  it('pads and masks the last row', () => {
    const [{ tokens, targets, mask }] = pack(['abcde']).everyBatch(2);
    expect(rowsOf(tokens, 4)[1]).toEqual([14, 1, 1, 1]);
    expect(rowsOf(targets, 4)[1]).toEqual([0, 1, 1, 1]);
    expect(rowsOf(mask, 4)[1]).toEqual([1, 0, 0, 0]);
  });

  it('gives each step its batch, whatever came before, and every row once a pass', () => {
    const packed = pack(['abcdefghijklmnopqrstuvwxy']);
    const firsts = (batch: TokenBatch): number[] => rowsOf(batch.tokens, 4).map((row) => row[0]);
    const steps = Array.from({ length: 7 }, (_, step) => firsts(packed.batchAt(step, 3)));
    expect([...steps.flat().slice(0, 7)].sort((a, b) => a - b)).toEqual([10, 14, 18, 22, 26, 30, 34]);
    expect(firsts(pack(['abcdefghijklmnopqrstuvwxy']).batchAt(4, 3))).toEqual(steps[4]);
    expect(steps).not.toEqual(
      Array.from({ length: 7 }, (_, step) => firsts(pack(['abcdefghijklmnopqrstuvwxy'], 4, 2).batchAt(step, 3))),
    );
  });

  it('makes no rows of no documents', () => {
    const packed = pack([]);
    expect([packed.rows, packed.tokens, [...packed.everyBatch(2)]]).toEqual([0, 0, []]);
    expect(() => packed.batchAt(0, 1)).toThrow('there are no examples');
  });
});
