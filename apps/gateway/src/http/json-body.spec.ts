import { type PavlovError } from '@pavlov/contracts';
import { parseJson } from './json-body';

const refusal = (text: string) => {
  try {
    parseJson(text);
  } catch (error) {
    return (error as PavlovError).body;
  }
  throw new Error('it was accepted');
};

describe('parseJson', () => {
  it.each([
    ['{"a": nope}', 1, 'invalid symbol at line 1, column 7'],
    ['{\n  "a": 1,\n}', 3, 'property name expected at line 3, column 1'],
    ['{"a": 1', 1, 'close brace expected at line 1, column 8'],
    ['{"a": 1} {}', 1, 'end of file expected at line 1, column 10'],
    ["{\n'a': 1}", 2, 'invalid symbol at line 2, column 1'],
    ['// note\n{}', 1, 'invalid comment token at line 1, column 1'],
  ])('says where %j goes wrong', (text, line, where) => {
    expect(refusal(text)).toMatchObject({ code: 'MALFORMED_JSON', line, message: `The body is not JSON: ${where}.` });
  });

  it('says that an empty body is empty', () => {
    expect(refusal(' \n')).toMatchObject({ code: 'MALFORMED_JSON', message: 'The body is empty, but must be JSON.' });
  });

  it('gives the value of what is JSON', () => {
    expect(parseJson('{"a": [1, "ü"]}')).toEqual({ a: [1, 'ü'] });
  });
});
