/** Seals as a node does, for the stand-in service: package node/seal describes the format. */
import { createCipheriv, createECDH, createHash, createHmac, randomBytes } from 'node:crypto';

const chunk = 64 << 10;

interface Name {
  node: string;
  object: string;
  part: string;
  version: string;
  form: string;
}

/** Seals one answer. */
export class SealFor {
  readonly headers: Record<string, string>;
  readonly #key = randomBytes(32);

  /** `tagForm` is what the tag names as the form. */
  constructor(recipient: string, name: Name, type: string, tagForm = name.form) {
    const point = Buffer.from(recipient, 'base64url');
    const hint = createHash('sha256').update(point).digest().subarray(0, 8);
    const mark = createHash('sha256').update(this.#key).digest('hex').slice(0, 16);
    this.headers = {
      'Content-Type': 'application/vnd.platen.sealed',
      'Platen-Sealed': `v1; type=${type}; for=${hint.toString('base64url')}; key=${wrap(point, name, type, this.#key).toString('base64url')}`,
      ETag: `"${[name.version, ...(tagForm ? [tagForm] : []), `s-${mark}`].join('.')}"`,
    };
  }

  /** The key of a browser that is not there. */
  static stranger(): string {
    return createECDH('prime256v1').generateKeys('base64url');
  }

  body(plain: Buffer): Buffer {
    const parts: Buffer[] = [];
    for (let i = 0; ; i++) {
      const part = plain.subarray(i * chunk, (i + 1) * chunk);
      const iv = Buffer.alloc(12);
      iv.writeBigUInt64BE(BigInt(i), 3);
      iv[11] = part.length < chunk ? 1 : 0;
      parts.push(gcm(this.#key, iv, part, Buffer.alloc(0)));
      if (part.length < chunk) return Buffer.concat(parts);
    }
  }
}

/** HPKE in base mode: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. */
function wrap(point: Buffer, name: Name, type: string, key: Buffer): Buffer {
  const own = createECDH('prime256v1');
  const enc = own.generateKeys();
  const kem = Buffer.concat([Buffer.from('KEM'), Buffer.from([0, 0x10])]);
  const suite = Buffer.concat([Buffer.from('HPKE'), Buffer.from([0, 0x10, 0, 1, 0, 2])]);
  const shared = expand(kem, extract(kem, '', 'eae_prk', own.computeSecret(point)), 'shared_secret', Buffer.concat([enc, point]), 32);
  const info = Buffer.from(['platen-sealed/1', name.node, name.object, name.part, name.version, name.form].join('\0'));
  const context = Buffer.concat([Buffer.from([0]), extract(suite, '', 'psk_id_hash', Buffer.alloc(0)), extract(suite, '', 'info_hash', info)]);
  const secret = extract(suite, shared, 'secret', Buffer.alloc(0));
  const sealed = gcm(expand(suite, secret, 'key', context, 32), expand(suite, secret, 'base_nonce', context, 12), key, Buffer.from(type));
  return Buffer.concat([enc, sealed]);
}

function extract(suite: Buffer, salt: Buffer | '', label: string, ikm: Buffer): Buffer {
  return createHmac('sha256', salt).update(Buffer.concat([Buffer.from('HPKE-v1'), suite, Buffer.from(label), ikm])).digest();
}

function expand(suite: Buffer, prk: Buffer, label: string, info: Buffer, length: number): Buffer {
  const text = Buffer.concat([Buffer.from([0, length]), Buffer.from('HPKE-v1'), suite, Buffer.from(label), info, Buffer.from([1])]);
  return createHmac('sha256', prk).update(text).digest().subarray(0, length);
}

function gcm(key: Buffer, iv: Buffer, plain: Buffer, aad: Buffer): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  cipher.setAAD(aad);
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}
