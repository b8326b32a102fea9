import { type ParameterLayout } from '@pavlov/tensor';
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expectAllClose, TOLERANCE } from '../spec-support';
import { adamw, type AdamState, decayRuns, type EpsilonPlacement } from './adamw';

/** A layout whose parameters stand 16 floats apart, as real ones do. */
function layoutOf(shapes: Record<string, number[]>): ParameterLayout {
  const entries = Object.entries(shapes).map(([name, shape], i) => ({
    name,
    shape,
    offset: 16 * i,
    size: shape.reduce((a, b) => a * b, 1),
  }));
  return { entries, length: 16 * entries.length };
}

const layout = layoutOf({ matrix: [1, 1], bias: [1] });
const options = { layout, beta1: 0.9, beta2: 0.95, epsilon: 0.1, weightDecay: 0 };

/** Both parameters start at `start` and see the same gradients; returns their values after each update. */
function walk(input: {
  start: number;
  gradients: number[];
  options: Parameters<typeof adamw>[0];
  rate?: number;
}): number[][] {
  const optimiser = adamw(input.options);
  let state = optimiser.init();
  const parameters = new Float32Array(layout.length);
  parameters[0] = parameters[16] = input.start;
  return input.gradients.map((gradient) => {
    const buffer = new Float32Array(layout.length);
    buffer[0] = buffer[16] = gradient;
    state = optimiser.update({ parameters, gradients: buffer, state, learningRate: input.rate ?? 0.1 });
    return [parameters[0], parameters[16]];
  });
}

describe('adamw', () => {
  it('gives the hand-worked values of two steps with ε beside the corrected root (PyTorch)', () => {
    // w = 1, g = 0.5 then −1; η = 0.1, β = (0.9, 0.95), ε = 0.1
    // 1: m = 0.05    v = 0.0125    m̂ = 0.5         v̂ = 0.25,     √ = 0.5       w = 1 − 0.05 / 0.6 = 0.916667
    // 2: m = −0.055  v = 0.061875  m̂ = −0.289474   v̂ = 0.634615, √ = 0.796628  w + 0.0289474 / 0.896628 = 0.948951
    const [first, second] = walk({ start: 1, gradients: [0.5, -1], options });
    expectAllClose(first, [0.91666667, 0.91666667], TOLERANCE.storedFloat);
    expectAllClose(second, [0.94895141, 0.94895141], 2 * TOLERANCE.storedFloat);
  });

  it('gives the hand-worked value with ε beside the uncorrected root (TensorFlow)', () => {
    // η₁ = 0.1 · √0.05 / 0.1 = 0.223607; √v = √0.0125 = 0.111803
    // w = 1 − 0.223607 · 0.05 / (0.111803 + 0.1) = 1 − 0.0527864 = 0.947214
    const [first] = walk({ start: 1, gradients: [0.5], options: { ...options, epsilonPlacement: 'tensorflow' } });
    expectAllClose(first, [0.9472136, 0.9472136], TOLERANCE.storedFloat);
  });

  it('decays matrices by η · decay and spares vectors', () => {
    // No gradient: 2 · (1 − 0.1 · 0.5) = 1.9, then 1.805
    const steps = walk({ start: 2, gradients: [0, 0], options: { ...options, weightDecay: 0.5 } });
    expectAllClose(steps[0], [1.9, 2], TOLERANCE.storedFloat);
    expectAllClose(steps[1], [1.805, 2], TOLERANCE.storedFloat);
  });

  it('keeps the decay out of the moments', () => {
    const optimiser = adamw({ ...options, weightDecay: 0.5 });
    const parameters = new Float32Array(layout.length).fill(3);
    const state = optimiser.update({
      parameters,
      gradients: new Float32Array(layout.length),
      state: optimiser.init(),
      learningRate: 1,
    });
    expect(state.step).toBe(1);
    expect([...state.firstMoment, ...state.secondMoment].every((moment) => moment === 0)).toBe(true);
  });

  it.each<EpsilonPlacement>(['pytorch', 'tensorflow'])(
    'follows the published algorithm over many steps (%s)',
    (epsilonPlacement) => {
      const gradient = fc.integer({ min: -128, max: 128 }).map((n) => n / 64);
      fc.assert(
        fc.property(fc.array(gradient, { minLength: 1, maxLength: 30 }), (gradients) => {
          const settings = { ...options, epsilon: 0.01, weightDecay: 0.1, epsilonPlacement };
          const actual = walk({ start: 1, gradients, options: settings, rate: 0.01 });
          const published = { pytorch: pytorchAdamw, tensorflow: tensorflowAdamw }[epsilonPlacement];
          expectAllClose(
            actual.map(([matrix]) => matrix),
            published(1, gradients),
            1e-6,
          );
        }),
      );
    },
  );

  it('scales the gradients first', () => {
    const run = (gradientScale: number, value: number): number[] => {
      const optimiser = adamw(options);
      const parameters = new Float32Array(layout.length);
      const gradients = new Float32Array(layout.length).fill(value);
      const state = optimiser.update({
        parameters,
        gradients,
        state: optimiser.init(),
        learningRate: 0.1,
        gradientScale,
      });
      return [...parameters, ...state.firstMoment, ...state.secondMoment];
    };
    expect(run(0.25, 2)).toEqual(run(1, 0.5));
  });

  it('resumes from a saved state to the same bytes', () => {
    const size = 64;
    const wide = layoutOf({ a: [4, 4], b: [16], c: [2, 8], d: [16] });
    const optimiser = adamw({ layout: wide, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 });
    const gradientsAt = (step: number): Float32Array =>
      Float32Array.from({ length: size }, (_, i) => Math.sin(7 * step + i));
    const train = (parameters: Float32Array, from: AdamState, steps: number): AdamState => {
      let state = from;
      for (let i = 0; i < steps; i++)
        state = optimiser.update({ parameters, gradients: gradientsAt(state.step), state, learningRate: 1e-2 });
      return state;
    };
    const hash = (parameters: Float32Array): string =>
      createHash('sha256').update(new Uint8Array(parameters.buffer)).digest('hex');

    const whole = Float32Array.from({ length: size }, (_, i) => Math.cos(i));
    const split = whole.slice();
    train(whole, optimiser.init(), 20);
    const saved = structuredClone({ parameters: split, state: train(split, optimiser.init(), 9) });
    train(saved.parameters, saved.state, 11);
    expect(hash(saved.parameters)).toBe(hash(whole));
  });

  it('refuses buffers of another length', () => {
    const optimiser = adamw(options);
    const good = new Float32Array(layout.length);
    const bad = { parameters: good, gradients: new Float32Array(3), state: optimiser.init(), learningRate: 1 };
    expect(() => optimiser.update(bad)).toThrow('gradients has 3 numbers, the layout 32');
  });
});

