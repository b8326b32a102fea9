import { type ErrorBody, type RewardFunctionInfo } from '@pavlov/contracts';
import { bundle, type Bundle } from '@pavlov/testing';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadRewardFunctions } from './load';

interface Loaded {
  /** Of all functions, the built-in ones included. */
  readonly size: number;
  /** Of those that the module brought. */
  readonly infos: RewardFunctionInfo[];
  readonly rewards: Record<string, number[]>;
}

const modules = {
  'named.mjs': `export const one = (answers) => answers.map(() => 1);
    one.description = 'Always 1.';
    export async function later(answers) { return answers.map(() => 2); }
    export const notes = 'no function';`,
  'default.mjs': `export default { typed: (answers) => Float64Array.from(answers, () => 3), odd: Object.assign(() => [4], { description: 5 }) };`,
  'plain.cjs': `const names = ['four']; for (const name of names) exports[name] = (answers) => answers.map(() => 4);`,
  'whole.js': `module.exports = { five: (answers) => answers.map(() => 5) };`,
  'a #1 100%.mjs': `export const six = (answers) => answers.map(() => 6);`,
  'throws.mjs': `throw new Error('no licence');`,
  'wrong.mjs': `export const = 1;`,
  'nameless.mjs': `export default () => [1];`,
  'empty.mjs': ``,
  'clash.mjs': `export const brevity = () => [1]; export const fine = () => [1];`,
};

describe('loadRewardFunctions', () => {
  let folder: string;
  let compiled: Bundle;
  let outcomes: Record<keyof typeof modules | 'missing.mjs' | 'example', Loaded & ErrorBody>;

  // A process of its own, as it is a bundle of its own: jest's sandbox refuses dynamic imports.
  const run = (args: readonly string[], env: Record<string, string> = {}): (Loaded & ErrorBody)[] =>
    execFileSync(process.execPath, [join(compiled.folder, 'load.js'), ...args], {
      cwd: folder,
      env: { PATH: process.env.PATH, ...env },
      encoding: 'utf8',
    })
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'pavlov-rewards-'));
    for (const [name, text] of Object.entries(modules)) writeFileSync(join(folder, name), text);
    compiled = await bundle(join(__dirname, 'fixtures', 'load.ts'));
    const example = join(__dirname, '..', '..', '..', 'examples', 'rewards', 'courtesy.mjs');
    const names = [...Object.keys(modules), 'missing.mjs'];
    const given = run([...names.map((name) => join(folder, name)), example]);
    outcomes = Object.fromEntries([...names, 'example'].map((name, index) => [name, given[index]])) as typeof outcomes;
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true });
    await compiled.remove();
  });

  it('gives the built-in functions where no module is named', async () => {
    const functions = await loadRewardFunctions('');
    expect([...functions.keys()]).toEqual(['demo-world', 'brevity', 'variety']);
  });

  it('adds the functions that an ES module exports by name', () => {
    expect(outcomes['named.mjs']).toEqual({
      size: 5,
      infos: [{ name: 'later' }, { name: 'one', description: 'Always 1.' }],
      rewards: { one: [1], later: [2] },
    });
  });

  it('finds them in whatever way a module exports them', () => {
    expect(outcomes['default.mjs'].rewards).toEqual({ typed: [3], odd: [4] });
    expect(outcomes['plain.cjs'].rewards).toEqual({ four: [4] });
    expect(outcomes['whole.js'].rewards).toEqual({ five: [5] });
    expect(outcomes['a #1 100%.mjs'].rewards).toEqual({ six: [6] });
  });

  it('shows no description that is no text', () => {
    expect(outcomes['default.mjs'].infos).toEqual([{ name: 'typed' }, { name: 'odd' }]);
  });

  it('loads the example', () => {
    expect(outcomes.example.rewards).toEqual({ courtesy: [1], saysTheAnswer: [1] });
    expect(outcomes.example.infos.every(({ description }) => description?.startsWith('1 for an answer'))).toBe(true);
  });

  it.each<[keyof typeof outcomes, string]>([
    ['throws.mjs', 'no licence'],
    ['wrong.mjs', 'cannot be loaded: Unexpected token'],
    ['missing.mjs', 'Cannot find module'],
    ['nameless.mjs', 'exports no reward function by name'],
    ['empty.mjs', 'exports no reward function by name'],
    ['clash.mjs', 'exports “brevity”: a reward function that is built in has that name'],
  ])('refuses %s: %s', (name, reason) => {
    expect(outcomes[name]).toMatchObject({ code: 'INVALID_REQUEST', field: 'PAVLOV_REWARDS' });
    expect(outcomes[name].message).toContain(join(folder, name));
    expect(outcomes[name].message).toContain(reason);
  });

  it('takes the module that the environment names, from the working directory', () => {
    expect(run([], { PAVLOV_REWARDS: 'whole.js' })[0].rewards).toEqual({ five: [5] });
    expect(run([], { PAVLOV_REWARDS: './no/such.js' })[0].message).toContain(join(folder, 'no', 'such.js'));
  });
});
