import nx from '@nx/eslint-plugin';
import tseslint from 'typescript-eslint';

const pure = ['express', 'bullmq', 'ioredis', 'pino', 'prom-client', 'multer', '@bull-board/*'];
const tensors = ['@tensorflow/*', 'onnxruntime-node', 'koffi'];

/** What each kind of project may build on; everything not listed is refused. */
const depConstraints = [
  { sourceTag: 'lib:random', onlyDependOnLibsWithTags: [], bannedExternalImports: [...pure, ...tensors] },
  { sourceTag: 'lib:contracts', onlyDependOnLibsWithTags: [], bannedExternalImports: [...pure, ...tensors] },
  {
    sourceTag: 'lib:kernels',
    onlyDependOnLibsWithTags: [],
    bannedExternalImports: [...pure, '@tensorflow/*', 'onnxruntime-node'],
  },
  { sourceTag: 'lib:tensor', onlyDependOnLibsWithTags: ['lib:kernels'], bannedExternalImports: pure },
  {
    sourceTag: 'lib:tokenizer',
    onlyDependOnLibsWithTags: ['lib:contracts', 'lib:random'],
    bannedExternalImports: [...pure, ...tensors],
  },
  {
    sourceTag: 'lib:algorithms',
    onlyDependOnLibsWithTags: ['lib:kernels', 'lib:tensor', 'lib:random'],
    bannedExternalImports: pure,
  },
  {
    sourceTag: 'lib:model',
    onlyDependOnLibsWithTags: ['lib:contracts', 'lib:random', 'lib:tensor', 'lib:tokenizer'],
    bannedExternalImports: pure,
  },
  {
    sourceTag: 'lib:datasets',
    onlyDependOnLibsWithTags: ['lib:contracts', 'lib:random', 'lib:tokenizer'],
    bannedExternalImports: [...pure, ...tensors],
  },
  {
    sourceTag: 'lib:rewards',
    onlyDependOnLibsWithTags: ['lib:contracts', 'lib:random', 'lib:datasets'],
    bannedExternalImports: [...pure, ...tensors],
  },
  {
    sourceTag: 'lib:checkpoint-store',
    onlyDependOnLibsWithTags: ['lib:contracts', 'lib:random'],
    bannedExternalImports: [...pure, ...tensors],
  },
  {
    sourceTag: 'lib:service-kit',
    onlyDependOnLibsWithTags: ['lib:contracts', 'lib:random', 'lib:checkpoint-store'],
    bannedExternalImports: tensors,
  },
  {
    sourceTag: 'lib:testing',
    onlyDependOnLibsWithTags: ['lib:contracts', 'lib:random', 'lib:tensor', 'lib:checkpoint-store', 'lib:service-kit'],
  },
  {
    sourceTag: 'app:gateway',
    onlyDependOnLibsWithTags: [
      'lib:contracts',
      'lib:random',
      'lib:tokenizer',
      'lib:datasets',
      'lib:rewards',
      'lib:checkpoint-store',
      'lib:service-kit',
    ],
    bannedExternalImports: tensors,
  },
  {
    sourceTag: 'app:cli',
    onlyDependOnLibsWithTags: ['lib:contracts', 'lib:random', 'lib:datasets', 'lib:service-kit'],
    bannedExternalImports: tensors,
  },
  {
    sourceTag: 'lib:training',
    onlyDependOnLibsWithTags: [
      'lib:contracts',
      'lib:random',
      'lib:tensor',
      'lib:tokenizer',
      'lib:model',
      'lib:algorithms',
      'lib:datasets',
      'lib:checkpoint-store',
      'lib:service-kit',
    ],
    bannedExternalImports: ['express', 'bullmq', 'ioredis', 'pino', 'prom-client'],
  },
  {
    sourceTag: 'app:stage',
    onlyDependOnLibsWithTags: [
      'lib:contracts',
      'lib:random',
      'lib:tensor',
      'lib:tokenizer',
      'lib:model',
      'lib:algorithms',
      'lib:datasets',
      'lib:rewards',
      'lib:checkpoint-store',
      'lib:service-kit',
      'lib:training',
    ],
    bannedExternalImports: ['express'],
  },
];

export default [
  { ignores: ['dist/**', 'node_modules/**', '.nx/**', '.pavlov/**', 'coverage/**', 'tests/boundaries/fixtures/**'] },
  ...tseslint.configs.recommended.map((config) => ({ ...config, files: ['**/*.ts'] })),
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    plugins: { '@nx': nx },
    rules: {
      '@nx/enforce-module-boundaries': [
        'error',
        {
          depConstraints, // Specs of these libraries stand on `testing`, which itself stands on the libraries.
          ignoredCircularDependencies: [
            ['testing', 'service-kit'],
            ['testing', 'checkpoint-store'],
            ['testing', 'tensor'],
          ],
          enforceBuildableLibDependency: false,
          allow: [],
          banTransitiveDependencies: false,
        },
      ],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      'max-lines': ['error', { max: 500, skipBlankLines: true, skipComments: true }],
      'max-params': ['error', 3],
      'no-console': 'error',
      eqeqeq: 'error',
    },
  },
  { files: ['**/*.spec.ts', 'tests/**/*.ts'], rules: { '@nx/enforce-module-boundaries': 'off' } },
  { files: ['bench/**/*.ts'], rules: { 'no-console': 'off' } },
];
