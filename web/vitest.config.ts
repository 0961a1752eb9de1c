import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: { alias: { '@platen/sdk': fileURLToPath(new URL('sdk/src/index.ts', import.meta.url)) } },
  test: {
    include: ['sdk/test/**/*.test.ts', 'app/test/**/*.test.ts'],
    testTimeout: 15_000,
  },
});
