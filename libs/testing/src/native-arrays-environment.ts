import { TestEnvironment } from 'jest-environment-node';

/**
 * Node's own typed arrays inside a spec file, which otherwise has a set of its own: for addons that make arrays and compare
 * their constructors. Use it with `@jest-environment ./libs/testing/src/native-arrays-environment.ts`.
 */
export default class NativeArraysEnvironment extends TestEnvironment {
  override async setup(): Promise<void> {
    await super.setup();
    Object.assign(this.global, { Float32Array, Int32Array });
  }
}
