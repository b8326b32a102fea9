/**
 * Residual dropout (Srivastava et al. 2014; Radford et al. 2018, §4.1): while training, each number that enters the residual
 * stream is zeroed with probability p and otherwise multiplied by 1 / (1 − p), so that its mean is kept and nothing need be
 * rescaled afterwards. InstructGPT fine-tunes with p = 0.2 (appendix C.1).
 *
 * Leaves out: dropout of attention's weights, and any dropout where nothing is trained: see `hiddenStates`.
 */
import { randomStream } from '@pavlov/random';
import { type TensorSpec } from '@pavlov/tensor';
import { type TransformerConfig } from './config';

export interface ResidualDropout {
  /** Of the masks as an input of a compiled function: [2L + 1, B·T, C], one mask for each place that drops. */
  readonly spec: TensorSpec;
  /** The masks of a step, 0 or 1 / (1 − p): a pure function of (seed, purpose, step). Valid until the next call. */
  masksAt(step: number): Float32Array;
}

export interface ResidualDropoutOptions {
  readonly config: Pick<TransformerConfig, 'layers' | 'width'>;
  /** B */
  readonly rows: number;
  /** T */
  readonly columns: number;
  /** p, above 0 and below 1. */
  readonly rate: number;
  readonly seed: number;
  readonly purpose: string;
}

/** @throws RangeError for a rate that is not above 0 and below 1 */
export function createResidualDropout(options: ResidualDropoutOptions): ResidualDropout {
  const { config, rows, columns, rate, seed, purpose } = options;
  if (!(rate > 0 && rate < 1)) throw new RangeError(`A dropout rate lies between 0 and 1, got ${rate}`);
  const shape = [2 * config.layers + 1, rows * columns, config.width];
  const count = shape[0] * shape[1] * shape[2];
  const kept = 1 / (1 - rate);
  // One byte decides, in all but one of 256 cases: there the digits of the rate that a byte cannot hold do.
  const undecided = Math.floor(rate * 256);
  const remainder = rate * 256 - undecided;
  const byByte = Float32Array.from({ length: 256 }, (_, byte) => (byte < undecided ? 0 : kept));
  const words = new Uint32Array(Math.ceil(count / 4));
  const bytes = new Uint8Array(words.buffer, 0, count);
  const masks = new Float32Array(count);
  return {
    spec: { shape, dtype: 'float32' },
    masksAt: (step) => {
      const coarse = randomStream(seed, purpose, [step]);
      const fine = randomStream(seed, `${purpose}/fine`, [step]);
      for (let i = 0; i < words.length; i++) words[i] = coarse.uint32();
      for (let i = 0; i < count; i++) masks[i] = byByte[bytes[i]];
      for (let i = bytes.indexOf(undecided); i >= 0; i = bytes.indexOf(undecided, i + 1)) {
        masks[i] = fine.uniform() < remainder ? 0 : kept;
      }
      return masks;
    },
  };
}
