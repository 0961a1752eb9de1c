// Runs the stand-in service of web/dev, which is TypeScript, inside this process.
import { join } from 'node:path';
import { createServer } from 'vite';
import { ViteNodeRunner } from 'vite-node/client';
import { ViteNodeServer } from 'vite-node/server';

const root = join(import.meta.dirname, '../dev');

export async function loadMock() {
  const vite = await createServer({
    root, configFile: join(root, 'vite.config.ts'), logLevel: 'error', appType: 'custom',
    server: { middlewareMode: true, hmr: false, watch: null },
  });
  const node = new ViteNodeServer(vite);
  const runner = new ViteNodeRunner({
    root: vite.config.root, base: vite.config.base,
    fetchModule: (id) => node.fetchModule(id),
    resolveId: (id, importer) => node.resolveId(id, importer),
  });
  const { startMock } = await runner.executeFile(join(root, 'mock.ts'));
  return { startMock, end: () => vite.close() };
}
