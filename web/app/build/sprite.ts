import { readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Plugin } from 'vite';

/** The icons taken from lucide-static. Those that it lacks are drawn in app/icons on the same grid. */
export const lucide = [
  'arrow-left', 'arrow-left-to-line', 'arrow-right', 'arrow-right-to-line', 'arrow-up-down', 'bell', 'chart-column', 'check', 'chevron-left',
  'chevron-right', 'circle-alert', 'circle-check', 'clock', 'contrast', 'copy', 'delete', 'download', 'ellipsis-vertical', 'file-text',
  'files', 'globe', 'hard-drive', 'image', 'info', 'key-round', 'languages', 'lock', 'log-out', 'minus', 'pencil', 'plus', 'printer',
  'qr-code', 'refresh-cw', 'rotate-cw', 'server', 'settings', 'share-2', 'sliders-horizontal', 'smartphone', 'square',
  'square-check-big', 'terminal', 'trash-2', 'triangle-alert', 'undo-2', 'user-round', 'users-round', 'wifi-off', 'x', 'zoom-in', 'zoom-out', 'zap',
] as const;

export const own = ['both-sides', 'cover', 'feeder', 'glass', 'jam', 'next-sheet', 'scanner', 'turn-stack'] as const;

const module = 'virtual:sprite';

/** Makes one string of <symbol> elements, so that icons are there with the first paint and when the network is not. */
export function sprite(root: string, packages: string): Plugin {
  const icons = join(packages, 'lucide-static/icons');
  return {
    name: 'platen-sprite',
    resolveId: (id) => (id === module ? `\0${module}` : null),
    load(id) {
      if (id !== `\0${module}`) return null;
      const drawn = readdirSync(join(root, 'icons')).map((f) => basename(f, '.svg'));
      for (const name of own) if (!drawn.includes(name)) this.error(`app/icons has no ${name}.svg`);
      const files = [...lucide.map((name) => join(icons, `${name}.svg`)), ...own.map((name) => join(root, 'icons', `${name}.svg`))];
      return `export default ${JSON.stringify(files.map(symbol).join(''))}`;
    },
  };
}

function symbol(file: string): string {
  const body = /<svg[^>]*>([\s\S]*)<\/svg>/.exec(readFileSync(file, 'utf8'))?.[1];
  if (body === undefined) throw new Error(`${file} is no SVG`);
  return `<symbol id="i-${basename(file, '.svg')}" viewBox="0 0 24 24">${body.replace(/\s*\n\s*/g, ' ').replace(/ \/>/g, '/>').trim()}</symbol>`;
}
