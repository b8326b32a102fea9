import { type ErrorCode } from '@pavlov/contracts';
import { type Readable } from 'node:stream';
import { type z } from 'zod';
import { type Services } from '../services';
import { type Upload } from './uploads';

export type Method = 'get' | 'post' | 'put';

/** What a handler answers: a JSON body, bytes as they come, or live events. */
export type Reply =
  | { readonly status: number; readonly body: unknown; readonly headers?: Readonly<Record<string, string>> }
  | { readonly status: 200; readonly stream: Readable; readonly headers: Readonly<Record<string, string>> }
  | { readonly status: 200; readonly events: AsyncIterable<ServerEvent> };

/** One message of a stream of server-sent events. The browser sends the id of the last one when it reconnects. */
export interface ServerEvent {
  readonly id: string;
  readonly data: unknown;
}

/** What a route answers when all is well: a JSON schema, or the media type of what is not JSON. */
export type Answer = { readonly about: string } & (
  { readonly schema: z.ZodType } | { readonly mediaType: string; readonly event?: z.ZodType }
);

interface Shapes {
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly headers?: z.ZodObject;
}

/** `json`: a body that a schema describes. `upload`: files, sent in any of the ways that uploads.ts knows. */
type BodyShape = { readonly json: z.ZodType } | { readonly upload: true };

type Parsed<S> = S extends z.ZodType ? z.infer<S> : Record<string, never>;
type ParsedBody<B> = B extends { json: infer S } ? Parsed<S> : B extends { upload: true } ? Upload : undefined;

export interface RouteRequest<P = unknown, Q = unknown, H = unknown, B = unknown> {
  readonly params: P;
  readonly query: Q;
  readonly headers: H;
  readonly body: B;
  /** Fires when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

interface RouteTexts {
  readonly method: Method;
  /** As in OpenAPI: `/v1/jobs/{id}`. A last `{path+}` takes the rest, slashes and all. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly answers: Readonly<Record<number, Answer>>;
  /** Errors of this route beside those that any request can meet. */
  readonly errors?: readonly ErrorCode[];
}

export interface Route extends RouteTexts, Shapes {
  readonly body?: BodyShape;
  readonly handler: (request: RouteRequest, services: Services) => Promise<Reply>;
}

interface TypedRoute<P, Q, H, B> extends RouteTexts {
  readonly params?: P;
  readonly query?: Q;
  readonly headers?: H;
  readonly body?: B;
  readonly handler: (
    request: RouteRequest<Parsed<P>, Parsed<Q>, Parsed<H>, ParsedBody<B>>,
    services: Services,
  ) => Promise<Reply>;
}

/** Types a handler's request by the schemas of its route. */
export const route = <
  P extends z.ZodObject | undefined = undefined,
  Q extends z.ZodObject | undefined = undefined,
  H extends z.ZodObject | undefined = undefined,
  B extends BodyShape | undefined = undefined,
>(
  typed: TypedRoute<P, Q, H, B>,
): Route => typed as Route;

export const json = (status: number, body: unknown): Reply => ({ status, body });
