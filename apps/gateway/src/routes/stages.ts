import { outputOf, pipelineLinks, type StageCatalogue, stageCatalogue, stageConfigs, stages } from '@pavlov/contracts';
import { z } from 'zod';
import { json, route, type Route } from '../http/route';

type JsonSchema = { readonly default?: unknown; readonly properties?: Readonly<Record<string, JsonSchema>> };

/** The defaults that a JSON Schema names, also those inside of what may be left out. */
function defaultsOf(schema: JsonSchema): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(schema.properties ?? {})
      .filter(([, field]) => field.default !== undefined)
      .map(([name, field]) => [name, field.properties === undefined ? field.default : defaultsOf(field)]),
  );
}

const items = stages.map((stage): StageCatalogue['items'][number] => {
  const schema = z.toJSONSchema(stageConfigs[stage], { io: 'input' }) as Record<string, unknown>;
  return {
    stage,
    makes: outputOf[stage],
    links: pipelineLinks[stage],
    schema,
    defaults: defaultsOf(schema as JsonSchema),
  };
});

const list = route({
  method: 'get',
  path: '/v1/stages',
  tag: 'stages',
  summary: 'The stages, and every option of each',
  answers: { 200: { about: 'The catalogue, in the order of a pipeline.', schema: stageCatalogue } },
  handler: async () => json(200, { items }),
});

export const stageRoutes: readonly Route[] = [list];
