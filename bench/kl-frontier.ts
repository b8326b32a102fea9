/**
 * PPO between reward and reference, beside the exact frontier: the world of tests/proofs, whose answers can be enumerated.
 *   node scripts/bench.mjs kl-frontier [seed]
 * Prints a table and draws docs/images/kl-frontier.svg.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bestOfNKl } from '@pavlov/algorithms';
import { bestOf, optimum, shareOfGain, standingOf, totalVariation, type Standing } from '../tests/proofs/exact';
import { openWorld } from '../tests/proofs/world';
import { renderPlot, type Point } from './plot';

const coefficients = [2, 1, 0.5, 0.3, 0.2, 0.1, 0.05];
const bestOfs = [2, 4, 8, 16, 64];
const image = join('docs', 'images', 'kl-frontier.svg');

async function main([seed = '1']: string[]): Promise<void> {
  const world = await openWorld({ seed: Number(seed) });
  const problem = await world.problem('truth');
  const reference = standingOf(world.reference, problem);
  const exact = (coefficient: number): Standing => standingOf(optimum(problem, coefficient), problem);

  const rows = [];
  for (const coefficient of coefficients) {
    const jobId = `beta-${coefficient}`.replace('.', '-');
    const started = performance.now();
    await world.train({ jobId, reward: 'truth', config: { klCoefficient: coefficient } });
    const seconds = (performance.now() - started) / 1000;
    const distribution = await world.space.distributionOf(jobId);
    const policy = standingOf(distribution, problem);
    const best = exact(coefficient);
    rows.push({
      coefficient,
      policy,
      best,
      share: shareOfGain({ policy, best, reference }, coefficient),
      variation: totalVariation(distribution, optimum(problem, coefficient)),
      seconds,
    });
  }
  await world.close();

  console.table(
    rows.map(({ coefficient, policy, best, share, variation, seconds }) => ({
      β: coefficient,
      'PPO E[r]': policy.reward.toFixed(4),
      'PPO KL': policy.kl.toFixed(4),
      'π* E[r]': best.reward.toFixed(4),
      'π* KL': best.kl.toFixed(4),
      'share of gain, %': (100 * share).toFixed(2),
      'total variation': variation.toFixed(4),
      seconds: seconds.toFixed(1),
    })),
  );
  const picked = bestOfs.map((n) => ({ n, ...standingOf(bestOf(n, problem), problem) }));
  console.table(
    picked.map(({ n, reward, kl }) => ({
      n,
      'E[r]': reward.toFixed(4),
      KL: kl.toFixed(4),
      'ln n − (n − 1)/n': bestOfNKl(n).toFixed(4),
    })),
  );

  const at = ({ reward, kl }: Standing, label?: string): Point => ({ x: kl, y: reward, label });
  // Even steps of log β, so that the line is smooth where it bends.
  const frontier = Array.from({ length: 80 }, (_, step) => at(exact(30 * (0.03 / 30) ** (step / 79))));
  mkdirSync(join('docs', 'images'), { recursive: true });
  const picture = renderPlot({
    title: 'Reward against KL to the reference: PPO lies on the exact frontier, best-of-n a little below.',
    x: { label: 'KL to the reference, nats per answer', ticks: [0, 0.5, 1, 1.5, 2] },
    y: { label: 'mean reward E[r]', ticks: [0, 0.2, 0.4, 0.6, 0.8, 1] },
    series: [
      { name: 'exact optima π*, for every β', mark: 'line', points: frontier },
      { name: 'best of n answers of the reference', mark: 'diamond', points: picked.map((p) => at(p, `n = ${p.n}`)) },
      {
        name: 'PPO after 60 iterations',
        mark: 'disc',
        points: rows.map(({ policy, coefficient }) => at(policy, `β = ${coefficient}`)),
        labels: 'above',
      },
      { name: 'reference', mark: 'square', points: [at(reference)] },
    ],
  });
  writeFileSync(image, picture);
  console.log(`${image}: ${picture.length} characters`);
}

void main(process.argv.slice(2));
