/** One message of an event stream (HTML standard, section 9.2). */
export interface SSEMessage {
  event: string;
  data: string;
  /** The last event ID once this message was dispatched. */
  id: string;
}

/** A message longer than this is dropped whole: nothing that Platen sends comes near it. */
export const maxMessage = 1 << 20;

/**
 * Parses `text/event-stream` as the bytes come, cut anywhere: inside a line, between CR and LF,
 * inside a UTF-8 sequence. It holds one line and one message at most.
 */
export class SSEParser {
  #decoder = new TextDecoder(); // drops a byte order mark, replaces what is not UTF-8
  #line = '';
  #skipLF = false;
  #data: string[] = [];
  #size = 0;
  #event = '';
  #id = '';
  #tooLong = false;
  readonly #onMessage: (message: SSEMessage) => void;
  readonly #onRetry: ((ms: number) => void) | undefined;

  constructor(onMessage: (message: SSEMessage) => void, onRetry?: (ms: number) => void) {
    this.#onMessage = onMessage;
    this.#onRetry = onRetry;
  }

  push(chunk: Uint8Array): void {
    const text = this.#decoder.decode(chunk, { stream: true });
    let start = 0;
    for (let i = 0; i < text.length; i++) {
      const c = text.charCodeAt(i);
      if (this.#skipLF) {
        this.#skipLF = false;
        if (c === 10) {
          start = i + 1;
          continue;
        }
      }
      if (c !== 10 && c !== 13) continue;
      this.#append(text.slice(start, i));
      start = i + 1;
      this.#skipLF = c === 13;
      const line = this.#line;
      this.#line = '';
      this.#endLine(line);
    }
    this.#append(text.slice(start));
  }

  #append(part: string): void {
    if (this.#line.length + part.length > maxMessage) {
      this.#tooLong = true;
      return;
    }
    this.#line += part;
  }

  #endLine(line: string): void {
    if (line === '') {
      this.#dispatch();
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return; // a comment
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    switch (field) {
      case 'data':
        this.#size += value.length + 1;
        if (this.#size > maxMessage) this.#tooLong = true;
        else this.#data.push(value);
        break;
      case 'event':
        this.#event = value;
        break;
      case 'id':
        if (!value.includes('\0')) this.#id = value;
        break;
      case 'retry':
        if (/^[0-9]+$/.test(value)) this.#onRetry?.(Number(value));
        break;
    }
  }

  #dispatch(): void {
    const { length } = this.#data;
    const message = { event: this.#event || 'message', data: this.#data.join('\n'), id: this.#id };
    const drop = this.#tooLong || length === 0;
    this.#data = [];
    this.#size = 0;
    this.#event = '';
    this.#tooLong = false;
    if (!drop) this.#onMessage(message);
  }
}
