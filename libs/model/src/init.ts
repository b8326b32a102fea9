import { randomStream, type RandomStream } from '@pavlov/random';
import { allocateParameters, type Parameters } from '@pavlov/tensor';
import type { Head, TransformerConfig } from './config';
import { transformerLayout } from './layout';

const headName = 'score.weight';

/** Standard deviation of GPT-2's initial weights (Radford et al. 2018, §4.1). */
const standardDeviation = 0.02;

/**
 * Parameters of an untrained transformer, a pure function of `seed`:
 *  1. layer normalisations are the identity and biases 0,
 *  2. weights and embeddings are N(0, 0.02²),
 *  3. projections into the residual stream are divided by √(2L), one for each time they add to it (Radford et al. 2019, §2.3),
 *  4. the scalar head is N(0, 1/(C + 1)), i.e. of standard deviation 1/√(C + 1) (Stiennon et al. 2020).
 *
 * Each parameter draws from a stream of its own, so both heads start on the same trunk.
 */
export function initParameters(config: TransformerConfig, head: Head, seed: number): Parameters {
  const parameters = allocateParameters(transformerLayout(config, head));
  for (const [name, view] of Object.entries(parameters.views)) {
    const scale = initialScale(name, config);
    if (scale === 'zero') continue;
    if (scale === 'one') {
      view.fill(1);
      continue;
    }
    fillNormal(view, { scale, random: randomStream(seed, `init/${name}`) });
  }
  return parameters;
}

/**
 * A reward model before training: the trunk of a policy under a fresh scalar head. Models that differ in `member`, from 0,
 * differ in the head; member 0 has the head of `initParameters`.
 */
export function initRewardParameters(
  policy: Parameters,
  { config, seed, member }: { config: TransformerConfig; seed: number; member: number },
): Parameters {
  const parameters = allocateParameters(transformerLayout(config, 'scalar'));
  for (const [name, view] of Object.entries(policy.views)) parameters.views[name].set(view);
  const random = randomStream(seed, `init/${headName}`, [member]);
  fillNormal(parameters.views[headName], { scale: headScale(config), random });
  return parameters;
}

function initialScale(name: string, { layers, width }: TransformerConfig): number | 'zero' | 'one' {
  if (name.endsWith('.bias')) return 'zero';
  if (/\.ln_[12f]\.weight$/.test(name)) return 'one';
  if (name === headName) return headScale({ width });
  return name.endsWith('.c_proj.weight') ? standardDeviation / Math.sqrt(2 * layers) : standardDeviation;
}

const headScale = ({ width }: Pick<TransformerConfig, 'width'>): number => 1 / Math.sqrt(width + 1);

function fillNormal(view: Float32Array, { scale, random }: { scale: number; random: RandomStream }): void {
  for (let i = 0; i < view.length; i++) view[i] = random.normal() * scale;
}
