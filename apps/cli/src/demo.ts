import { type DatasetKind, type DatasetManifest, type EvaluationReport, type PipelineView } from '@pavlov/contracts';
import { buildDemoWorld } from '@pavlov/datasets';
import { writeFile } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { demoPipeline, type DemoDatasets } from './demo-pipeline';
import { demoReport, renderReport } from './demo-report';
import { createClient, type Client } from './http';
import { createProgressDisplay } from './progress-display';
import { describeAddresses, startInstallation } from './up';

export interface DemoOptions {
  readonly home: string;
  readonly port: number;
  readonly seed: number;
  readonly reportFile?: string;
  /** Take the services down at the end. */
  readonly exit: boolean;
}

/** `pavlov demo`: does over HTTP what an operator would do, and shows what comes of it. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const started = performance.now();
  const installation = await startInstallation(options);
  const { services } = installation;
  const client = createClient(services.addresses.gateway);
  process.stdout.write(`\n${describeAddresses(services)}\n`);

  try {
    const report = await Promise.race([
      runPipeline(client, options),
      services.broken.then((error) => Promise.reject(error)),
    ]);
    const seconds = (performance.now() - started) / 1000;
    const summary = demoReport({ ...report, seed: options.seed, seconds });
    process.stdout.write(renderReport(summary, report.evaluation));
    if (options.reportFile !== undefined) await writeFile(options.reportFile, `${JSON.stringify(summary, null, 2)}\n`);
  } catch (error) {
    await installation.stop();
    throw error;
  }

  if (options.exit) {
    await installation.stop();
  } else {
    services.leave();
    process.stdout.write(`\nThe services stay up; \`npm stop\` takes them down.\n\n${describeAddresses(services)}\n`);
  }
  return 0;
}

/** Uploads the demo world, submits the pipeline and follows it to its end. */
async function runPipeline(
  client: Client,
  { seed }: DemoOptions,
): Promise<{ pipeline: PipelineView; evaluation: EvaluationReport }> {
  const datasets = await uploadDemoWorld(client, seed);
  const submitted = await client.post<PipelineView>('/v1/pipelines', demoPipeline(datasets, seed));
  process.stdout.write(`\nPipeline ${submitted.id}, seed ${seed}\n\n`);
  const pipeline = await follow(client, submitted.id);
  const evaluationId = pipeline.jobs.find((job) => job.stage === 'evaluation')?.id;
  const { report } = await client.get<{ report: EvaluationReport }>(`/v1/reports/${evaluationId}`);
  return { pipeline, evaluation: report };
}

async function uploadDemoWorld(client: Client, seed: number): Promise<DemoDatasets> {
  const world = buildDemoWorld({ seed });
  const upload = async (name: string, kind: DatasetKind, rows: readonly unknown[]): Promise<string> => {
    const text = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
    const { id } = await client.upload<DatasetManifest>(`/v1/datasets?kind=${kind}&name=${name}`, {
      text,
      type: 'application/x-ndjson',
    });
    return id;
  };
  return {
    corpus: await upload(
      'demo-corpus',
      'text',
      world.corpus.map((text) => ({ text })),
    ),
    demonstrations: await upload('demo-demonstrations', 'demonstrations', world.demonstrations),
    prompts: await upload('demo-prompts', 'prompts', world.prompts),
    testPrompts: await upload('demo-test-prompts', 'prompts', world.testPrompts),
  };
}

async function follow(client: Client, id: string): Promise<PipelineView> {
  const display = createProgressDisplay(process.stdout);
  try {
    for (;;) {
      const pipeline = await client.get<PipelineView>(`/v1/pipelines/${id}`);
      display.update(pipeline.jobs);
      if (pipeline.state === 'completed') return pipeline;
      if (pipeline.state === 'failed' || pipeline.state === 'cancelled') {
        const broken = pipeline.jobs.find((job) => job.error !== undefined);
        throw new Error(
          `The pipeline ${pipeline.state} in ${broken?.stage}: ${broken?.error?.message} ${broken?.error?.hint}`,
        );
      }
      await sleep(400);
    }
  } finally {
    display.close();
  }
}
