import { type Store } from '@pavlov/checkpoint-store';
import {
  type ArtifactKind,
  type DatasetManifest,
  type JobInput,
  inputsOf,
  type JobPayload,
  outputsOf,
  type StageName,
} from '@pavlov/contracts';
import { loadTokenizer, type Tokenizer } from '@pavlov/tokenizer';

/** What is known of a model before it exists: a planned one is like the one it is made from. */
export interface ModelFacts {
  readonly contextLength: number;
  readonly width: number;
  /** Of a reward model that is an ensemble, how many it holds; else 1. */
  readonly members: number;
  /** Equal for models that can read each other’s tokens. */
  readonly tokenizerName: string;
  /** The tokenizer, unless it is still to be trained. */
  readonly tokenizer?: Tokenizer;
}

export interface FoundArtifact {
  readonly kind: ArtifactKind;
  /** Of a dataset that exists. */
  readonly dataset?: DatasetManifest;
}

/** What the jobs of one submission build on: artefacts of the store, and those that the submission itself will make. */
export interface Facts {
  /** An artefact that exists, or that an earlier job makes. */
  find(id: string, reader: JobPayload): Promise<FoundArtifact | undefined>;
  /** @throws PavlovError CHECKPOINT_NOT_FOUND */
  model(id: string): Promise<ModelFacts>;
  /** @throws PavlovError DATASET_NOT_FOUND */
  dataset(id: string): Promise<DatasetManifest>;
  /** The job of this submission that will make the artefact. */
  maker(id: string): JobPayload | undefined;
}

export const isOf = <S extends StageName>(job: JobPayload, stage: S): job is JobPayload<S> => job.stage === stage;

export const inputsOfJob = <S extends StageName>({ stage, config }: JobPayload<S>): JobInput[] =>
  inputsOf[stage](config);

/** The checkpoints that a job reads. */
export const modelsOf = (payload: JobPayload): string[] =>
  inputsOfJob(payload)
    .filter(({ kind }) => kind === 'policy' || kind === 'reward-model')
    .map(({ id }) => id);

/** Opens the tokenizers of checkpoints; each is opened once, however many checkpoints have it. */
export function createTokenizerCache(store: Store): (checkpoint: string, fingerprint: string) => Promise<Tokenizer> {
  const opened = new Map<string, Promise<Tokenizer>>();
  const open = async (checkpoint: string): Promise<Tokenizer> => {
    const read = async (path: string): Promise<string> =>
      (await store.checkpoints.read(checkpoint, path)).toString('utf8');
    return loadTokenizer({
      'tokenizer.json': await read('tokenizer.json'),
      'tokenizer_config.json': await read('tokenizer_config.json'),
    });
  };
  return (checkpoint, fingerprint) => {
    const tokenizer = opened.get(fingerprint) ?? open(checkpoint);
    opened.set(fingerprint, tokenizer);
    tokenizer.catch(() => opened.delete(fingerprint));
    return tokenizer;
  };
}

const membersOf = (job: JobPayload): number =>
  isOf(job, 'reward-modeling') && job.config.keep === 'ensemble' ? job.config.seeds : 1;

interface FactsOptions {
  readonly store: Store;
  readonly jobs: readonly JobPayload[];
  readonly tokenizerOf: ReturnType<typeof createTokenizerCache>;
}

export function gatherFacts({ store, jobs, tokenizerOf }: FactsOptions): Facts {
  const planned = new Map(jobs.flatMap((job) => outputsOf(job).map(({ id, kind }) => [id, { job, kind }])));
  const maker = (id: string): JobPayload | undefined => planned.get(id)?.job;

  async function model(id: string): Promise<ModelFacts> {
    const job = maker(id);
    if (job !== undefined && isOf(job, 'pretraining')) {
      const { contextLength, width } = job.config.model;
      return { contextLength, width, members: 1, tokenizerName: `trained by ${id}` };
    }
    const parent = job === undefined ? undefined : inputsOfJob(job).find(({ field }) => field === 'policy');
    if (job !== undefined && parent !== undefined) return { ...(await model(parent.id)), members: membersOf(job) };
    const { model: shape, tokenizerFingerprint, members = 1 } = await store.checkpoints.manifest(id);
    const { contextLength, width } = shape;
    const tokenizer = await tokenizerOf(id, tokenizerFingerprint);
    return { contextLength, width, members, tokenizerName: tokenizerFingerprint, tokenizer };
  }

  return {
    maker,
    model,
    dataset: (id) => store.datasets.manifest(id),
    find: async (id, reader) => {
      const made = planned.get(id);
      if (made !== undefined && jobs.indexOf(made.job) < jobs.indexOf(reader)) return { kind: made.kind };
      const dataset = await store.datasets.find(id);
      if (dataset !== undefined) return { kind: dataset.kind, dataset };
      const checkpoint = await store.checkpoints.find(id);
      return checkpoint && { kind: checkpoint.kind };
    },
  };
}
