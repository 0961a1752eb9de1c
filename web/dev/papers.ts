/**
 * The sheets that the stand-in service scans: letters, an invoice, a plan and a photo, drawn by
 * Chromium once and kept as JPEGs in a temporary folder.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startChromium } from '../e2e/chromium.mjs';

export interface Sheet {
  jpeg: Buffer;
  width: number;
  height: number;
  /** Thumbnail of 240 pixels. */
  small: Buffer;
}

const cache = join(tmpdir(), 'platen-dev-papers-1');
const words = ('Die Sitzung beginnt um neun Uhr im grossen Saal. The lamp warms before the first line is read, and the sheet follows the rollers at an even pace. ' +
  'Payment is due within thirty days of the date above. Bitte den unteren Abschnitt ausfüllen und zurücksenden. Every page keeps its own number. ').repeat(12);

const style = 'body{margin:0;background:#fff;color:#1c1c1c;font:15px/1.55 Georgia,"DejaVu Serif",serif}main{padding:84px 92px}h1{font-size:30px;margin:0 0 22px}td,th{border-bottom:1px solid #aaa;padding:7px 10px;text-align:left}table{border-collapse:collapse;width:100%;font:13px "DejaVu Sans",sans-serif}.foot{position:absolute;bottom:40px;left:92px;right:92px;color:#666;font-size:12px;display:flex;justify-content:space-between}';

function html(kind: number, n: number): string {
  const foot = `<div class="foot"><span>Platen test sheet</span><span>${n}</span></div>`;
  switch (kind) {
    case 1:
      return `<main><p style="text-align:right">Zürich, 22. November 2026</p><h1>Invoice ${2026000 + n}</h1><table><tr><th>Item<th>Qty<th>Price</tr>${Array.from({ length: 14 }, (_, i) => `<tr><td>Roller set, type ${String.fromCharCode(65 + i)}<td>${i + 1}<td>${(i * 17.35 + 12).toFixed(2)}</tr>`).join('')}</table><p>${words.slice(0, 400)}</p></main>${foot}`;
    case 2:
      return `<div style="position:absolute;inset:0;background:linear-gradient(175deg,#7db7e8 0,#cfe6f5 38%,#f3d9a4 52%,#6f8f4e 53%,#2f5530 100%)"></div><div style="position:absolute;left:58%;top:17%;width:150px;height:150px;border-radius:50%;background:#fff3c4;box-shadow:0 0 90px #fff3c4"></div><div style="position:absolute;left:0;right:0;top:41%;height:20%;background:#41597a;clip-path:polygon(0 100%,18% 30%,30% 70%,48% 5%,66% 62%,80% 28%,100% 90%,100% 100%)"></div>`;
    case 3:
      return `<main><h1>${n}. Floor plan</h1><svg viewBox="0 0 640 700" width="640" height="700" fill="none" stroke="#333" stroke-width="3"><path d="M20 20h600v560H20zM20 260h260v320M280 260h140M420 20v340h200M420 420v160"/><path d="M280 180a80 80 0 0 1 80 80M500 360a60 60 0 0 1-60 60" stroke="#0B5CAD"/><g font-family="DejaVu Sans" font-size="20" fill="#333" stroke="none"><text x="90" y="150">Office</text><text x="90" y="440">Archive</text><text x="470" y="190">Meeting</text><text x="470" y="500">Kitchen</text></g></svg></main>${foot}`;
    default:
      return `<main><p>Contoso Ltd<br>12 Harbour Street</p><h1>Letter ${n}</h1><p>${words.slice(n * 7, 900 + n * 7)}</p><p>${words.slice(900, 1700)}</p><p>${words.slice(300, 900)}</p><p style="font-style:italic;font-size:22px;margin-top:30px">A. Meier</p></main>${foot}`;
  }
}

export async function papers(count = 12): Promise<Sheet[]> {
  const file = (i: number, size: string): string => join(cache, `${i}-${size}.jpg`);
  if (!existsSync(file(count - 1, 'small'))) {
    mkdirSync(cache, { recursive: true });
    const browser = await startChromium();
    const page = await browser.newPage({ viewport: { width: 794, height: 1123 }, deviceScaleFactor: 1.5 });
    const small = await browser.newPage({ viewport: { width: 794, height: 1123 }, deviceScaleFactor: 240 / 794 });
    for (let i = 0; i < count; i++) {
      for (const [p, size] of [[page, 'full'], [small, 'small']] as const) {
        await p.setContent(`<style>${style}</style>${html([0, 1, 0, 3, 0, 2][i % 6]!, i + 1)}`);
        writeFileSync(file(i, size), await p.screenshot({ type: 'jpeg', quality: 80 }));
      }
    }
    await browser.close();
  }
  return Array.from({ length: count }, (_, i) => {
    const jpeg = readFileSync(file(i, 'full'));
    return { jpeg, small: readFileSync(file(i, 'small')), ...sizeOf(jpeg) };
  });
}

/** Width and height from the frame header of a JPEG. */
function sizeOf(jpeg: Buffer): { width: number; height: number } {
  for (let at = 2; at < jpeg.length; ) {
    const marker = jpeg[at + 1]!;
    if (marker >= 0xc0 && marker <= 0xc2) return { height: jpeg.readUInt16BE(at + 5), width: jpeg.readUInt16BE(at + 7) };
    at += 2 + jpeg.readUInt16BE(at + 2);
  }
  throw new Error('no frame header');
}
