/** The most bytes of a file that is taken. */
export const most = 64 << 20;

/** The same for people: a little less, and round. */
export const told = 64e6;

/** What is wrong with a file before anything is sent; undefined if nothing is. */
export function faultOf(file: { name: string; type: string; size: number }): 'too-large' | 'not-pdf' | undefined {
  // Some systems know no types, so the ending counts as well.
  if (file.type !== 'application/pdf' && !/\.pdf$/i.test(file.name)) return 'not-pdf';
  return file.size > most ? 'too-large' : undefined;
}

/** What the document is called: the file without its ending. */
export function nameOf(file: string): string {
  return file.replace(/\.pdf$/i, '').trim().slice(0, 200) || 'PDF';
}
