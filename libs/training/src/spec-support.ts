import type { OptimiserConfig } from './learner';

export const optimiser: OptimiserConfig = {
  weightDecay: 0,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  epsilonPlacement: 'pytorch',
  clipNorm: 1,
};
