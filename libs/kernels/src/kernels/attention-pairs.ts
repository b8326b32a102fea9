/**
 * A head in bfloat16: what products read of it, laid out once. It is on the task's stack, where it stays in the cache, or for long
 * sequences in an output that nobody reads.
 */
import { type Assembler } from '../assembler';
import { r10, r13, r8, rax, rcx, rdi, rdx, rsi, rsp } from '../encoding';
import { mostStack, type TensorPort } from '../kernel';
import { type AttentionGeometry, type AttentionShape, type HeadPointer, type TokenRows } from './attention-geometry';
import { repeat } from './packing';
import { pairs } from './packing-pairs';

/** Where it begins. */
const kept = r13;

/** A head's rows of floats, and what a pair is of: numbers side by side of one token, or those in the same place of two tokens. */
export interface PairSource extends TokenRows {
  readonly of: 'numbers' | 'tokens';
}

export class PairedHead {
  /** Of each source, what it becomes. */
  readonly rows: readonly TokenRows[];
  private readonly bytes: number;
  private readonly onStack: boolean;

  /** A task keeps it behind the first `at` bytes of its stack. */
  constructor(
    private readonly shape: AttentionShape & AttentionGeometry,
    private readonly sources: readonly PairSource[],
    private readonly at: number,
  ) {
    const { length, size, lanes } = shape;
    let bytes = 0;
    this.rows = sources.map((source): TokenRows => {
      const row = source.of === 'numbers' ? pairs.rowBytes(size) : Math.ceil(size / lanes) * 2 * lanes;
      const rows = { base: kept, at: bytes, row };
      bytes += (length + (length % 2)) * row;
      return rows;
    });
    this.bytes = bytes;
    this.onStack = at + bytes <= mostStack;
  }

  /** Bytes of the task's stack, with what it has besides. */
  get stack(): number {
    return this.at + (this.onStack ? this.bytes : 0);
  }

  /** More outputs of the kernel, and the pointers to them. */
  get outputs(): TensorPort[] {
    const { batch, heads } = this.shape;
    return this.onStack ? [] : [{ type: 'int32', shape: [batch * heads, this.bytes / 4] }];
  }

  pointers(place: number): HeadPointer[] {
    return this.onStack ? [] : [{ target: kept, place, stride: { task: this.bytes } }];
  }

  /** Changes rax, rcx, rdx, rsi, rdi, r8 and r10. */
  emit(code: Assembler): void {
    if (this.onStack) code.lea(kept, { base: rsp, displacement: this.at });
    this.sources.forEach((source, i) => {
      code.lea(rsi, { base: source.base, displacement: source.at });
      code.lea(rdi, { base: kept, displacement: this.rows[i].at });
      if (source.of === 'numbers') this.emitPairsOfNumbers(code, source, this.rows[i]);
      else this.emitPairsOfTokens(code, source);
    });
  }

  private emitPairsOfNumbers(code: Assembler, { row: stride }: PairSource, { row }: TokenRows): void {
    const { length, size } = this.shape;
    const group = 8;
    const copy = (rows: number): void => {
      code.mov(rax, rsi);
      code.mov(r8, rdi);
      pairs.along(code, { rows, depth: size, stride, rowStride: row }, { source: rax, target: r8, counter: rcx, scratch: rdx }); // prettier-ignore
      code.addImmediate(rsi, rows * stride);
      code.addImmediate(rdi, rows * row);
    };
    repeat(code, { counter: r10, times: Math.floor(length / group) }, () => copy(group));
    if (length % group > 0) copy(length % group);
  }

  private emitPairsOfTokens(code: Assembler, { row: stride }: PairSource): void {
    const { length, size, lanes } = this.shape;
    const vectors = Math.ceil(size / lanes);
    const panel = { vectors, last: size - (vectors - 1) * lanes };
    pairs.rows(code, { panel, depth: length, stride }, { source: rsi, target: rdi, counter: rcx, scratch: rdx });
  }
}
