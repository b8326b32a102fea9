import { createHash } from 'node:crypto';
import { type Kernel } from '@pavlov/kernels';
import {
  type Attribute,
  type Constant,
  type ElementType,
  kernelDomain,
  type Model,
  type Node,
  type ValueInfo,
} from './onnx-encode';

export interface NodeOptions {
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** '' is ONNX itself; 'com.microsoft' holds ONNX Runtime's own operators. */
  readonly domain?: string;
  /** Number of outputs. */
  readonly outputs?: number;
}

export interface ConstantSpec {
  readonly shape: readonly number[];
  readonly type: ElementType;
}

/** Bytes. Masks and shapes repeat, and are smaller; weights do not, and take long to compare. */
const largestShared = 4 * 2 ** 20;

/** Of nodes that only give a name. */
const aliasOp = 'Identity';

/** An ONNX graph under construction. Values are named by strings; every name is assigned once. */
export class Graph {
  private readonly nodes: Node[] = [];
  private readonly constants = new Map<string, Constant>();
  private names = 0;

  /** Adds a node and returns the name of its output. */
  node(op: string, inputs: readonly string[], options: NodeOptions = {}): string {
    return this.nodeWithOutputs(op, inputs, options)[0];
  }

  /** Adds a node and returns the names of all its outputs. */
  nodeWithOutputs(op: string, inputs: readonly string[], options: NodeOptions = {}): string[] {
    const outputs = Array.from({ length: options.outputs ?? 1 }, () => this.freshName(op));
    this.nodes.push({ op, inputs, outputs, attributes: options.attributes ?? {}, domain: options.domain ?? '' });
    return outputs;
  }

  /** Adds a node that a kernel of our own computes, and returns the names of its outputs. */
  kernel(kernel: Kernel, inputs: readonly string[]): string[] {
    const op = this.freshName(kernel.name);
    const outputs = kernel.outputs.map(() => this.freshName(kernel.name));
    this.nodes.push({ op, inputs, outputs, attributes: {}, domain: kernelDomain, kernel });
    return outputs;
  }

  /** The name of a constant; equal constants share one name, unless they are large. Copies `bytes`. */
  constant(bytes: Uint8Array, spec: ConstantSpec): string {
    const content = bytes.length > largestShared ? this.names : createHash('sha256').update(bytes).digest('base64');
    const key = `${spec.type}[${spec.shape.join(',')}]${content}`;
    const known = this.constants.get(key);
    if (known) return known.name;
    const constant = { ...spec, name: this.freshName('constant'), bytes: bytes.slice() };
    this.constants.set(key, constant);
    return constant.name;
  }

  /** A vector of int64, the type of ONNX's shapes and axes. */
  int64s(values: readonly number[]): string {
    const bytes = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    return this.constant(bytes, { shape: [values.length], type: 'int64' });
  }

  /** A float32 vector, or a scalar where `values` is a number. */
  floats(values: number | readonly number[]): string {
    const list = typeof values === 'number' ? [values] : values;
    const bytes = new Uint8Array(Float32Array.from(list).buffer);
    return this.constant(bytes, { shape: typeof values === 'number' ? [] : [list.length], type: 'float32' });
  }

  /** The finished model: what `outputs` depend on, and nothing else. */
  finish(model: { name: string; inputs: readonly ValueInfo[]; outputs: readonly ValueInfo[] }): Model {
    const needed = new Set(model.outputs.map((output) => output.name));
    const nodes: Node[] = [];
    for (let i = this.nodes.length - 1; i >= 0; i--) {
      const node = this.nodes[i];
      if (!node.outputs.some((name) => needed.has(name))) continue;
      nodes.push(node);
      for (const name of node.inputs) needed.add(name);
    }
    const constants = [...this.constants.values()].filter((constant) => needed.has(constant.name));
    return { ...model, nodes: inOrderOfNeed(nodes.reverse()), constants };
  }

  /** Gives `name` to `value`, through an Identity node that ONNX Runtime removes. */
  alias(value: string, name: string): void {
    this.nodes.push({ op: aliasOp, inputs: [value], outputs: [name], attributes: {}, domain: '' });
  }

  private freshName(prefix: string): string {
    return `${prefix}_${this.names++}`;
  }
}

/**
 * ONNX Runtime computes the last leaf first, with all that it needs, then the last but one. In a training step that would be the
 * gradients of the first layer before those of any other; so the leaves are turned round. Factors of a weight's gradient are then
 * in the cache still, and their memory is free for the next layer's.
 */
function inOrderOfNeed(nodes: readonly Node[]): Node[] {
  const aliases = nodes.filter(({ op }) => op === aliasOp);
  const computed = nodes.filter(({ op }) => op !== aliasOp);
  const used = new Set(computed.flatMap(({ inputs }) => inputs));
  const isLeaf = ({ outputs }: Node): boolean => !outputs.some((name) => used.has(name));
  const leaves = computed.filter(isLeaf);
  return [...computed.filter((node) => !isLeaf(node)), ...leaves.reverse(), ...aliases];
}
