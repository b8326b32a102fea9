import { type Fence, type Store } from '@pavlov/checkpoint-store';
import { PavlovError, type CheckpointKind, type Lineage } from '@pavlov/contracts';
import { loadModelFiles, saveModelFiles, type Head, type ModelFiles, type TransformerConfig } from '@pavlov/model';
import { type Parameters } from '@pavlov/tensor';
import { loadTokenizer, type Tokenizer, type TokenizerFiles } from '@pavlov/tokenizer';

/** A checkpoint taken from the store, ready to compute with. */
export interface LoadedCheckpoint {
  readonly model: TransformerConfig;
  /** The caller's own copy: it may train it in place. */
  readonly parameters: Parameters;
  readonly tokenizer: Tokenizer;
  readonly tokenizerFiles: TokenizerFiles;
}

const membersFolder = 'members/';
/** Where the nth member of an ensemble lies, from 2; the first is the root itself. */
export const memberFolder = (nth: number): string => `${membersFolder}${nth}/`;
/** What a member has of its own; the tokenizer is the root's. */
export const memberFiles = ['config.json', 'model.safetensors'] as const;

const kindOfHead = { lm: 'policy', scalar: 'reward-model' } as const satisfies Record<Head, CheckpointKind>;
const headOfKind = { policy: 'lm', 'reward-model': 'scalar' } as const satisfies Record<CheckpointKind, Head>;

/**
 * Of an ensemble, the member at the root.
 *
 * @throws PavlovError CHECKPOINT_NOT_FOUND, CHECKPOINT_WRONG_KIND or CHECKPOINT_CORRUPT.
 */
export async function loadCheckpoint(
  store: Store,
  { id, head }: { id: string; head: Head },
): Promise<LoadedCheckpoint> {
  const manifest = await store.checkpoints.manifest(id);
  if (manifest.kind !== kindOfHead[head]) {
    throw new PavlovError({
      code: 'CHECKPOINT_WRONG_KIND',
      message: `The checkpoint ${id} is a ${manifest.kind}; a ${kindOfHead[head]} is needed here.`,
      hint: `Give the id of a ${kindOfHead[head]}.`,
    });
  }
  const paths = manifest.files.map(({ path }) => path).filter((path) => !path.startsWith(membersFolder));
  const files = await Promise.all(paths.map(async (path) => [path, await store.checkpoints.read(id, path)] as const));
  const { config: model, parameters, tokenizer, tokenizerFiles } = loadModelFiles(Object.fromEntries(files));
  return { model, parameters, tokenizer, tokenizerFiles };
}

/** Publishes what a job has trained, under the job's own id unless another is given. */
export async function publishCheckpoint(
  context: PublishingContext,
  checkpoint: Pick<LoadedCheckpoint, 'model' | 'parameters' | 'tokenizerFiles'> & {
    id?: string;
    kind: CheckpointKind;
    metrics: Record<string, number>;
    /** All reward models of an ensemble, `parameters` first. */
    members?: readonly Parameters[];
  },
): Promise<void> {
  const { id = context.job.jobId, kind, model, parameters, tokenizerFiles, metrics, members = [] } = checkpoint;
  const tokenizerFingerprint = loadTokenizer(tokenizerFiles).fingerprint;
  const filesOf = (weights: Parameters): ModelFiles =>
    saveModelFiles({ config: model, head: headOfKind[kind], parameters: weights, tokenizerFiles });
  const furtherFiles = members.slice(1).flatMap((member, index) => {
    const files = filesOf(member);
    return memberFiles.map((name) => [memberFolder(index + 2) + name, files[name]] as const);
  });
  await context.store.checkpoints.publish({
    manifest: {
      id,
      kind,
      lineage: await context.lineage(),
      model,
      tokenizerFingerprint,
      metrics,
      ...(members.length > 1 && { members: members.length }),
    },
    files: { ...filesOf(parameters), ...Object.fromEntries(furtherFiles) },
    fence: context.fence,
  });
}

/** What publishing needs of a trainer's context, whatever its stage. */
export interface PublishingContext {
  readonly job: { readonly jobId: string };
  readonly store: Store;
  readonly fence: Fence;
  lineage(): Promise<Lineage>;
}
