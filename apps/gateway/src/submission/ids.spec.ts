import { averageIdOf, id, lastGoodIdOf, stages } from '@pavlov/contracts';
import { freshSuffix, jobIdOf, makerIdOf, parseJobId, parsePipelineId, pipelineIdOf, suffixOfKey } from './ids';

describe('ids', () => {
  it('are ids, and can be taken apart again', () => {
    for (const stage of stages) {
      const suffix = freshSuffix();
      expect(id.parse(jobIdOf(stage, suffix))).toBe(jobIdOf(stage, suffix));
      expect(parseJobId(jobIdOf(stage, suffix))).toEqual({ stage, suffix });
      expect(parsePipelineId(pipelineIdOf(suffix))).toEqual({ suffix });
    }
  });

  it('of rounds end in the round from the second on, and can be taken apart too', () => {
    const suffix = freshSuffix();
    expect(jobIdOf('ppo', suffix, 1)).toBe(`ppo-${suffix}`);
    for (const round of [2, 9, 10, 20]) {
      const jobId = jobIdOf('ppo', suffix, round);
      expect(jobId).toBe(`ppo-${suffix}-r${round}`);
      expect(id.parse(jobId)).toBe(jobId);
      expect(parseJobId(jobId)).toEqual({ stage: 'ppo', suffix });
    }
    expect(parsePipelineId(`${pipelineIdOf(suffix)}-r2`)).toBeUndefined();
  });

  it('lead from everything that a job leaves to the job', () => {
    for (const jobId of [jobIdOf('ppo', freshSuffix()), jobIdOf('ppo', freshSuffix(), 3)]) {
      expect(makerIdOf(jobId)).toBe(jobId);
      expect(makerIdOf(averageIdOf(jobId))).toBe(jobId);
      expect(makerIdOf(lastGoodIdOf(jobId))).toBe(jobId);
    }
    expect(makerIdOf(averageIdOf(jobIdOf('sft', freshSuffix())))).toBeUndefined();
    expect(makerIdOf('my-corpus-73af7aa25a')).toBeUndefined();
    expect(makerIdOf(averageIdOf('mine'))).toBeUndefined();
  });

  it('are the same for the same key only', () => {
    expect(suffixOfKey('order-1')).toBe(suffixOfKey('order-1'));
    expect(suffixOfKey('order-1')).not.toBe(suffixOfKey('order-2'));
    expect(freshSuffix()).not.toBe(freshSuffix());
  });

  it.each([
    'sft',
    'sft-short',
    'pipeline-0123456789ab',
    'poo-0123456789ab',
    'sft-0123456789ab-1',
    'ppo-0123456789ab-r1',
    'ppo-0123456789ab-r02',
    'ppo-0123456789ab-r2-ema',
    'sft-0123456789AB',
    '',
  ])('finds no job in %j', (text) => {
    expect(parseJobId(text)).toBeUndefined();
  });
});
