import { type ErrorCode, PavlovError } from '@pavlov/contracts';
import { MulterError } from 'multer';
import { toShowable } from './failures';

const typed = (type: string): Error => Object.assign(new Error('request entity too large'), { type });

describe('toShowable', () => {
  it.each<[ErrorCode, unknown]>([
    ['PAYLOAD_TOO_LARGE', typed('entity.too.large')],
    ['UNSUPPORTED_MEDIA_TYPE', typed('charset.unsupported')],
    ['PAYLOAD_TOO_LARGE', new MulterError('LIMIT_FILE_SIZE')],
    ['INVALID_REQUEST', new MulterError('LIMIT_UNEXPECTED_FILE')],
    ['INVALID_REQUEST', new URIError('URI malformed')],
    ['INVALID_REQUEST', new Error('Premature close')],
    ['SERVICE_UNAVAILABLE', new Error('connect ECONNREFUSED 127.0.0.1:6379')],
    ['SERVICE_UNAVAILABLE', new Error('Reached the max retries per request limit (which is 1).')],
    ['INTERNAL', new Error('EACCES: permission denied, open /srv/secret')],
    ['INTERNAL', 'thrown as a text'],
    ['INTERNAL', undefined],
  ])('makes %s of %s', (code, error) => {
    const shown = toShowable(error);
    expect(shown.code).toBe(code);
    expect(shown.cause).toBe(error);
  });

  it('lets pass what was worded for clients, but never what INTERNAL says of the machine', () => {
    const worded = new PavlovError({ code: 'DATASET_EMPTY', message: 'It is empty.', hint: 'Fill it.' });
    expect(toShowable(worded)).toBe(worded);
    const internal = PavlovError.from(new Error('EACCES: /srv/secret'));
    expect(JSON.stringify(toShowable(internal))).not.toContain('secret');
  });
});
