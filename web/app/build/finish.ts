import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';

const shipped = ['preact', 'lucide-static', 'uqr'];
const budget = 120 * 1024;

/** Puts the licences of what is shipped beside it, compresses what is text, and holds the size to its budget. */
export function finish(dist: string, packages: string): Plugin {
  return {
    name: 'platen-finish',
    apply: 'build',
    closeBundle() {
      const texts = shipped.map((name) => {
        const folder = join(packages, name);
        const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
        return `${name} ${version}\n\n${readFileSync(join(folder, 'LICENSE'), 'utf8').trim()}\n`;
      });
      writeFileSync(join(dist, 'licences.txt'), texts.join(`\n${'-'.repeat(72)}\n\n`));
      writeFileSync(join(dist, '.keep'), '');

      let size = 0;
      for (const file of walk(dist)) {
        if (!/\.(js|css|html|svg|webmanifest|txt)$/.test(file)) continue;
        const bytes = readFileSync(file);
        const gzip = gzipSync(bytes, { level: 9 });
        const brotli = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } });
        writeFileSync(`${file}.gz`, gzip);
        writeFileSync(`${file}.br`, brotli);
        if (/\.(js|css)$/.test(file)) size += gzip.length;
      }
      this.info(`JavaScript and CSS: ${(size / 1024).toFixed(1)} KiB gzip, of ${budget / 1024}`);
      if (size > budget) this.error(`the app is ${size} bytes compressed; the budget is ${budget}`);
    },
  };
}

function walk(dir: string): string[] {
  return readdirSync(dir).flatMap((name) => {
    const path = join(dir, name);
    return statSync(path).isDirectory() ? walk(path) : [path];
  });
}
