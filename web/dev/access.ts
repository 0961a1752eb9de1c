/** The stand-in's people, sign-in and nodes: enough to work on those screens. */
import type { AllowedOrigin, DeviceGrant, JoinToken, Node, Pairing, Passkey, Permission, Role, Session, Token, User } from '@platen/sdk';

/** What one signs in with here. */
export const code = 'K7QM2X9P';
export const secret = 'secret-of-the-mock-service';
/** What a program shows. */
export const userCode = 'PRGM4444';

/** An answer: a status with a body, or a problem's code. */
export type Answer = [status: number, body?: unknown] | { status: number; code: string };

export interface AccessOptions {
  gateway: boolean;
  id: () => string;
  nodeID: string;
  otherNodeID: string;
  /** IDs of the scanners that are there. */
  scanners: string[];
  /** Tells event streams of a node. */
  onNode: (node: Node) => void;
}

export interface AccessState {
  session: Session | undefined;
  people: 'few' | 'many' | 'none';
  anyOrigin: boolean;
  /** What the identity provider answers. */
  provider: 'good' | 'denied' | 'none';
}

const now = (): string => new Date().toISOString();
const later = (ms: number): string => new Date(Date.now() + ms).toISOString();
const day = 86_400_000;

export class Access {
  readonly state: AccessState;
  readonly #options: AccessOptions;
  readonly #pairings = new Map<string, Pairing>();
  readonly #flows = new Set<string>();
  readonly #grants = new Map<string, DeviceGrant>();
  users: User[];
  tokens: Token[];
  origins: AllowedOrigin[];
  permissions: Permission[] = [];
  passkeys: Passkey[] = [];
  nodes: Node[];

  constructor(options: AccessOptions, session: Session | undefined) {
    this.#options = options;
    this.state = { session, people: 'few', anyOrigin: false, provider: 'good' };
    const { id } = options;
    const user = (name: string, role: Role, more: Partial<User> = {}): User => ({ id: id(), name, role, source: 'local', created: now(), seen: later(-day), sessions: 1, passkeys: 0, ...more });
    this.users = [
      user('Maria Weber', 'admin', { passkeys: 2, sessions: 3 }),
      user('Jonas Keller', 'user', { groups: ['Accounting', 'Ground floor'] }),
      user('Reception tablet', 'kiosk', {}),
      user('Aylin Demir', 'user', { source: 'oidc', groups: ['Sales'], locked: true, sessions: 0 }),
    ];
    this.tokens = [{ id: id(), label: 'Archive server', role: 'operator', by: 'Maria Weber', created: now(), used: now(), expires: later(200 * day) }];
    this.origins = [
      { origin: 'https://erp.contoso.example', source: 'configuration' },
      { id: id(), origin: 'https://shop.example', source: 'person', by: 'Maria Weber', created: now() },
    ];
    this.#grants.set(userCode, { userCode, device: 'platen on reception-pc', address: '192.168.1.31', expires: later(600_000) });
    const node = (name: string, state: Node['state'], more: Partial<Node> = {}): Node => ({ id: options.otherNodeID.slice(0, 8) + id(), name, state, since: later(-7_200_000), version: '0.1.0', scanners: 1, joined: now(), ...more });
    this.nodes = [
      node('Reception', 'online', { id: options.nodeID, road: 'quic', scanners: 2, labels: ['ground-floor'], jobs: 2 }),
      node('Archive', 'offline', { id: options.otherNodeID }),
      node('Warehouse', 'draining', { draining: true, jobs: 1, road: 'tcp', labels: ['ground-floor'], presents: [options.scanners[2]!], wants: [options.scanners[0]!, `${id().slice(0, 16)}-s${id()}`] }),
      node('Laboratory', 'quarantined'),
      node('Copy room PC', 'waiting', { scanners: 0, check: 'K7QM', address: '192.168.1.44', since: now() }),
    ];
  }

  everyone(): User[] {
    if (this.state.people === 'none') return [];
    const more = this.state.people === 'many' ? Array.from({ length: 12 }, (_, i) => ({ ...this.users[1]!, id: this.users[1]!.id.slice(0, 18) + 'abcdefghijkl'[i]! + 'a', name: `Person ${i + 1}` })) : [];
    return [...this.users, ...more];
  }

