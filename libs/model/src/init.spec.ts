import { randomStream } from '@pavlov/random';
import { installMatchers, tolerances } from '@pavlov/testing';
import type { Head } from './config';
import { initParameters, initRewardParameters } from './init';
import { transformerLayout } from './layout';
import { smallConfig } from './spec-support';

installMatchers();

const mean = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
const deviation = (values: ArrayLike<number>): number =>
  Math.sqrt(mean(Array.from(values, (value) => value ** 2)) - mean(values) ** 2);

describe('transformerLayout', () => {
  it('has Hugging Face’s names and shapes', () => {
    const { entries } = transformerLayout({ ...smallConfig, layers: 1 }, 'scalar');
    expect(entries.map(({ name, shape }) => `${name} ${shape.join('×')}`)).toEqual([
      'transformer.wte.weight 40×16',
      'transformer.wpe.weight 16×16',
      'transformer.h.0.ln_1.weight 16',
      'transformer.h.0.ln_1.bias 16',
      'transformer.h.0.attn.c_attn.weight 16×48',
      'transformer.h.0.attn.c_attn.bias 48',
      'transformer.h.0.attn.c_proj.weight 16×16',
      'transformer.h.0.attn.c_proj.bias 16',
      'transformer.h.0.ln_2.weight 16',
      'transformer.h.0.ln_2.bias 16',
      'transformer.h.0.mlp.c_fc.weight 16×64',
      'transformer.h.0.mlp.c_fc.bias 64',
      'transformer.h.0.mlp.c_proj.weight 64×16',
      'transformer.h.0.mlp.c_proj.bias 16',
      'transformer.ln_f.weight 16',
      'transformer.ln_f.bias 16',
      'score.weight 1×16',
    ]);
    expect(transformerLayout(smallConfig, 'lm').entries.some(({ name }) => name === 'score.weight')).toBe(false);
  });

  it('counts GPT-2’s 124 million parameters', () => {
    const gpt2 = { vocabSize: 50257, contextLength: 1024, layers: 12, heads: 12, width: 768, padId: 0 };
    expect(transformerLayout(gpt2, 'lm').entries.reduce((sum, { size }) => sum + size, 0)).toBe(124_439_808);
  });

  it.each([
    ['heads', { heads: 3 }],
    ['heads', { heads: 4 }],
    ['layers', { layers: 0 }],
    ['vocabSize', { vocabSize: 1.5 }],
    ['padId', { padId: 40 }],
  ])('refuses a misfit of %s', (field, change) => {
    expect(() => transformerLayout({ ...smallConfig, ...change }, 'lm')).toThrow(
      expect.objectContaining({ code: 'CONFIG_CONFLICT', body: expect.objectContaining({ field }) }),
    );
  });
});

describe('initParameters', () => {
  const config = { ...smallConfig, vocabSize: 500, layers: 8 };
  const { views } = initParameters(config, 'scalar', 5);
  const everyLayer = (name: string): number[] =>
    Array.from({ length: 8 }, (_, layer) => [...views[`transformer.h.${layer}.${name}`]]).flat();

  it('has the deviations of GPT-2, with smaller projections into the residual stream', () => {
    expect(deviation(views['transformer.wte.weight'])).toBeCloseTo(0.02, 3);
    expect(deviation(everyLayer('attn.c_attn.weight'))).toBeCloseTo(0.02, 3);
    expect(deviation(everyLayer('mlp.c_fc.weight'))).toBeCloseTo(0.02, 3);
    // 0.02 / √(2 · 8)
    expect(deviation(everyLayer('attn.c_proj.weight'))).toBeCloseTo(0.005, 3);
    expect(deviation(everyLayer('mlp.c_proj.weight'))).toBeCloseTo(0.005, 3);
    expect(Math.abs(mean(views['transformer.wte.weight']))).toBeLessThan(0.001);
    expect(new Set(everyLayer('ln_1.weight'))).toEqual(new Set([1]));
    expect(new Set(views['transformer.ln_f.bias'])).toEqual(new Set([0]));
    expect(new Set(everyLayer('mlp.c_fc.bias'))).toEqual(new Set([0]));
  });

  it('draws the scalar head from N(0, 1/(C + 1))', () => {
    const { normal } = randomStream(5, 'init/score.weight');
    const expected = Float32Array.from({ length: 16 }, () => normal() / Math.sqrt(17));
    expect(views['score.weight']).toBeAllClose(expected, tolerances.kernel);
  });

  it('is a function of the seed, with the same trunk under both heads', () => {
    const bytes = (head: Head, seed: number): Buffer => {
      const { data } = initParameters(smallConfig, head, seed);
      return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    };
    expect(bytes('scalar', 5).equals(bytes('scalar', 5))).toBe(true);
    expect(bytes('scalar', 6).equals(bytes('scalar', 5))).toBe(false);
    const trunk = bytes('lm', 5);
    expect(bytes('scalar', 5).subarray(0, trunk.length).equals(trunk)).toBe(true);
  });
});

describe('initRewardParameters', () => {
  const policy = initParameters(smallConfig, 'lm', 3);
  const ofMember = (member: number) => initRewardParameters(policy, { config: smallConfig, seed: 5, member });

  it('puts a fresh head on the policy’s trunk', () => {
    const { views } = ofMember(0);
    for (const [name, view] of Object.entries(policy.views)) expect(views[name]).toEqual(view);
    expect(views['score.weight']).toEqual(initParameters(smallConfig, 'scalar', 5).views['score.weight']);
  });

  it('gives each member a head of its own', () => {
    const heads = [0, 1, 2].map((member) => ofMember(member).views['score.weight'].join());
    expect(new Set(heads).size).toBe(3);
  });
});
