import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { finish } from './build/finish.js';
import { sprite } from './build/sprite.js';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: here('.'),
  plugins: [sprite(here('.'), here('../node_modules')), finish(here('dist'), here('../node_modules'))],
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact', legalComments: 'none' },
  resolve: { alias: { '@platen/sdk': here('../sdk/src/index.ts') } },
  build: {
    target: ['chrome107', 'firefox110', 'safari16.4'],
    modulePreload: { polyfill: false },
    cssCodeSplit: false, // what other screens have of their own is little, and compresses best with the rest
    assetsInlineLimit: 0, // the security policy allows no data: addresses
    reportCompressedSize: false,
    rollupOptions: {
      // The SDK's code for roads has a name of its own, so that browser tests put another in its place.
      output: { chunkFileNames: (chunk) => (chunk.facadeModuleId?.endsWith('/sdk/src/road/roads.ts') ? 'assets/road-[hash].js' : 'assets/[name]-[hash].js') },
    },
  },
});
