import { PavlovError } from '@pavlov/contracts';
import { allocateParameters, type Parameters } from '@pavlov/tensor';
import { loadTokenizer, type Tokenizer, type TokenizerFiles } from '@pavlov/tokenizer';
import type { Head, TransformerConfig } from './config';
import { readConfigJson, writeConfigJson, writeGenerationConfigJson } from './hugging-face-config';
import { transformerLayout } from './layout';
import { copyFloats, readSafetensors, type StoredTensor, writeSafetensors } from './safetensors';

/** A Hugging Face model directory: contents by file name. */
export type ModelFiles = Readonly<Record<string, Uint8Array>>;

export interface Model {
  readonly config: TransformerConfig;
  readonly head: Head;
  readonly parameters: Parameters;
  readonly tokenizerFiles: TokenizerFiles;
}

const weightsFile = 'model.safetensors';

/** Where transformers keeps the chat template since version 5. */
const templateFile = 'chat_template.jinja';

/**
 * A model as the files of a Hugging Face directory. Transformers opens it with `AutoModelForCausalLM`, or with
 * `AutoModelForSequenceClassification` for a scalar head. The same model gives the same bytes.
 *
 * @throws PavlovError TOKENIZER_MISMATCH when the tokenizer is not the one that `config` is for
 */
export function saveModelFiles({ config, head, parameters, tokenizerFiles }: Model): ModelFiles {
  const tokenizer = loadTokenizer(tokenizerFiles);
  checkTokenizer(tokenizer, config);
  const { eosId } = tokenizer;
  const texts = {
    'config.json': writeConfigJson({ config, head, eosId }),
    ...(head === 'lm' ? { 'generation_config.json': writeGenerationConfigJson({ config, eosId }) } : {}),
    ...tokenizerFiles,
  };
  const tensors = parameters.layout.entries.map(({ name, shape }) => ({ name, shape, data: parameters.views[name] }));
  return {
    ...Object.fromEntries(Object.entries(texts).map(([name, content]) => [name, new TextEncoder().encode(content)])),
    [weightsFile]: writeSafetensors(tensors),
  };
}

/**
 * Opens the files of a Hugging Face GPT-2 directory; others than the model's and the tokenizer's are ignored. The
 * parameters are a copy of their own.
 *
 * @throws PavlovError CHECKPOINT_CORRUPT, CHECKPOINT_WRONG_KIND or TOKENIZER_MISMATCH
 */
export function loadModelFiles(files: ModelFiles): Model & { readonly tokenizer: Tokenizer } {
  const bytes = (name: string): Uint8Array => {
    const content = files[name];
    if (!content) throw corrupt(name, `${name} is missing`);
    return content;
  };
  const text = (name: string): string => new TextDecoder().decode(bytes(name));
  const tokenizerFiles: TokenizerFiles = {
    'tokenizer.json': text('tokenizer.json'),
    'tokenizer_config.json': withTemplate(
      text('tokenizer_config.json'),
      templateFile in files ? text(templateFile) : undefined,
    ),
    ...('special_tokens_map.json' in files ? { 'special_tokens_map.json': text('special_tokens_map.json') } : {}),
  };
  const tokenizer = loadTokenizer(tokenizerFiles);
  const { config, head } = readConfigJson(text('config.json'), tokenizer.padId);
  checkTokenizer(tokenizer, config);
  const parameters = allocateParameters(transformerLayout(config, head));
  fillParameters(parameters, readSafetensors(bytes(weightsFile)));
  return { config, head, parameters, tokenizer, tokenizerFiles };
}

/** tokenizer_config.json with the chat template in it, which every version of transformers reads. */
function withTemplate(config: string, template: string | undefined): string {
  if (template === undefined) return config;
  try {
    return `${JSON.stringify({ ...JSON.parse(config), chat_template: template }, null, 2)}\n`;
  } catch {
    return config; // not JSON, as the tokenizer will say
  }
}

/** Buffers of causal masks that old versions of transformers saved, and the output map that is tied to the embeddings. */
const redundant = /(\.attn\.(masked_)?bias|^lm_head\.weight)$/;

/** Fills every parameter from the file. Files saved from a bare `GPT2Model` lack the prefix `transformer.`. */
function fillParameters(parameters: Parameters, stored: Map<string, StoredTensor>): void {
  const unused = new Set([...stored.keys()].filter((name) => !redundant.test(name)));
  for (const { name, shape } of parameters.layout.entries) {
    const found = [name, name.replace(/^transformer\./, '')].find((candidate) => unused.delete(candidate));
    const tensor = found === undefined ? undefined : stored.get(found);
    if (!tensor) throw corrupt(weightsFile, `the tensor "${name}" is missing`);
    if (tensor.shape.join() !== shape.join()) {
      throw corrupt(
        weightsFile,
        `the tensor "${name}" has the shape [${tensor.shape.join(', ')}]; config.json asks for [${shape.join(', ')}]`,
      );
    }
    copyFloats(tensor, parameters.views[name]);
  }
  if (unused.size > 0) throw corrupt(weightsFile, `there is no place for the tensor "${[...unused][0]}"`);
}

function checkTokenizer(tokenizer: Tokenizer, config: TransformerConfig): void {
  if (tokenizer.vocabSize <= config.vocabSize && tokenizer.padId === config.padId) return;
  throw new PavlovError({
    code: 'TOKENIZER_MISMATCH',
    field: 'tokenizer.json',
    message: `The tokenizer has ${tokenizer.vocabSize} entries and PAD ${tokenizer.padId}; the model is for ${config.vocabSize} and PAD ${config.padId}.`,
    hint: 'Use the tokenizer that the model was trained with.',
  });
}

function corrupt(file: string, problem: string): PavlovError {
  return new PavlovError({
    code: 'CHECKPOINT_CORRUPT',
    field: file,
    message: `The model cannot be opened: ${problem}.`,
    hint: 'Fetch or write the files again; they are incomplete or of different models.',
  });
}
