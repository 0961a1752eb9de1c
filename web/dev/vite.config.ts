import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

/** For vite-node, which runs the TypeScript of this folder. */
export default defineConfig({
  resolve: { alias: { '@platen/sdk': fileURLToPath(new URL('../sdk/src/index.ts', import.meta.url)) } },
});
