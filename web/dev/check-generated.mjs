// Fails if sdk/src/api.gen.ts is not what the contract gives now.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const web = join(import.meta.dirname, '..');
const dir = mkdtempSync(join(tmpdir(), 'platen-api-'));
try {
  const fresh = join(dir, 'api.gen.ts');
  const { scripts } = JSON.parse(readFileSync(join(web, 'package.json'), 'utf8'));
  const args = scripts.generate.split(' ').slice(1).map((a) => (a === 'sdk/src/api.gen.ts' ? fresh : a));
  execFileSync(join(web, 'node_modules/.bin/openapi-typescript'), args, { cwd: web, stdio: 'pipe' });
  if (readFileSync(fresh, 'utf8') !== readFileSync(join(web, 'sdk/src/api.gen.ts'), 'utf8')) {
    console.error('web/sdk/src/api.gen.ts is stale. Run: npm run generate --prefix web');
    process.exit(1);
  }
} finally {
  rmSync(dir, { recursive: true });
}