describe('decayRuns', () => {
  it('covers the whole buffer in maximal runs, matrices and embeddings decaying', () => {
    const shapes = {
      wte: [2, 2],
      wpe: [2, 2],
      'ln.weight': [2],
      'ln.bias': [2],
      'attn.weight': [2, 6],
      'attn.bias': [6],
      score: [1, 2],
    };
    expect(decayRuns(layoutOf(shapes))).toEqual([
      { start: 0, end: 32, decays: true },
      { start: 32, end: 64, decays: false },
      { start: 64, end: 80, decays: true },
      { start: 80, end: 96, decays: false },
      { start: 96, end: 112, decays: true },
    ]);
  });
});

/** torch.optim.AdamW's documented algorithm, in doubles; η = 0.01, ε = 0.01, decay 0.1. */
function pytorchAdamw(start: number, gradients: readonly number[]): number[] {
  let [w, m, v] = [start, 0, 0];
  return gradients.map((g, i) => {
    w -= 0.01 * 0.1 * w;
    m = 0.9 * m + 0.1 * g;
    v = 0.95 * v + 0.05 * g ** 2;
    const mHat = m / (1 - 0.9 ** (i + 1));
    const vHat = v / (1 - 0.95 ** (i + 1));
    w -= (0.01 * mHat) / (Math.sqrt(vHat) + 0.01);
    return w;
  });
}

/** tf.train.AdamOptimizer's documented algorithm, in doubles, with the same decay. */
function tensorflowAdamw(start: number, gradients: readonly number[]): number[] {
  let [w, m, v] = [start, 0, 0];
  return gradients.map((g, i) => {
    w -= 0.01 * 0.1 * w;
    m = 0.9 * m + 0.1 * g;
    v = 0.95 * v + 0.05 * g ** 2;
    const rate = (0.01 * Math.sqrt(1 - 0.95 ** (i + 1))) / (1 - 0.9 ** (i + 1));
    w -= (rate * m) / (Math.sqrt(v) + 0.01);
    return w;
  });
}
