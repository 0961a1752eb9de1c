import { describe, expect, it } from 'vitest';
import { fileName } from '../src/screens/save.js';

describe('fileName', () => {
  it.each([
    ['2026-11-22 Scan.pdf', '2026-11-22 Scan.pdf'],
    ['a/b\\c:d*e?f"g<h>i|j', 'a-b-c-d-e-f-g-h-i-j'],
    ['../../etc/passwd', '-..-etc-passwd'],
    [' .hidden. ', 'hidden'],
    ['line\nbreak\u007f', 'line-break-'],
    ['', 'scan'],
    ['Müller & Söhne 日本', 'Müller & Söhne 日本'],
  ])('%s', (name, want) => expect(fileName(name)).toBe(want));
  it('is not too long', () => expect(fileName('x'.repeat(500))).toHaveLength(200));
});
