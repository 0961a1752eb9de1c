/** Just enough PDF to save the stand-in's pages: each JPEG on a page of its own. */
export function pdf(pages: { jpeg: Buffer; width: number; height: number; rotate?: number }[]): Buffer {
  const parts: Buffer[] = [];
  const offsets: number[] = [];
  let length = 0;
  const add = (data: string | Buffer): void => {
    const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data;
    parts.push(bytes);
    length += bytes.length;
  };
  const object = (n: number, ...data: (string | Buffer)[]): void => {
    offsets[n] = length;
    add(`${n} 0 obj\n`);
    data.forEach(add);
    add('\nendobj\n');
  };
  add('%PDF-1.7\n');
  object(1, '<</Type/Catalog/Pages 2 0 R>>');
  object(2, `<</Type/Pages/Count ${pages.length}/Kids[${pages.map((_, i) => `${3 + i * 3} 0 R`).join(' ')}]>>`);
  pages.forEach((page, i) => {
    const [w, h] = [595, Math.round((595 * page.height) / page.width)];
    const content = `q ${w} 0 0 ${h} 0 0 cm /I Do Q`;
    object(3 + i * 3, `<</Type/Page/Parent 2 0 R/MediaBox[0 0 ${w} ${h}]/Rotate ${page.rotate ?? 0}/Resources<</XObject<</I ${5 + i * 3} 0 R>>>>/Contents ${4 + i * 3} 0 R>>`);
    object(4 + i * 3, `<</Length ${content.length}>>stream\n${content}\nendstream`);
    object(5 + i * 3, `<</Type/XObject/Subtype/Image/Width ${page.width}/Height ${page.height}/ColorSpace/DeviceRGB/BitsPerComponent 8/Filter/DCTDecode/Length ${page.jpeg.length}>>stream\n`, page.jpeg, '\nendstream');
  });
  const start = length;
  add(`xref\n0 ${offsets.length}\n0000000000 65535 f \n${offsets.slice(1).map((o) => `${String(o).padStart(10, '0')} 00000 n \n`).join('')}trailer\n<</Size ${offsets.length}/Root 1 0 R>>\nstartxref\n${start}\n%%EOF\n`);
  return Buffer.concat(parts);
}
