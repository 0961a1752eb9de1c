import { nodeID, preAuth } from '../src/road/statement.js';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A node's key, for statements that the Go code would not make. */
export class Signer {
  readonly id: string;
  readonly #key: CryptoKey;
  readonly #public: Uint8Array<ArrayBuffer>;

  private constructor(id: string, key: CryptoKey, publicKey: Uint8Array<ArrayBuffer>) {
    this.id = id;
    this.#key = key;
    this.#public = publicKey;
  }

  static async make(): Promise<Signer> {
    const { privateKey, publicKey } = (await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as CryptoKeyPair;
    const raw = new Uint8Array(await crypto.subtle.exportKey('raw', publicKey));
    return new Signer(await nodeID(raw), privateKey, raw);
  }

  /** PASETO v4.public; `node` is for whom, by default this one. */
  async sign(claims: object, purpose = 'platen-roads/1', node = this.id): Promise<string> {
    const message = utf8(JSON.stringify(claims));
    const signed = preAuth([utf8('v4.public.'), message, this.#public, utf8(`${purpose}\0${node}`)]);
    const signature = new Uint8Array(await crypto.subtle.sign('Ed25519', this.#key, signed));
    return `v4.public.${Buffer.concat([message, signature]).toString('base64url')}.${Buffer.from(this.#public).toString('base64url')}`;
  }
}
