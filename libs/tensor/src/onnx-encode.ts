/**
 * Writes ONNX models: the few messages of onnx.proto that a graph needs, in Protocol Buffers' wire format.
 * Field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
 */

import { type Kernel } from '@pavlov/kernels';

/** Element types, as in TensorProto.DataType. */
export const elementTypes = { float32: 1, uint8: 2, int32: 6, int64: 7, bool: 9 } as const;
export type ElementType = keyof typeof elementTypes;

/** An attribute is an integer, a list of integers or a string; floats are wrapped, since 1 could be either. */
export type Attribute = number | readonly number[] | string | { readonly float: number };

export interface Node {
  /** Of a kernel of our own, any name that no other node has. */
  readonly op: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  /** Machine code that computes the node; it is in the domain 'pavlov' then. */
  readonly kernel?: Kernel;
}

export interface Constant {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: ElementType;
  readonly bytes: Uint8Array;
}

export interface ValueInfo {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: ElementType;
}

export interface Model {
  readonly name: string;
  readonly nodes: readonly Node[];
  readonly constants: readonly Constant[];
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
}

/** Of the nodes that are computed by kernels of our own. */
export const kernelDomain = 'pavlov';

/** What ONNX Runtime cannot infer: shapes and types of what kernels give. */
const kernelResults = ({ kernel, outputs }: Node): ValueInfo[] =>
  kernel ? outputs.map((name, i) => ({ name, ...kernel.outputs[i] })) : [];

/** Operator set of the default domain. */
const opset = 20;
const irVersion = 9;

const wireVarint = 0;
const wireBytes = 2;
const wireFixed32 = 5;

/** A message under construction: a list of byte runs, joined once at the end. */
class Message {
  private readonly parts: Uint8Array[] = [];
  private length = 0;

  bytes(field: number, value: Uint8Array): this {
    return this.tag(field, wireBytes).varint(value.length).append(value);
  }

  text(field: number, value: string): this {
    return this.bytes(field, Buffer.from(value, 'utf8'));
  }

  integer(field: number, value: number): this {
    return this.tag(field, wireVarint).varint(value);
  }

  float(field: number, value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatLE(value);
    return this.tag(field, wireFixed32).append(bytes);
  }

  message(field: number, value: Message): this {
    this.tag(field, wireBytes).varint(value.length);
    this.parts.push(...value.parts);
    this.length += value.length;
    return this;
  }

  finish(): Uint8Array {
    return Buffer.concat(this.parts, this.length);
  }

  private tag(field: number, wire: number): this {
    return this.varint(field * 8 + wire);
  }

  /** Negative numbers are written as 64-bit two's complement, as int64 fields ask for. */
  private varint(value: number): this {
    const bytes: number[] = [];
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest >= 128n) {
      bytes.push(Number(rest & 127n) | 128);
      rest >>= 7n;
    }
    bytes.push(Number(rest));
    return this.append(Uint8Array.from(bytes));
  }

  private append(bytes: Uint8Array): this {
    this.parts.push(bytes);
    this.length += bytes.length;
    return this;
  }
}

/** Serialises `model` as an ONNX ModelProto. */
export function encodeModel(model: Model): Uint8Array {
  const graph = new Message();
  for (const node of model.nodes) graph.message(1, encodeNode(node));
  graph.text(2, model.name);
  for (const constant of model.constants) graph.message(5, encodeConstant(constant));
  for (const input of model.inputs) graph.message(11, encodeValueInfo(input));
  for (const output of model.outputs) graph.message(12, encodeValueInfo(output));
  for (const value of model.nodes.flatMap(kernelResults)) graph.message(13, encodeValueInfo(value));
  return new Message()
    .integer(1, irVersion)
    .text(2, 'pavlov')
    .message(7, graph)
    .message(8, new Message().text(1, '').integer(2, opset))
    .message(8, new Message().text(1, 'com.microsoft').integer(2, 1))
    .message(8, new Message().text(1, kernelDomain).integer(2, 1))
    .finish();
}

function encodeNode(node: Node): Message {
  const message = new Message();
  for (const input of node.inputs) message.text(1, input);
  for (const output of node.outputs) message.text(2, output);
  message.text(3, node.outputs[0]).text(4, node.op);
  for (const [name, value] of Object.entries(node.attributes)) message.message(5, encodeAttribute(name, value));
  return node.domain === '' ? message : message.text(7, node.domain);
}

const attributeTypes = { float: 1, int: 2, string: 3, ints: 7 };

function encodeAttribute(name: string, value: Attribute): Message {
  const message = new Message().text(1, name);
  if (typeof value === 'number') return message.integer(3, value).integer(20, attributeTypes.int);
  if (typeof value === 'string') return message.text(4, value).integer(20, attributeTypes.string);
  if ('float' in value) return message.float(2, value.float).integer(20, attributeTypes.float);
  for (const item of value) message.integer(8, item);
  return message.integer(20, attributeTypes.ints);
}

function encodeConstant(constant: Constant): Message {
  const message = new Message();
  for (const size of constant.shape) message.integer(1, size);
  return message.integer(2, elementTypes[constant.type]).text(8, constant.name).bytes(9, constant.bytes);
}

function encodeValueInfo(value: ValueInfo): Message {
  const shape = new Message();
  for (const size of value.shape) shape.message(1, new Message().integer(1, size));
  const tensor = new Message().integer(1, elementTypes[value.type]).message(2, shape);
  return new Message().text(1, value.name).message(2, new Message().message(1, tensor));
}
