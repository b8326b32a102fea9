/**
 * Fetches what a head reads of a cache ahead of reading it, as one stream: the keys, the values, and the keys of the next head, which
 * the same thread mostly computes next. What stands behind the last position is left where it is.
 */
import { type Assembler } from '../assembler';
import { type Gpr, type Label, type Memory, r10, r9, rdi, rsi } from '../encoding';

/** Bytes from what is read to what is fetched, unless there are fewer of the keys. */
const farthest = 4096;

const [distance, end, gap, ahead] = [rdi, rsi, r9, r10];

/** From `start` on, rdi, rsi, r9 and r10 are its own. */
export class CachePrefetch {
  constructor(private readonly code: Assembler) {}

  /** So many bytes of keys are there. */
  start(bytes: Gpr): void {
    const { code } = this;
    const near: Label = {};
    code.movImmediate(distance, farthest);
    code.compare(distance, bytes);
    code.jumpIf('lessOrEqual', near);
    code.mov(distance, bytes);
    code.place(near);
  }

  /** So many bytes from `part` on are read in order, and then what is at `next`. */
  part({ part, bytes, next }: { part: Gpr; bytes: Gpr; next: Memory }): void {
    const { code } = this;
    code.lea(end, { base: part, index: bytes });
    code.lea(gap, next);
    code.subGpr(gap, end);
  }

  /** What is read next begins at `place`. */
  follow(place: Gpr): void {
    const { code } = this;
    const inside: Label = {};
    code.lea(ahead, { base: place, index: distance });
    code.compare(ahead, end);
    code.jumpIf('below', inside);
    code.addGpr(ahead, gap);
    code.place(inside);
  }

  /** Fetches what corresponds to the line so many bytes behind `place`. */
  line(displacement: number): void {
    this.code.prefetch({ base: ahead, displacement });
  }
}
