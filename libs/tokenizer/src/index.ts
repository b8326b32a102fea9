export { chatTemplate, defaultSpecialTokens, type SpecialTokens, type TokenizerFiles } from './files';
export { loadTokenizer, type Tokenizer } from './tokenizer';
export { trainByteLevelBpe, type TrainOptions } from './train';
