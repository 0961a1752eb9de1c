import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';

const shipped = ['preact', 'lucide-static', 'uqr'];
/** Bytes, compressed: of what the first screen waits for, and of everything in one language. */
const budget = { first: 120 * 1024, all: 160 * 1024 };

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

      const page = readFileSync(join(dist, 'index.html'), 'utf8');
      const size = { first: 0, all: 0, en: 0, de: 0 };
      for (const file of walk(dist)) {
        if (!/\.(js|css|html|svg|webmanifest|txt)$/.test(file)) continue;
        const bytes = readFileSync(file);
        const gzip = gzipSync(bytes, { level: 9 });
        const brotli = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } });
        writeFileSync(`${file}.gz`, gzip);
        writeFileSync(`${file}.br`, brotli);
        if (!/\.(js|css)$/.test(file)) continue;
        const language = /\.(en|de)-[^.]*\.js$/.exec(file)?.[1] as 'en' | 'de' | undefined; // the texts of one are fetched
        size[language ?? 'all'] += gzip.length;
        if (page.includes(basename(file))) size.first += gzip.length;
      }
      size.all += Math.max(size.en, size.de);
      const kib = (bytes: number): string => (bytes / 1024).toFixed(1);
      this.info(`JavaScript and CSS: ${kib(size.first)} KiB gzip at first, of ${kib(budget.first)}; ${kib(size.all)} in one language, of ${kib(budget.all)}`);
      if (size.first > budget.first) this.error(`the first screen waits for ${size.first} bytes compressed; the budget is ${budget.first}`);
      if (size.all > budget.all) this.error(`the app in one language is ${size.all} bytes compressed; the budget is ${budget.all}`);
    },
  };
}

function walk(dir: string): string[] {
  return readdirSync(dir).flatMap((name) => {
    const path = join(dir, name);
    return statSync(path).isDirectory() ? walk(path) : [path];
  });
}
