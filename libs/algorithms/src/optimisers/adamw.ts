/**
 * AdamW over one flat buffer, updated in place.
 *
 * Method, at update t = 1, 2, … with gradient g and learning rate η:
 *   m ← β₁·m + (1 − β₁)·g          v ← β₂·v + (1 − β₂)·g²
 *   m̂ = m / (1 − β₁ᵗ)              v̂ = v / (1 − β₂ᵗ)
 *   w ← w − η·decay·w − η · m̂ / (√v̂ + ε)
 * Reference: Kingma & Ba 2015 (arXiv 1412.6980); Loshchilov & Hutter 2019 (arXiv 1711.05101) for decoupled decay.
 * Decay falls on parameters of two dimensions or more, hence on embeddings too, and spares biases and layer norms: the
 * usual way of training a GPT-2 (nanoGPT's `configure_optimizers`), where the embedding doubles as the output matrix.
 * The arithmetic is in single precision, as PyTorch's is.
 * Leaves out: AMSGrad, sparse updates, decay that follows no learning rate.
 */
import { type ParameterLayout } from '@pavlov/tensor';
import { sweepsOf } from './sweep';

/** All that a resumed run needs besides the weights. The buffers are updated in place. */
export interface AdamState {
  /** Updates made so far. */
  readonly step: number;
  readonly firstMoment: Float32Array;
  readonly secondMoment: Float32Array;
}

/**
 * Where ε stands (docs/stages/ppo.md, detail 17). `pytorch`: beside √v̂, as in the paper's algorithm. `tensorflow`:
 * beside the uncorrected √v (the paper's ε̂), which is ε / √(1 − β₂ᵗ) in the other form: larger at first, so early
 * updates are smaller. The original RLHF code used TensorFlow's.
 */
export type EpsilonPlacement = 'pytorch' | 'tensorflow';

export interface AdamOptions {
  readonly layout: ParameterLayout;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly epsilonPlacement?: EpsilonPlacement;
  /** Share of a matrix that an update with learning rate 1 would take away. */
  readonly weightDecay: number;
}

export interface AdamUpdate {
  /** Flat, as the layout says; changed in place. */
  readonly parameters: Float32Array;
  readonly gradients: Float32Array;
  /** Its buffers are changed in place. */
  readonly state: AdamState;
  readonly learningRate: number;
  /** Multiplies every gradient first: `clipFactor`, or 1 / microbatches. */
  readonly gradientScale?: number;
}

/** A pair of functions: the state to start from, and one update. */
export interface Adam {
  init(): AdamState;
  update(input: AdamUpdate): AdamState;
}

const epsilonBesideCorrectedRoot = {
  pytorch: (epsilon) => epsilon,
  tensorflow: (epsilon, rootCorrection) => epsilon / rootCorrection,
} as const satisfies Record<EpsilonPlacement, (epsilon: number, rootCorrection: number) => number>;

export function adamw(options: AdamOptions): Adam {
  const { layout, beta1, beta2, epsilonPlacement = 'pytorch' } = options;
  const runs = decayRuns(layout);
  return {
    init: () => ({
      step: 0,
      firstMoment: new Float32Array(layout.length),
      secondMoment: new Float32Array(layout.length),
    }),
    update: ({ parameters, gradients, state, learningRate, gradientScale = 1 }) => {
      assertLengths(layout.length, { parameters, gradients, ...state });
      const step = state.step + 1;
      const rootCorrection = Math.sqrt(1 - beta2 ** step);
      const constants = {
        beta1,
        beta2,
        gradientScale,
        rate: learningRate / (1 - beta1 ** step),
        inverseRoot: 1 / rootCorrection,
        epsilon: epsilonBesideCorrectedRoot[epsilonPlacement](options.epsilon, rootCorrection),
      };
      const arrays = [parameters, gradients, state.firstMoment, state.secondMoment];
      const sweeps = sweepsOf(...arrays);
      for (const { start, end, decays } of runs) {
        const keep = decays ? 1 - learningRate * options.weightDecay : 1;
        const [w, g, m, v] = arrays.map((array) => array.subarray(start, end));
        sweeps.adamw({ parameters: w, gradients: g, firstMoment: m, secondMoment: v }, { ...constants, keep });
      }
      return { ...state, step };
    },
  };
}

interface Run {
  readonly start: number;
  readonly end: number;
  readonly decays: boolean;
}

/** The layout as maximal runs of parameters that decay and that do not. Gaps between parameters belong to the one before. */
export function decayRuns(layout: ParameterLayout): Run[] {
  const runs: Run[] = [];
  layout.entries.forEach(({ shape, offset }, i) => {
    const decays = shape.length >= 2;
    const end = layout.entries[i + 1]?.offset ?? layout.length;
    const last = runs.at(-1);
    if (last?.decays === decays) runs[runs.length - 1] = { ...last, end };
    else runs.push({ start: offset, end, decays });
  });
  return runs;
}

function assertLengths(length: number, lists: Readonly<Record<string, Float32Array | number>>): void {
  for (const [name, list] of Object.entries(lists)) {
    if (typeof list !== 'number' && list.length !== length) {
      throw new RangeError(`adamw: ${name} has ${list.length} numbers, the layout ${length}`);
    }
  }
}
