import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Only the simulated labeller and the evaluation may know the truth. Whatever trains weights must learn without it. */
const trainers = [
  'apps/pretraining',
  'apps/sft',
  'apps/reward-modeling',
  'apps/ppo',
  'libs/training',
  'libs/algorithms',
  'libs/model',
];
const knowing = ['apps/feedback', 'apps/evaluation'];

const root = join(__dirname, '..', '..');
const oracle = /gradeResponse|gradeDemoWorld|simulateRanking|\.answer\b/;

function sourcesOf(project: string): { file: string; text: string }[] {
  const folder = join(root, project, 'src');
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts'))
    .map((file) => ({ file: `${project}/src/${file}`, text: readFileSync(join(folder, file), 'utf8') }));
}

describe('the oracle', () => {
  it('is out of reach of everything that trains weights', () => {
    const found = trainers.flatMap(sourcesOf).filter(({ text }) => oracle.test(text));
    expect(found.map(({ file }) => file)).toEqual([]);
  });

  it('is found where it is used, so that the search can fail', () => {
    for (const project of knowing) expect(sourcesOf(project).some(({ text }) => oracle.test(text))).toBe(true);
  });
});
