export * from './errors';
export * from './rows';
