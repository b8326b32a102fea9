import { compareLosses, differenceOf, tolerances } from '../../bench/speed/agreement';
import { costOf } from '../../bench/speed/limits';
import { readOptions, UsageError } from '../../bench/speed/options';
import { shapes } from '../../bench/speed/shapes';
import * as sides from '../../bench/speed/sides';
import { sit } from '../../bench/speed/sitting';
import { rowsOf, table } from '../../bench/speed/report';
import type { Measurement } from '../../bench/speed/task';

jest.mock('../../bench/speed/sides', () => ({
  ...jest.requireActual<typeof sides>('../../bench/speed/sides'),
  measureOurs: jest.fn(),
  measurePeer: jest.fn(),
}));
const measureOurs = jest.mocked(sides.measureOurs);
const measurePeer = jest.mocked(sides.measurePeer);
const measurement = (value: number, losses?: readonly number[]): Measurement => ({
  value,
  unit: 'tokens/s',
  losses,
  versions: {},
});
const settings = { threads: 1, seconds: 1, seed: 1 };

describe('--precision', () => {
  it('is float32 unless bfloat16 is asked for', () => {
    expect(readOptions([]).precision).toBe('float32');
    expect(readOptions(['--precision', 'float32']).precision).toBe('float32');
    expect(readOptions(['--peer', '--precision', 'bfloat16'])).toMatchObject({ precision: 'bfloat16' });
  });

  it.each(['bf16', 'float32,bfloat16', ''])('cannot be "%s"', (precision) => {
    expect(() => readOptions(['--precision', precision])).toThrow(UsageError);
    expect(() => readOptions(['--precision', precision])).toThrow('is none of float32, bfloat16');
  });
});

describe("PyTorch's ways", () => {
  it('are in float32 in a sitting in float32', () => {
    expect(sides.waysOf('train', 'float32')).toEqual(['eager', 'compile', 'transformers']);
  });

  it('are in both in a sitting in bfloat16, where matrices are multiplied', () => {
    expect(sides.waysOf('memory', 'bfloat16')).toEqual(['eager', 'compile', 'eager bfloat16', 'compile bfloat16']);
    expect(sides.waysOf('sgemm', 'bfloat16')).toEqual(['eager', 'eager bfloat16']);
    expect(sides.waysOf('read', 'bfloat16')).toEqual(['eager']);
  });
});

describe('a sitting in bfloat16', () => {
  const rates: Readonly<Record<string, number>> = { eager: 100, packed: 150, 'packed bfloat16': 200 };
  const sitting = async (peer: Readonly<Record<string, number>>) => {
    measureOurs.mockResolvedValue(measurement(400));
    measurePeer.mockImplementation((_, { way }) =>
      Promise.resolve(way in peer ? measurement(peer[way]) : { unavailable: 'not here' }),
    );
    return sit({
      cases: [{ phase: 'score', shape: 'tiny', batch: 16 }],
      rounds: 2,
      settings: { ...settings, precision: 'bfloat16' },
      peer: { command: 'peer', modes: ['eager', 'packed'] },
      onMeasured: () => undefined,
      save: () => undefined,
    });
  };

  it("counts PyTorch's best, and says what it was and what we computed in", async () => {
    const [row] = rowsOf(await sitting(rates));
    expect(row).toMatchObject({ phase: 'score', shape: 'tiny', batch: 16, ours: 400, unit: 'tokens/s' });
    expect(row).toMatchObject({ precision: 'bfloat16', peer: 200, ratio: 2, peerMode: 'packed bfloat16' });
    expect(row.peerModes).toEqual(rates);
    expect(table([row])).toMatch(/precision .*\n.* bfloat16 .* packed bfloat16 /);
  });

  it('counts float32 where that is faster', async () => {
    const [row] = rowsOf(await sitting({ ...rates, 'packed bfloat16': 120 }));
    expect(row).toMatchObject({ precision: 'bfloat16', peer: 150, peerMode: 'packed' });
  });
});

describe('the limit', () => {
  const work = { phase: 'generate', shape: shapes.tiny, batch: 16 } as const;

  it('of sampling in bfloat16 is half the bytes, and the same arithmetic', () => {
    const [whole, half] = (['float32', 'bfloat16'] as const).map((precision) => costOf({ ...work, precision })!);
    expect(half.bytes).toBe(whole.bytes! / 2);
    expect(half.flops).toBe(whole.flops);
  });
});

describe('the agreement of both sides', () => {
  const truth = [6, 5];
  const off = (part: number): number[] => truth.map((loss) => loss * (1 + part));
  const agree = (ours: { float32: number; bfloat16: number }, theirs: number): Promise<string> => {
    measureOurs.mockImplementation(({ precision }) => Promise.resolve(measurement(0, off(ours[precision]))));
    measurePeer.mockImplementation((_, { way }) =>
      Promise.resolve(measurement(0, way === 'eager' ? truth : off(theirs))),
    );
    return compareLosses('peer', { ...settings, precision: 'bfloat16' });
  };

  it('tells how far each is off', async () => {
    expect(await agree({ float32: 1e-6, bfloat16: 3e-5 }, -2e-5)).toMatch(
      /Pavlov in float32 1e-6, Pavlov in bfloat16 3e-5, PyTorch in bfloat16 2e-5$/,
    );
  });

  it('is refused beyond the tolerance of a precision, on either side', async () => {
    const { float32, bfloat16 } = tolerances;
    await expect(agree({ float32: 2 * float32, bfloat16: 0 }, 0)).rejects.toThrow("Pavlov's losses in float32");
    await expect(agree({ float32: 0, bfloat16: 2 * bfloat16 }, 0)).rejects.toThrow("Pavlov's losses in bfloat16");
    await expect(agree({ float32: 0, bfloat16: 0 }, NaN)).rejects.toThrow("PyTorch's losses in bfloat16");
    expect(differenceOf([6], truth)).toBe(Infinity);
  });
});
