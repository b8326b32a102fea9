import { hash32, philox4x32, randomStream } from './index';

const block = (key: number[], counter: number[]): string[] => {
  const out = new Uint32Array(4);
  philox4x32(Uint32Array.from(key), Uint32Array.from(counter), out);
  return [...out].map((word) => word.toString(16).padStart(8, '0'));
};

describe('philox4x32', () => {
  // Known-answer vectors of the Random123 distribution (kat_vectors, philox4x32 10).
  it('gives the published words', () => {
    expect(block([0, 0], [0, 0, 0, 0])).toEqual(['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']);
    const ones = 0xffffffff;
    expect(block([ones, ones], [ones, ones, ones, ones])).toEqual(['408f276d', '41c83b0e', 'a20bc7c6', '6d5451fd']);
    expect(block([0xa4093822, 0x299f31d0], [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344])).toEqual([
      'd16cfe09',
      '94fdcceb',
      '5001e420',
      '24126ea1',
    ]);
  });
});

describe('randomStream', () => {
  it('is a pure function of seed, purpose and position', () => {
    const draw = (seed: number, purpose: string, position: number[]): number[] => {
      const stream = randomStream(seed, purpose, position);
      return Array.from({ length: 9 }, () => stream.uint32());
    };
    expect(draw(1, 'a', [2, 3])).toEqual(draw(1, 'a', [2, 3]));
    for (const other of [draw(2, 'a', [2, 3]), draw(1, 'b', [2, 3]), draw(1, 'a', [3, 3]), draw(1, 'a', [2, 4])]) {
      expect(other).not.toEqual(draw(1, 'a', [2, 3]));
    }
  });

  it('has the moments of its distributions', () => {
    const stream = randomStream(7, 'moments');
    const n = 40_000;
    const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
    const uniforms = Array.from({ length: n }, () => stream.uniform());
    const normals = Array.from({ length: n }, () => stream.normal());
    const gumbels = Array.from({ length: n }, () => stream.gumbel());
    expect(Math.min(...uniforms.slice(0, 1000))).toBeGreaterThanOrEqual(0);
    expect(mean(uniforms)).toBeCloseTo(0.5, 2);
    expect(mean(normals)).toBeCloseTo(0, 1);
    expect(mean(normals.map((x) => x * x))).toBeCloseTo(1, 1);
    expect(Math.abs(mean(gumbels) - 0.5772)).toBeLessThan(0.03);
  });

  it('shuffles without losing items and refuses nonsense', () => {
    const items = Array.from({ length: 50 }, (_, i) => i);
    const shuffled = randomStream(3, 'shuffle').shuffle(items);
    expect(shuffled).not.toEqual(items);
    expect([...shuffled].sort((a, b) => a - b)).toEqual(items);
    expect(() => randomStream(3, 'x').pick([])).toThrow('empty');
    expect(() => randomStream(3, 'x').below(0)).toThrow('positive integer');
  });

  it('hashes purposes apart', () => {
    expect(hash32('rollout')).not.toBe(hash32('rollouu'));
  });
});
