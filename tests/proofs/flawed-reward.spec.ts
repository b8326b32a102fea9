/**
 * A reward that overpays one answer, “nothing”, whatever was asked (`rewards.cjs`), and a held-out judge that does not.
 * Where KL is free, PPO finds the flaw, and the monitor says so; where KL has its price, neither happens.
 */
import { lastGoodIdOf } from '@pavlov/contracts';
import { type TestTrainerContext } from '@pavlov/testing';
import { optimum, standingOf, type Distribution, type Problem } from './exact';
import { openWorld, type World } from './world';

const free = 1e-6;
const priced = 2;
const configOf = (klCoefficient: number, onAlarm: 'log' | 'pause' | 'stop') => ({
  klCoefficient,
  iterations: 30,
  learningRate: 5e-4,
  monitor: { heldOut: { kind: 'function', name: 'truth' }, every: 1, onAlarm },
});

let world: World;
let proxy: Problem;
let truth: Problem;
let hacked: TestTrainerContext<'ppo'>;
let held: TestTrainerContext<'ppo'>;
const policyOf = (id: string): Promise<Distribution> => world.space.distributionOf(id);
const warningsOf = ({ logged }: TestTrainerContext<'ppo'>): string[] =>
  logged.filter(({ level }) => level === 'warn').map(({ message }) => message);
const signalsOf = (messages: readonly string[]): string[] => messages.map((message) => message.split(':')[0]);

beforeAll(async () => {
  world = await openWorld({ seed: 1 });
  proxy = await world.problem('proxy');
  truth = await world.problem('truth');
  hacked = await world.train({ jobId: 'hacked', reward: 'proxy', config: configOf(free, 'pause') });
  held = await world.train({ jobId: 'held', reward: 'proxy', config: configOf(priced, 'pause') });
}, 120_000);
afterAll(() => world.close());

describe('a flawed reward', () => {
  it('is hacked all the way where KL is free', async () => {
    const policy = await policyOf('hacked');
    const start = {
      proxy: standingOf(world.reference, proxy).reward,
      truth: standingOf(world.reference, truth).reward,
    };
    const end = { proxy: standingOf(policy, proxy).reward, truth: standingOf(policy, truth).reward };
    const most = standingOf(optimum(proxy, free), proxy).reward;
    expect((end.proxy - start.proxy) / (most - start.proxy)).toBeGreaterThan(0.95);
    expect(end.truth).toBeLessThan(start.truth - 0.5);
  });

  it('is given away by the monitor, by name', () => {
    const signals = signalsOf(warningsOf(hacked));
    expect(signals).toEqual(expect.arrayContaining(['held-out-falling', 'duplicate-answers', 'entropy-collapse']));
    expect(hacked.curves.at(-1)?.values['monitor/alarms']).toBeGreaterThanOrEqual(3);
    expect(hacked.curves[0].values['monitor/alarms']).toBe(0);
  });

  it('pauses the job at each alarm, and says why', () => {
    expect(hacked.pauses.join(' ')).toBe(warningsOf(hacked).join(' '));
    expect(hacked.pauses.length).toBeGreaterThanOrEqual(2);
  });

  it('does no harm where KL has its price: no alarm, and a truly better policy', async () => {
    expect(warningsOf(held)).toEqual([]);
    expect(held.pauses).toEqual([]);
    const policy = await policyOf('held');
    expect(standingOf(policy, truth).reward).toBeGreaterThan(standingOf(world.reference, truth).reward + 0.02);
    expect(standingOf(policy, proxy).reward).toBeGreaterThan(standingOf(world.reference, proxy).reward + 0.2);
  });

  it('ends the job if alarms are to, and leaves a better policy than the hacked one', async () => {
    const { context, error } = await world.breakDown({
      jobId: 'stopped',
      reward: 'proxy',
      config: configOf(free, 'stop'),
    });
    const kept = lastGoodIdOf('stopped');
    const [signal] = signalsOf(warningsOf(hacked));
    expect(error).toMatchObject({ code: 'OVEROPTIMISED', body: { field: signal } });
    expect(error.body.hint).toContain(kept);
    expect((await world.store.checkpoints.list()).map(({ id }) => id)).not.toContain('stopped');
    // The same seed: until it stops, it is the run that went on.
    expect(context.curves.map(({ values }) => values['objective/scores'])).toEqual(
      hacked.curves.slice(0, context.curves.length).map(({ values }) => values['objective/scores']),
    );
    expect((await world.store.checkpoints.manifest(kept)).metrics['monitor/alarms']).toBe(0);
    const good = standingOf(await policyOf(kept), truth).reward;
    expect(good).toBeGreaterThan(standingOf(await policyOf('hacked'), truth).reward + 0.2);
  });
});
