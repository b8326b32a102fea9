import { type JobState, type PipelineState } from '@pavlov/contracts';
import { pipelineStateOf } from './views';

describe('pipelineStateOf', () => {
  it.each<[PipelineState, JobState[]]>([
    ['waiting', []],
    ['waiting', ['waiting', 'waiting-upstream']],
    ['active', ['active', 'waiting-upstream']],
    ['active', ['completed', 'waiting', 'waiting-upstream']],
    ['active', ['completed', 'active', 'paused']],
    ['paused', ['paused', 'paused']],
    ['paused', ['completed', 'paused', 'waiting-upstream']],
    ['failed', ['completed', 'failed', 'waiting-upstream']],
    ['failed', ['failed', 'cancelled']],
    ['cancelled', ['completed', 'cancelled', 'cancelled']],
    ['completed', ['completed', 'completed']],
  ])('is %s for %j', (expected, states) => {
    expect(pipelineStateOf(states)).toBe(expected);
  });
});
