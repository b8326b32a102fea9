const { readdirSync } = require('node:fs');
const { compilerOptions } = require('./tsconfig.base.json');

const moduleNameMapper = Object.fromEntries(
  Object.entries(compilerOptions.paths).map(([name, [path]]) => [`^${name}$`, `<rootDir>/${path.slice(2)}`]),
);

const project = (displayName, testMatch) => ({
  displayName,
  rootDir: __dirname,
  testEnvironment: 'node',
  testMatch: [testMatch],
  moduleNameMapper,
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.pavlov/'],
  transform: {
    '^.+\\.[cm]?[jt]s$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'commonjs' } },
    ],
  },
  transformIgnorePatterns: ['/node_modules/(?!@huggingface/)'],
});

const names = (folder) => readdirSync(`${__dirname}/${folder}`, { withFileTypes: true }).filter((e) => e.isDirectory()).map((e) => e.name);

/** One jest project for each nx project, plus the suites under tests/. */
module.exports = {
  maxWorkers: 2,
  testTimeout: 60_000,
  projects: [
    ...names('libs').map((name) => project(name, `<rootDir>/libs/${name}/src/**/*.spec.ts`)),
    ...names('apps').map((name) => project(name, `<rootDir>/apps/${name}/src/**/*.spec.ts`)),
    ...names('tests').map((name) => project(name, `<rootDir>/tests/${name}/**/*.spec.ts`)),
  ],
};
