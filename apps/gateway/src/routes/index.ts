import { type Route } from '../http/route';
import { checkpointRoutes } from './checkpoints';
import { completionRoutes } from './completions';
import { datasetRoutes } from './datasets';
import { jobRoutes } from './jobs';
import { pipelineRoutes } from './pipelines';
import { reportRoutes } from './reports';
import { rewardFunctionRoutes } from './reward-functions';
import { stageRoutes } from './stages';
import { systemRoutes } from './system';

/** Every route of the API. The OpenAPI document and the server are both made from this table. */
export const routes: readonly Route[] = [
  ...pipelineRoutes,
  ...jobRoutes,
  ...datasetRoutes,
  ...checkpointRoutes,
  ...reportRoutes,
  ...completionRoutes,
  ...stageRoutes,
  ...rewardFunctionRoutes,
  ...systemRoutes,
];

export const tags: Readonly<Record<string, string>> = {
  pipelines: 'Several stages in a row, from raw text to an aligned model.',
  jobs: 'Single stages, alone or of a pipeline.',
  datasets: 'Rows to learn from and to ask: upload, validate, list.',
  checkpoints: 'Models that jobs have made; each is a Hugging Face model directory.',
  reports: 'What evaluations found.',
  completions: 'Answers of any policy.',
  stages: 'What each stage can be told.',
  system: 'The gateway itself.',
};
