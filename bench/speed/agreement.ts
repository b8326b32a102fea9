import type { Precision } from '@pavlov/tensor';
import { shapes } from './shapes';
import { measureOurs, measurePeer, type Way } from './sides';
import { precisions, type Settings, type Task } from './task';

/**
 * How far a loss may be, as a part of itself, from PyTorch's in float32.
 *
 * float32: far above the differences of its sums, far below those of another model, loss or optimiser.
 *
 * bfloat16: a factor is off by up to 2⁻⁹ of itself, to either side. A logit of the fresh model, 0.23 wide, is then off by some
 * 5 · 10⁻⁴ nats, and the loss, a mean over 2,048 tokens of 512 kinds, by 5 · 10⁻⁴ / √512, 4 · 10⁻⁶ of itself. AdamW's first
 * steps are as long for a gradient near zero, whose sign may turn, as for others, so it grows: PyTorch's own bfloat16 was
 * 3 · 10⁻⁵ off within ten steps of tiny, and up to 8 · 10⁻⁵ at three other small shapes. What must not pass is far from it:
 * master weights in bfloat16 are 9 · 10⁻⁴ off at the third step and 3 · 10⁻³ at the tenth.
 */
export const tolerances: Readonly<Record<Precision, number>> = { float32: 1e-4, bfloat16: 3e-4 };

/**
 * Trains the shape tiny for some steps on both sides, from the same weights on the same tokens: do they compute the same
 * thing? PyTorch in float32 is what all are compared with, in a sitting in bfloat16 its own bfloat16 too.
 *
 * @throws Error if they do not
 */
export async function compareLosses(peer: string, settings: Settings): Promise<string> {
  const task: Task = { ...settings, phase: 'losses', shape: shapes.tiny, batch: shapes.tiny.batch };
  const theirs = async (way: Way): Promise<readonly number[]> => {
    const answer = await measurePeer(peer, { task, way });
    if ('unavailable' in answer) throw new Error(`PyTorch's side cannot run: ${answer.unavailable}`);
    return answer.losses ?? [];
  };
  const ours = async (precision: Precision): Promise<readonly number[]> =>
    (await measureOurs({ ...task, precision })).losses ?? [];

  const truth = await theirs('eager');
  const off: string[] = [];
  for (const precision of precisions.slice(0, precisions.indexOf(settings.precision) + 1)) {
    const sides = {
      Pavlov: await ours(precision),
      ...(precision === 'bfloat16' && { PyTorch: await theirs('eager bfloat16') }),
    };
    for (const [side, losses] of Object.entries(sides)) {
      const difference = differenceOf(losses, truth);
      if (!(difference < tolerances[precision]))
        throw new Error(
          `The two sides do not compute the same: ${side}'s losses in ${precision} are ${losses.join(' ')}, PyTorch's in float32 ${truth.join(' ')}`,
        );
      off.push(`${side} in ${precision} ${difference.toExponential(0)}`);
    }
  }
  return `same work ${truth.length} steps of tiny from the same weights: losses ${truth[0].toFixed(4)} to ${truth.at(-1)?.toFixed(4)} in PyTorch, at most so far off: ${off.join(', ')}`;
}

/** The largest, as a part of the loss; NaN or infinite where there is none to compare. */
export function differenceOf(losses: readonly number[], truth: readonly number[]): number {
  if (losses.length !== truth.length) return Infinity;
  return Math.max(...losses.map((loss, i) => Math.abs(loss / truth[i] - 1)));
}
