import { PavlovError } from '@pavlov/contracts';
import fc from 'fast-check';
import { copyFloats, readSafetensors, writeSafetensors } from './safetensors';

/** A file with the given header and as many bytes of data. */
function fileOf(header: unknown, dataBytes: number): Uint8Array {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const file = Buffer.alloc(8 + json.length + dataBytes);
  file.writeBigUInt64LE(BigInt(json.length));
  json.copy(file, 8);
  return file;
}

const tensor = (offsets: [number, number], shape = [1], dtype = 'F32') => ({ dtype, shape, data_offsets: offsets });

describe('writeSafetensors', () => {
  it('lays out header and data as the format says, checked by hand', () => {
    const file = Buffer.from(
      writeSafetensors([
        { name: 'a', shape: [2, 1], data: Float32Array.of(1, -2) },
        { name: 'b', shape: [1], data: Float32Array.of(0.5) },
      ]),
    );
    const header =
      '{"__metadata__":{"format":"pt"},' +
      '"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},' +
      '"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}';
    const length = Number(file.readBigUInt64LE(0));
    expect(length).toBe(Math.ceil(header.length / 8) * 8);
    expect(file.toString('utf8', 8, 8 + length)).toBe(header.padEnd(length, ' '));
    // 1, −2 and 0.5 as little-endian IEEE 754.
    expect(file.subarray(8 + length).toString('hex')).toBe('0000803f' + '000000c0' + '0000003f');
  });

  it('is read back bit for bit', () => {
    const tensors = fc.uniqueArray(
      fc.record({ name: fc.string({ minLength: 1 }), values: fc.float32Array({ maxLength: 9 }) }),
      { selector: ({ name }) => name, maxLength: 5 },
    );
    fc.assert(
      fc.property(tensors, (entries) => {
        fc.pre(entries.every(({ name }) => !['__metadata__', '__proto__'].includes(name)));
        const stored = readSafetensors(
          writeSafetensors(entries.map(({ name, values }) => ({ name, shape: [values.length], data: values }))),
        );
        expect([...stored.keys()].sort()).toEqual(entries.map(({ name }) => name).sort());
        for (const { name, values } of entries) {
          const read = new Float32Array(values.length);
          copyFloats(stored.get(name)!, read);
          expect(Buffer.from(read.buffer)).toEqual(Buffer.from(values.buffer, values.byteOffset, values.byteLength));
        }
      }),
    );
  });
});

describe('readSafetensors', () => {
  it('reads a file whose tensors are listed in another order than they lie', () => {
    const file = fileOf({ b: tensor([4, 8]), a: tensor([0, 4]) }, 8);
    Buffer.from(file.buffer, file.byteOffset).writeFloatLE(7, file.length - 4);
    const value = new Float32Array(1);
    copyFloats(readSafetensors(file).get('b')!, value);
    expect(value[0]).toBe(7);
  });

  it.each<[string, Uint8Array]>([
    ['it is shorter than the length of its header', new Uint8Array(7)],
    ['its header of 999 bytes does not fit', Buffer.from([0xe7, 3, 0, 0, 0, 0, 0, 0, 0x7b])],
    ['its header of 18446744073709552000 bytes does not fit', Buffer.alloc(16, 0xff)],
    ['its header is not JSON', fileOf('{"a":', 0)],
    ['its header is not JSON', fileOf('\xff', 0)],
    ['its header is malformed', fileOf({ a: { dtype: 'F32', shape: [-1], data_offsets: [0, 4] } }, 4)],
    ['its header is malformed', fileOf({ a: { dtype: 'F32', shape: [1] } }, 4)],
    ['its header is malformed', fileOf({ __metadata__: { format: 1 }, a: tensor([0, 4]) }, 4)],
    ['its header is malformed', fileOf('[]', 0)],
    ['its header is malformed', fileOf('null', 0)],
    ['"a" has the unknown type X1', fileOf({ a: tensor([0, 4], [1], 'X1') }, 4)],
    ['"a" has 4 bytes; F32[2] needs 8', fileOf({ a: tensor([0, 4], [2]) }, 4)],
    ['"a" starts at byte 4 where 0 was expected', fileOf({ a: tensor([4, 8]) }, 8)],
    ['"b" starts at byte 0 where 4 was expected', fileOf({ a: tensor([0, 4]), b: tensor([0, 4]) }, 4)],
    ['its tensors take 4 bytes, but 5 follow the header', fileOf({ a: tensor([0, 4]) }, 5)],
    ['its tensors take 8 bytes, but 4 follow the header', fileOf({ a: tensor([0, 8], [2]) }, 4)],
  ])('refuses: %s', (problem, file) => {
    expect(() => readSafetensors(file)).toThrow(PavlovError);
    expect(() => readSafetensors(file)).toThrow(problem);
  });

  it('does not convert other types', () => {
    const stored = readSafetensors(fileOf({ a: tensor([0, 4], [2], 'F16') }, 4)).get('a')!;
    expect(() => copyFloats(stored, new Float32Array(1))).toThrow('F16');
  });
});
