export { buildDemoWorld, demoWorldDefaults, type DemoWorld, type DemoWorldOptions } from './demo-world/build';
export { demoWorldFiles, writeDemoWorld } from './demo-world/files';
export { type Grade, type GradedResponse } from './demo-world/oracle';
export { words } from './demo-world/text';
export { distinctBy } from './dedupe';
export {
  encodeDemonstration,
  encodeDemonstrations,
  layOutDemonstrations,
  type EncodedDemonstration,
} from './demonstrations';
export { createDescriber, describeRows, serialiseRows, type DatasetDescription, type Describer } from './describe';
export { importDataset, type DatasetImport, type DatasetSourceFile } from './import';
export { gradeResponse, type OracleName } from './oracles';
export { batchOrder, exampleOrder, type ExampleOrder } from './order';
export { packDocuments, type PackedRows, type PackingOptions, type TokenBatch } from './packing';
export { minimumTokens } from './pre-tokens';
export { asRankedCompletions, parseRow } from './rows';
export { agreementCeiling, simulateRanking, type RankingSimulation, type SimulatedRanking } from './simulated-labeller';
export { splitHeldOut, type HeldOutSplit } from './split';
