import { describe, expect, it } from 'vitest';
import { SSEParser, maxMessage, type SSEMessage } from '../src/sse.js';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function parse(chunks: Uint8Array[]): { messages: SSEMessage[]; retries: number[] } {
  const messages: SSEMessage[] = [];
  const retries: number[] = [];
  const parser = new SSEParser((m) => messages.push(m), (ms) => retries.push(ms));
  for (const chunk of chunks) parser.push(chunk);
  return { messages, retries };
}

const m = (data: string, id = '', event = 'message'): SSEMessage => ({ data, id, event });

const table: { name: string; text: string; want: SSEMessage[]; retries?: number[] }[] = [
  { name: 'nothing', text: '', want: [] },
  { name: 'a message', text: 'data: x\n\n', want: [m('x')] },
  { name: 'unfinished at the end', text: 'data: x\n', want: [] },
  { name: 'only one blank is eaten', text: 'data:  x \n\ndata:y\n\n', want: [m(' x '), m('y')] },
  { name: 'several data lines', text: 'data: a\ndata\ndata: b\n\n', want: [m('a\n\nb')] },
  { name: 'CR', text: 'data: a\r\rdata: b\r\r', want: [m('a'), m('b')] },
  { name: 'CRLF', text: 'data: a\r\n\r\ndata: b\r\n\r\n', want: [m('a'), m('b')] },
  { name: 'mixed ends', text: 'data: a\r\n\ndata: b\n\r\n', want: [m('a'), m('b')] },
  { name: 'event and id', text: 'id: 7.1\nevent: job-state\ndata: {}\n\n', want: [m('{}', '7.1', 'job-state')] },
  { name: 'the id stays, the event does not', text: 'id: 1\nevent: e\ndata: a\n\ndata: b\n\n', want: [m('a', '1', 'e'), m('b', '1')] },
  { name: 'an id without data counts later', text: 'id: 9\n\ndata: a\n\n', want: [m('a', '9')] },
  { name: 'an id with NUL is ignored', text: 'id: 1\nid: 2\0\ndata: a\n\n', want: [m('a', '1')] },
  { name: 'an empty id forgets', text: 'id: 1\ndata: a\n\nid\ndata: b\n\n', want: [m('a', '1'), m('b', '')] },
  { name: 'comments', text: ': keep-alive\n\n:\ndata: a\n: in between\ndata: b\n\n', want: [m('a\nb')] },
  { name: 'unknown fields', text: 'dataset: 1\nfoo\n data: 2\ndata: a\n\n', want: [m('a')] },
  { name: 'retry', text: 'retry: 1500\nretry: -1\nretry: 1s\ndata: a\n\n', want: [m('a')], retries: [1500] },
  { name: 'UTF-8', text: 'data: Zürich 🖨 €\n\n', want: [m('Zürich 🖨 €')] },
  { name: 'byte order mark', text: '\uFEFFdata: a\n\n', want: [m('a')] },
  { name: 'colons in data', text: 'data: {"a":"b:c"}\n\n', want: [m('{"a":"b:c"}')] },
  { name: 'blank lines dispatch nothing', text: '\n\n\nevent: e\n\ndata: a\n\n', want: [m('a')] },
];

describe('SSEParser', () => {
  for (const row of table) {
    it(`${row.name}, cut at every two places`, () => {
      const bytes = encode(row.text);
      for (let i = 0; i <= bytes.length; i++) {
        for (let k = i; k <= bytes.length; k++) {
          const got = parse([bytes.subarray(0, i), bytes.subarray(i, k), bytes.subarray(k)]);
          expect(got, `cut at ${i} and ${k}`).toEqual({ messages: row.want, retries: row.retries ?? [] });
        }
      }
    });
    it(`${row.name}, byte by byte`, () => {
      expect(parse(Array.from(encode(row.text), (b) => Uint8Array.of(b))).messages).toEqual(row.want);
    });
  }

  it('takes any bytes without failing, the same for every cut', () => {
    let seed = 42;
    const random = (n: number): number => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % n;
    const pieces = ['data', 'id', 'event', ':', ' ', '\n', '\r', '\r\n', '\0', 'é', '🖨', 'retry', '\uFEFF', 'x'].map(encode);
    pieces.push(Uint8Array.of(0xff), Uint8Array.of(0xc3));
    for (let round = 0; round < 500; round++) {
      const parts = Array.from({ length: 30 }, () => pieces[random(pieces.length)]!);
      const whole = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
      let at = 0;
      for (const p of parts) {
        whole.set(p, at);
        at += p.length;
      }
      const cut = random(whole.length + 1);
      expect(parse([whole.subarray(0, cut), whole.subarray(cut)])).toEqual(parse([whole]));
    }
  });

  it('drops a message that is too long and goes on', () => {
    const long = 'x'.repeat(maxMessage + 1);
    expect(parse([encode(`data: ${long}\n\ndata: a\n\n`)]).messages).toEqual([m('a')]);
    const half = 'x'.repeat(maxMessage / 2 + 1);
    expect(parse([encode(`data: ${half}\ndata: ${half}\n\ndata: a\n\n`)]).messages).toEqual([m('a')]);
  });
});
