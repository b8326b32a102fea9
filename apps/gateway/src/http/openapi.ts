import { errorBody, errorCatalogue, type ErrorCode } from '@pavlov/contracts';
import { z } from 'zod';
import { type Answer, type Route } from './route';
import { uploadSchemas } from './uploads';

type Json = Record<string, unknown>;

export interface OpenApiDocument {
  readonly openapi: '3.1.0';
  readonly info: Json;
  readonly tags: readonly Json[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Json>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

/** Errors that any request can meet, and those of a request with a body. */
const general: readonly ErrorCode[] = ['INVALID_REQUEST', 'INTERNAL', 'SERVICE_UNAVAILABLE'];
const ofBodies: readonly ErrorCode[] = ['PAYLOAD_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE'];
const ofJson: readonly ErrorCode[] = ['MALFORMED_JSON', 'UNKNOWN_OPTION'];

type Direction = 'input' | 'output';

/** Turns zod schemas into JSON Schema; what has an id becomes a component that others refer to. */
class Components {
  readonly schemas: Record<string, unknown> = {};

  of(schema: z.ZodType, direction: Direction): Json {
    const { $defs = {}, ...rest } = z.toJSONSchema(schema, { io: direction, target: 'draft-2020-12' }) as Json & {
      $defs?: Json;
    };
    delete rest.$schema;
    const names = new Map(
      Object.keys($defs as Json).map((name) => [
        name,
        direction === 'input' && !name.endsWith('Request') ? `${name}Input` : name,
      ]),
    );
    const refer = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(refer);
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(
        Object.entries(value).map(([key, inner]) => {
          if (key !== '$ref' || typeof inner !== 'string') return [key, refer(inner)];
          const name = inner.replace('#/$defs/', '');
          return [key, `#/components/schemas/${names.get(name) ?? name}`];
        }),
      );
    };
    for (const [name, definition] of Object.entries($defs as Json))
      this.schemas[names.get(name) ?? name] = refer(definition);
    return refer(rest) as Json;
  }
}

const shown = (path: string): string => path.replace('+}', '}');

function parametersOf(route: Route, components: Components): Json[] {
  const places = { path: route.params, query: route.query, header: route.headers } as const;
  return Object.entries(places).flatMap(([place, object]) => {
    if (object === undefined) return [];
    const { properties = {}, required = [] } = components.of(object, 'input') as {
      properties?: Record<string, Json>;
      required?: string[];
    };
    return Object.entries(properties).map(([name, { description, ...schema }]) => ({
      name,
      in: place,
      required: place === 'path' || required.includes(name),
      ...(description === undefined ? {} : { description }),
      schema,
    }));
  });
}

function contentOf(answer: Answer, components: Components): Json {
  if ('schema' in answer) return { 'application/json': { schema: components.of(answer.schema, 'output') } };
  if (answer.event === undefined) return { [answer.mediaType]: { schema: {} } };
  const schema = {
    type: 'string',
    contentMediaType: 'application/json',
    contentSchema: components.of(answer.event, 'output'),
  };
  return { [answer.mediaType]: { schema } };
}

function bodyOf(route: Route, components: Components): Json {
  const { body } = route;
  if (body === undefined) return {};
  if ('json' in body)
    return {
      requestBody: { required: true, content: { 'application/json': { schema: components.of(body.json, 'input') } } },
    };
  const content = Object.entries(uploadSchemas).map(([type, schema]) => [
    type,
    { schema: components.of(schema, 'input') },
  ]);
  return { requestBody: { required: true, content: Object.fromEntries(content) } };
}

function errorsOf(route: Route): ErrorCode[] {
  const bodies = route.body === undefined ? [] : ofBodies;
  const json = route.body === undefined ? [] : ofJson;
  return [...new Set([...general, ...bodies, ...json, ...(route.errors ?? [])])];
}

function failuresOf(route: Route): Json {
  const codes = errorsOf(route);
  const statuses = [...new Set(codes.map((code) => errorCatalogue[code].status))];
  const content = { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } };
  const named = (status: number): string =>
    codes
      .filter((code) => errorCatalogue[code].status === status)
      .map((code) => `\`${code}\``)
      .join(', ');
  return Object.fromEntries(statuses.map((status) => [status, { description: named(status), content }]));
}

function operationOf(route: Route, components: Components): Json {
  const answers = Object.entries(route.answers).map(([status, answer]) => [
    status,
    { description: answer.about, content: contentOf(answer, components) },
  ]);
  return {
    operationId: operationId(route),
    tags: [route.tag],
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    parameters: parametersOf(route, components),
    ...bodyOf(route, components),
    responses: { ...Object.fromEntries(answers), ...failuresOf(route) },
  };
}

/** `post /v1/jobs/{id}/cancel` → `postJobsIdCancel`. */
const operationId = ({ method, path }: Route): string =>
  method +
  [...path.replace(/^\/v1/, '').matchAll(/[a-z]+/gi)].map(([word]) => word[0].toUpperCase() + word.slice(1)).join('');

/** The OpenAPI 3.1 document of the routes, from the schemas that they are checked with. */
export function describeApi(routes: readonly Route[], tags: Readonly<Record<string, string>>): OpenApiDocument {
  const components = new Components();
  components.of(z.object({ error: errorBody }), 'output');
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes)
    paths[shown(route.path)] = { ...paths[shown(route.path)], [route.method]: operationOf(route, components) };
  return {
    openapi: '3.1.0',
    info: {
      title: 'Pavlov',
      version: '1',
      description:
        'RLHF as staged services: submit stages or whole pipelines, watch them, and talk to what they make. Every error has the shape of `Error`, with a stable code.',
    },
    tags: Object.entries(tags).map(([name, description]) => ({ name, description })),
    paths,
    components: { schemas: components.schemas },
  };
}
