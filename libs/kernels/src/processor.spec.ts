import { readFileSync } from 'node:fs';
import { computesBfloat16, vectorExtensions } from './processor';

/** What the system says of the first processor; empty where there is no such file. */
function flags(): ReadonlySet<string> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return new Set();
  return new Set(/^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1].trim().split(/\s+/));
}

it('finds the extensions that Linux reports, so that no spec passes because it has nothing to do', () => {
  const known = flags();
  const has = (...names: string[]): boolean => names.every((name) => known.has(name));
  expect(vectorExtensions()).toEqual([
    ...(has('avx2', 'fma', 'avx512f', 'avx512dq', 'avx512bw', 'avx512vl') ? ['avx512'] : []),
    ...(has('avx2', 'fma') ? ['avx2'] : []),
  ]);
});

it('finds out, as Linux does, whether there is bfloat16', () => {
  expect(computesBfloat16()).toBe(vectorExtensions().includes('avx512') && flags().has('avx512_bf16'));
});

it('looks once', () => {
  expect(vectorExtensions()).toBe(vectorExtensions());
});