  /** Answers what needs no session; undefined: it is not one of those. */
  open(route: string, body: any): Answer | undefined {
    switch (route) {
      case 'GET /sign-in':
        return [200, { pairing: true, passkeys: true, ...(this.state.provider === 'none' ? {} : { oidc: 'Contoso' }) }];
      case 'POST /sign-in/oidc': {
        const flow = this.#flow();
        return [201, { flow, url: `/mock-provider?state=of-${flow}` }];
      }
      case 'POST /sign-in/passkey':
        return [201, { flow: this.#flow(), options: { challenge: 'bW9jay1jaGFsbGVuZ2U', rpId: 'localhost', userVerification: 'preferred', allowCredentials: [] } }];
      case 'POST /sessions':
        return this.#signIn(body);
    }
    return undefined;
  }

  #flow(): string {
    const flow = this.#options.id();
    this.#flows.add(flow);
    return flow;
  }

  #signIn(body: any): Answer {
    const made = (more: Partial<Session>): Answer => {
      this.state.session = { id: this.#options.id(), role: 'admin', device: body.device, created: now(), expires: later(30 * day), ...more };
      return [201, { ...this.state.session, ...(body.code || body.secret ? { check: 'K7QM' } : {}) }];
    };
    const maria = { user: this.users[0]!.id, name: 'Maria Weber' };
    if (body.oidc) {
      if (!this.#flows.delete(body.oidc.flow)) return { status: 403, code: 'flow-expired' };
      return body.oidc.state === `of-${body.oidc.flow}` ? made({ kind: 'oidc', ...maria }) : { status: 403, code: 'sign-in-failed' };
    }
    if (body.passkey) {
      if (!this.#flows.delete(body.passkey.flow)) return { status: 403, code: 'flow-expired' };
      const { id, response } = body.passkey.credential;
      const known = this.passkeys.some((p) => (p as Passkey & { credential?: string }).credential === id);
      const said = JSON.parse(Buffer.from(response.clientDataJSON, 'base64url').toString());
      return known && said.type === 'webauthn.get' && said.challenge === 'bW9jay1jaGFsbGVuZ2U' && response.signature ? made({ kind: 'passkey', ...maria }) : { status: 403, code: 'sign-in-failed' };
    }
    if (body.secret === secret || body.code === code) return made({ kind: 'pairing' });
    return { status: 403, code: body.code === 'USEDUSED' ? 'pairing-used' : 'pairing-wrong' };
  }

  /** Answers what needs one; undefined: it is not about access. `parts` are those of the path. */
  answer(route: string, parts: string[], body: any): Answer | undefined {
    const session = this.state.session!;
    const id = parts[2]!;
    switch (route) {
      case 'GET /sessions/current': return [200, session];
      case 'DELETE /sessions/current': this.state.session = undefined; return [204];
      case 'GET /sessions': return [200, { items: [
        session,
        { ...session, id: this.#options.id(), device: 'iPad, Safari' },
        { id: this.#options.id(), role: 'user', kind: 'pairing', device: 'Pixel 7, Chrome', created: now(), expires: now() },
        { id: this.#options.id(), role: 'user', kind: 'origin', origin: 'https://shop.example', created: now(), expires: now() },
      ] }];
      case 'DELETE /sessions/:': return [204];
      case 'POST /pairings': {
        const made: Pairing = { id: this.#options.id(), role: body.role, state: 'open', expires: later(120_000), code, secret, url: `https://192.168.1.20:18623/#pair=${secret}&ca=4fX2`, check: 'K7QM' };
        this.#pairings.set(made.id, made);
        setTimeout(() => (made.state = 'used'), 20_000).unref();
        return [201, made];
      }
      case 'GET /pairings/:': {
        const p = this.#pairings.get(id);
        return p ? [200, { ...p, code: undefined, secret: undefined, url: undefined }] : { status: 404, code: 'not-found' };
      }
      case 'DELETE /pairings/:': this.#pairings.delete(id); return [204];

      case 'GET /device-grants/:': return this.#grants.has(id) ? [200, this.#grants.get(id)] : { status: 404, code: 'device-grant-wrong' };
      case 'POST /device-grants/:/allow':
      case 'DELETE /device-grants/:': return this.#grants.delete(id) ? [204] : { status: 404, code: 'device-grant-wrong' };

      case 'GET /passkeys': return [200, { items: this.passkeys }];
      case 'POST /passkeys/challenge': return [201, { flow: this.#flow(), options: {
        challenge: 'bW9jay1jaGFsbGVuZ2U', rp: { id: 'localhost', name: 'Platen' }, user: { id: 'bWFyaWE', name: 'Maria Weber', displayName: 'Maria Weber' },
        pubKeyCredParams: [{ type: 'public-key', alg: -7 }], authenticatorSelection: { residentKey: 'required', userVerification: 'preferred' },
        excludeCredentials: this.passkeys.map((p) => ({ type: 'public-key', id: (p as Passkey & { credential?: string }).credential ?? '' })),
      } }];
      case 'POST /passkeys': {
        if (!this.#flows.delete(body.flow) || !body.credential.response.attestationObject) return { status: 403, code: 'sign-in-failed' };
        const made = { id: this.#options.id(), label: body.label, created: now(), credential: body.credential.id };
        this.passkeys.push(made);
        return [201, made];
      }
      case 'DELETE /passkeys/:': this.passkeys = this.passkeys.filter((p) => p.id !== id); return [204];

      case 'GET /users': return [200, { items: this.everyone() }];
      case 'POST /users': { const made = { id: this.#options.id(), source: 'local', created: now(), ...body } as User; this.users.push(made); return [201, made]; }
      case 'PATCH /users/:': {
        const user = this.users.find((u) => u.id === id);
        if (!user) return { status: 404, code: 'not-found' };
        if (user.role === 'admin' && ((body.role ?? 'admin') !== 'admin' || body.locked)) return { status: 409, code: 'last-administrator' };
        return [200, Object.assign(user, body)];
      }
      case 'DELETE /users/:': this.users = this.users.filter((u) => u.id !== id); return [204];

      case 'GET /tokens': return [200, { items: this.tokens }];
      case 'POST /tokens': {
        const made: Token = { id: this.#options.id(), label: body.label, role: body.role, created: now(), expires: later(body.days * day) };
        this.tokens.push(made);
        return [201, { ...made, token: `platen_${this.#options.id()}${this.#options.id()}` }];
      }
      case 'DELETE /tokens/:': this.tokens = this.tokens.filter((t) => t.id !== id); return [204];

      case 'GET /origins': return [200, { items: [...(this.state.anyOrigin ? [{ origin: '*', source: 'configuration' }] : []), ...this.origins] }];
      case 'POST /origins': { const made: AllowedOrigin = { id: this.#options.id(), origin: body.origin, source: 'person', by: 'this computer', created: now() }; this.origins.push(made); return [201, made]; }
      case 'DELETE /origins/:': this.origins = this.origins.filter((o) => o.id !== id); return [204];

      case 'GET /permissions': return [200, { items: this.permissions }];
      case 'POST /permissions': { const made = { id: this.#options.id(), ...body } as Permission; this.permissions.push(made); return [201, made]; }
      case 'DELETE /permissions/:': this.permissions = this.permissions.filter((p) => p.id !== id); return [204];
    }
    return this.#options.gateway ? this.#nodes(route, id, body) : undefined;
  }

  /** A node asks to be let in. */
  ask(name: string): void {
    const asking: Node = { id: this.#options.otherNodeID.slice(0, 8) + this.#options.id(), name, state: 'waiting', since: now(), scanners: 0, joined: now(), check: 'W3RX', address: '192.168.1.57' };
    this.nodes.push(asking);
    this.#options.onNode(asking);
  }

  #nodes(route: string, id: string, body: any): Answer | undefined {
    const node = this.nodes.find((n) => n.id === id);
    const changed = (more: Partial<Node>): Answer => {
      Object.assign(node!, more);
      this.#options.onNode(node!);
      return [200, node];
    };
    switch (route) {
      case 'GET /nodes': return [200, { items: this.nodes }];
      case 'PATCH /nodes/:': return changed({ ...body, ...(body.presents ? { wants: node!.wants?.filter((w) => !body.presents.includes(w)) ?? [] } : {}), ...(body.draining === undefined ? {} : { state: body.draining ? 'draining' : 'online' }) });
      case 'POST /nodes/:/approve': {
        if (body.check !== node?.check) return { status: 409, code: 'check-wrong' };
        delete node!.check;
        return changed({ state: 'online', road: 'quic', joined: now(), since: now() });
      }
      case 'POST /nodes/:/reinstate': return changed({ state: 'offline', since: now() });
      case 'DELETE /nodes/:': changed({ state: 'revoked' }); return [204];
      case 'POST /join-tokens': {
        setTimeout(() => {
          const joined: Node = { id: this.#options.otherNodeID.slice(0, 8) + this.#options.id(), name: 'Front desk', state: 'online', since: now(), version: '0.1.0', road: 'tcp', scanners: 1, joined: now() };
          this.nodes.push(joined);
          this.#options.onNode(joined);
        }, 9000).unref();
        const made: JoinToken = { id: this.#options.id(), expires: later(600_000), token: `platen-join.${'eyJhIjpbIjE5Mi4xNjguMS4yMDoxODYyMyJdLCJwIjoi'.repeat(4)}` };
        return [201, made];
      }
      case 'DELETE /join-tokens/:': return [204];
    }
    return undefined;
  }
}
