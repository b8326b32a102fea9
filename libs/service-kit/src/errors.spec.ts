import { type ErrorCode, jobProgress, PavlovError } from '@pavlov/contracts';
import { UnrecoverableError } from 'bullmq';
import { parseFailure, toJobFailure, toPavlovError } from './errors';

const error = (code: ErrorCode): PavlovError => new PavlovError({ code, message: 'what', hint: 'do', line: 37 });

describe('the failure of a job', () => {
  it('carries the whole error through BullMQ’s failedReason', () => {
    for (const code of ['DATASET_INVALID_ROW', 'TRAINER_CRASHED'] as const) {
      expect(parseFailure(toJobFailure(error(code)).message)).toEqual(error(code).body);
    }
  });

  it('is unrecoverable exactly when a retry is vain', () => {
    expect(toJobFailure(error('CANCELLED'))).toBeInstanceOf(UnrecoverableError);
    expect(toJobFailure(error('DATASET_EMPTY'))).toBeInstanceOf(UnrecoverableError);
    expect(toJobFailure(error('TRAINER_CRASHED'))).not.toBeInstanceOf(UnrecoverableError);
    expect(toJobFailure(error('INTERNAL'))).not.toBeInstanceOf(UnrecoverableError);
  });

  it('is understood when BullMQ worded it', () => {
    expect(parseFailure('job stalled more than allowable limit').code).toBe('TRAINER_CRASHED');
    expect(parseFailure('{"code": "half')).toMatchObject({ code: 'INTERNAL', message: '{"code": "half' });
  });
});

it('names every field that zod refused', () => {
  const { error: refused } = jobProgress.safeParse({ fraction: 2, phase: 'training', step: 1.5, steps: 3 });
  const { body } = toPavlovError(refused);
  expect(body).toMatchObject({ code: 'INVALID_REQUEST', field: 'fraction' });
  expect(body.issues?.map(({ field }) => field)).toEqual(['fraction', 'step']);
});
