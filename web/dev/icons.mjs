// Draws app/public/icon-*.png from icon.svg: node dev/icons.mjs
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startChromium } from '../e2e/chromium.mjs';

const folder = join(import.meta.dirname, '../app/public');
// Full square: phones cut their own corners.
const svg = readFileSync(join(folder, 'icon.svg'), 'utf8').replace(' rx="112"', '');
const browser = await startChromium();
for (const size of [180, 192, 512]) {
  const page = await browser.newPage({ viewport: { width: size, height: size } });
  await page.setContent(`<style>body{margin:0}svg{display:block;width:${size}px;height:${size}px}</style>${svg}`);
  writeFileSync(join(folder, `icon-${size}.png`), await page.screenshot());
}
await browser.close();
