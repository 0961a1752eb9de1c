import { SealError } from './error.js';
import { toBase64URL } from './header.js';
import type { OwnKey } from './hpke.js';

/** Where the key pair of this device is kept. */
export interface KeyStore {
  /** undefined: there is none. */
  load(): Promise<CryptoKeyPair | undefined>;
  /** Keeps the pair unless there is one, and answers the one that is kept. */
  keep(pair: CryptoKeyPair): Promise<CryptoKeyPair>;
}

/** Keeps the key for as long as the program runs. */
export class MemoryKeys implements KeyStore {
  #pair: CryptoKeyPair | undefined;

  load(): Promise<CryptoKeyPair | undefined> {
    return Promise.resolve(this.#pair);
  }
  keep(pair: CryptoKeyPair): Promise<CryptoKeyPair> {
    return Promise.resolve((this.#pair ??= pair));
  }
}

const database = 'platen-keys';
const table = 'keys';
const own = 'recipient';

/** Keeps the key in IndexedDB, one for all pages of an origin. Nobody, this page included, reads the private part. */
export class IndexedKeys implements KeyStore {
  load(): Promise<CryptoKeyPair | undefined> {
    return this.#do('readonly', (keys) => keys.get(own) as IDBRequest<CryptoKeyPair | undefined>);
  }

  async keep(pair: CryptoKeyPair): Promise<CryptoKeyPair> {
    // Another tab may be at it too: the first key stays.
    await this.#do('readwrite', (keys, answer) => {
      const asked = keys.get(own);
      asked.onsuccess = () => {
        if (asked.result === undefined) keys.put(pair, own);
        answer(undefined);
      };
      return undefined;
    });
    const kept = await this.load();
    if (!kept) throw new SealError('no-key-store');
    void navigator.storage?.persist?.().catch(() => {}); // or the browser may drop it when disk space is short
    return kept;
  }

  /** Runs in one transaction; what f asks, or answers, is known once that is complete. */
  async #do<T>(mode: IDBTransactionMode, f: (keys: IDBObjectStore, answer: (value: T) => void) => IDBRequest<T> | undefined): Promise<T> {
    const db = await this.#open();
    try {
      return await new Promise<T>((resolve, reject) => {
        const transaction = db.transaction(table, mode);
        let value: T;
        const asked = f(transaction.objectStore(table), (v) => (value = v));
        if (asked) asked.onsuccess = () => (value = asked.result);
        transaction.oncomplete = () => resolve(value);
        transaction.onerror = transaction.onabort = () => reject(new SealError('no-key-store', transaction.error));
      });
    } finally {
      db.close();
    }
  }

  #open(): Promise<IDBDatabase> {
    return new Promise((resolve, reject) => {
      let asked: IDBOpenDBRequest;
      try {
        asked = indexedDB.open(database, 1);
      } catch (error) {
        return reject(new SealError('no-key-store', error));
      }
      asked.onupgradeneeded = () => asked.result.createObjectStore(table);
      asked.onsuccess = () => resolve(asked.result);
      asked.onerror = asked.onblocked = () => reject(new SealError('no-key-store', asked.error));
    });
  }
}

const algorithm = { name: 'ECDH', namedCurve: 'P-256' };

/** The key pair by which things are sealed for this device. */
export class DeviceKey {
  readonly #store: KeyStore;
  #own: Promise<Device> | undefined;

  constructor(store?: KeyStore) {
    this.#store = store ?? (typeof indexedDB === 'undefined' ? new MemoryKeys() : new IndexedKeys());
  }

  /** Whether this page can have a key at all: browsers encrypt in secure contexts only. */
  static get possible(): boolean {
    return globalThis.crypto?.subtle !== undefined;
  }

  /** The public key as requests name it. The pair is made at first. */
  async recipient(): Promise<string> {
    if (!DeviceKey.possible) throw new SealError('insecure');
    this.#own ??= this.#make();
    try {
      return (await this.#own).recipient;
    } catch (error) {
      this.#own = undefined;
      throw error;
    }
  }

  /** The pair; undefined if this device has none. */
  async own(): Promise<Device | undefined> {
    if (!DeviceKey.possible) throw new SealError('insecure');
    if (this.#own) return this.#own;
    const pair = await this.#store.load();
    if (!pair) return undefined;
    return (this.#own ??= deviceOf(pair));
  }

  async #make(): Promise<Device> {
    const known = await this.#store.load();
    if (known) return deviceOf(known);
    const pair = await crypto.subtle.generateKey(algorithm, false, ['deriveBits']);
    return deviceOf(await this.#store.keep(pair));
  }
}

/** A key pair, its public key as requests name it, and as sealed answers hint at it. */
export interface Device extends OwnKey {
  recipient: string;
  hint: string;
}

async function deviceOf(pair: CryptoKeyPair): Promise<Device> {
  const point = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
  const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', point));
  return { private: pair.privateKey, point, recipient: toBase64URL(point), hint: toBase64URL(sum.subarray(0, 8)) };
}
