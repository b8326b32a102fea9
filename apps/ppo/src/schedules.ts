import {
  adaptiveKlOverHorizon,
  constantRate,
  fixedKl,
  linearDecay,
  warmUp,
  type KlController,
  type Schedule,
} from '@pavlov/algorithms';
import { type PpoConfig } from '@pavlov/contracts';

/** Learning rate of an iteration: from a tenth of the peak up to it (InstructGPT C.4), then as configured. */
export function learningRates(peak: number, config: PpoConfig): Schedule {
  const steps = config.iterations - config.warmupIterations;
  const decay = { linear: () => linearDecay({ peak, steps }), constant: () => constantRate(peak) }[
    config.learningRateDecay
  ]();
  return warmUp({ steps: config.warmupIterations, from: 0.1, then: decay });
}

export function klController({ klController, batchSize }: PpoConfig): KlController {
  switch (klController.kind) {
    case 'fixed':
      return fixedKl;
    case 'adaptive':
      return adaptiveKlOverHorizon({ ...klController, episodes: batchSize });
    default:
      return klController satisfies never;
  }
}
