import { id, stages } from '@pavlov/contracts';
import { freshSuffix, jobIdOf, parseJobId, parsePipelineId, pipelineIdOf, suffixOfKey } from './ids';

describe('ids', () => {
  it('are ids, and can be taken apart again', () => {
    for (const stage of stages) {
      const suffix = freshSuffix();
      expect(id.parse(jobIdOf(stage, suffix))).toBe(jobIdOf(stage, suffix));
      expect(parseJobId(jobIdOf(stage, suffix))).toEqual({ stage, suffix });
      expect(parsePipelineId(pipelineIdOf(suffix))).toEqual({ suffix });
    }
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
    'sft-0123456789AB',
    '',
  ])('finds no job in %j', (text) => {
    expect(parseJobId(text)).toBeUndefined();
  });
});
