import { afterEach, describe, expect, it, vi } from 'vitest';
import { addressSpace, connect, Connection, type ConnectOptions } from '../src/index.js';

const base = 'http://localhost:18622';
const session = { id: 'abcdefghijklmnopqrst', role: 'user', kind: 'origin', origin: 'https://shop.example', created: '2026-11-22T10:00:00.000Z', expires: '2026-12-22T10:00:00.000Z' };

interface Asked {
  route: string;
  authorization: string | undefined;
  body: unknown;
  space: string | undefined;
}

type Answers = Record<string, (asked: Asked) => unknown>;

/** What a browser does of a service that answers these routes: a route without an answer is a refusal without CORS headers. */
function browser(answers: Answers, permission?: PermissionState | 'unknown', page = 'https://shop.example') {
  const asked: Asked[] = [];
  const queried: string[] = [];
  vi.stubGlobal('location', new URL(page));
  vi.stubGlobal('navigator', { permissions: { query: async ({ name }: { name: string }) => {
    queried.push(name);
    if (permission === 'unknown') throw new TypeError(`${name} is no permission`);
    return { state: permission ?? 'granted' };
  } } });
  const fake = (async (input: string, init: RequestInit & { targetAddressSpace?: string }) => {
    const one = {
      route: `${init.method} ${new URL(input).pathname.slice('/api/v1'.length)}`,
      authorization: (init.headers as Record<string, string>)['Authorization'],
      body: typeof init.body === 'string' ? (JSON.parse(init.body) as unknown) : undefined,
      space: init.targetAddressSpace,
    };
    asked.push(one);
    const answer = answers[one.route]?.(one);
    if (answer === undefined) throw new TypeError('Failed to fetch');
    if (answer instanceof Response) return answer;
    return new Response(JSON.stringify(answer), { status: init.method === 'POST' ? 201 : 200, headers: { 'Content-Type': 'application/json' } });
  }) as typeof fetch;
  return { asked, queried, options: { base, fetch: fake } satisfies ConnectOptions };
}

const refusal = (status: number, code: string, more: object = {}) => (): Response =>
  new Response(JSON.stringify({ type: `urn:platen:problem:${code}`, title: 'No.', status, code, retryable: false, ...more }), { status, headers: { 'Content-Type': 'application/problem+json' } });

const clientForm = /^[A-Za-z0-9_-]{16,64}$/;
const service = { product: 'platen', api: '1' };
const here: Answers = { 'GET /service': () => service };
const allowed: Answers = {
  ...here,
  'GET /sign-in': () => ({ pairing: true, passkeys: false, originAllowed: true }),
  'POST /sessions': () => ({ ...session, token: 'secret-token' }),
  'GET /sessions/current': ({ authorization }) => (authorization === 'Bearer secret-token' ? session : refusal(401, 'session-expired')()),
};

afterEach(() => vi.unstubAllGlobals());

describe('connect', () => {
  it('says that nothing answers', async () => {
    const { options } = browser({});
    expect((await connect(options)).now).toMatchObject({ state: 'not-reachable', error: { name: 'ConnectionError' } });
  });

  it('does not take another service for Platen', async () => {
    const { options, asked } = browser({ 'GET /service': () => ({ product: 'printer' }), 'GET /sign-in': () => ({ trusted: true }) });
    expect((await connect(options)).now).toMatchObject({ state: 'not-reachable' });
    expect(asked.map((a) => a.route)).toEqual(['GET /service']);
  });

  it('tells a refused origin from an absent service, and where it can be allowed', async () => {
    const { options } = browser(here);
    expect((await connect(options)).now).toEqual({ state: 'origin-not-allowed', consentUrl: `${base}/allow#origin=https%3A%2F%2Fshop.example` });
  });

  it('takes a connection that is lost in between for what it is', async () => {
    let answered = 0;
    const { options } = browser({ 'GET /service': () => (answered++ === 0 ? service : undefined) });
    expect((await connect(options)).now).toMatchObject({ state: 'not-reachable' });
  });

  it('asks nothing before the browser may ask its user', async () => {
    const { options, asked, queried } = browser(allowed, 'prompt');
    const connection = await connect(options);
    expect(connection.now).toEqual({ state: 'permission-needed' });
    expect(asked).toEqual([]);
    expect(queried).toEqual(['loopback-network']);
    expect(await connection.check({ ask: true })).toMatchObject({ state: 'sign-in-needed' });
  });

  it.each(['http://192.168.1.20:18622', 'http://scans.local:18622'])('asks for the local network for %s', async (base) => {
    const { options, queried } = browser(allowed, 'prompt');
    expect((await connect({ ...options, base })).now).toEqual({ state: 'permission-needed' });
    expect(queried).toEqual(['local-network']);
  });

  it('says that the user refused local addresses', async () => {
    const { options, asked } = browser(allowed, 'denied');
    expect((await connect(options)).now).toEqual({ state: 'permission-denied' });
    expect(asked).toEqual([]);
  });

  it.each([['a browser without that gate', 'unknown', 'https://shop.example'], ['a page on the machine itself', 'prompt', 'http://localhost:3000']] as const)('goes on in %s', async (_what, permission, page) => {
    const { options } = browser(allowed, permission, page);
    expect((await connect(options)).now).toMatchObject({ state: 'sign-in-needed' });
  });

  it('goes to a gateway with a public name without asking about local addresses', async () => {
    const { options, queried, asked } = browser(allowed, 'denied');
    expect((await connect({ ...options, base: 'https://scans.example' })).now).toMatchObject({ state: 'sign-in-needed' });
    expect(queried).toEqual([]);
    expect(new Set(asked.map((a) => a.space))).toEqual(new Set([undefined]));
  });

  it('signs in with a code as people type it, and sends the token from then on', async () => {
    const { options, asked } = browser(allowed);
    const connection = await connect({ ...options, device: 'Shop' });
    expect(connection.now).toEqual({ state: 'sign-in-needed', ways: { pairing: true, passkeys: false, originAllowed: true } });
    await connection.signIn({ code: 'k7qm-2x9p ' });
    expect(connection.now).toEqual({ state: 'ready', session });
    expect(JSON.stringify(connection.now)).not.toContain('secret-token');
    expect(asked.find((a) => a.route === 'POST /sessions')!.body).toEqual({ code: 'K7QM2X9P', bearer: true, device: 'Shop', client: expect.stringMatching(clientForm) as string });
    expect(await connection.check()).toMatchObject({ state: 'ready' });
    expect(asked.at(-1)).toMatchObject({ route: 'GET /sessions/current', authorization: 'Bearer secret-token' });
  });

  it('lets a wrong code be an error, and stays where it was', async () => {
    const { options } = browser({ ...allowed, 'POST /sessions': refusal(403, 'pairing-wrong') });
    const connection = await connect(options);
    await expect(connection.signIn({ code: 'AAAAAAAA' })).rejects.toMatchObject({ code: 'pairing-wrong' });
    expect(connection.now.state).toBe('sign-in-needed');
  });

  it('needs no code on the machine itself', async () => {
    const { options, asked } = browser({ ...allowed, 'GET /sign-in': () => ({ pairing: true, passkeys: false, trusted: true, originAllowed: true }) });
    expect((await connect(options)).now).toEqual({ state: 'ready', session });
    expect(asked.find((a) => a.route === 'POST /sessions')!.body).toEqual({ bearer: true, client: expect.stringMatching(clientForm) as string });
  });

  it('drops a sign-in that has ended', async () => {
    let valid = true;
    const { options } = browser({ ...allowed, 'GET /sessions/current': () => (valid ? session : refusal(401, 'session-expired')()) });
    const connection = await connect(options);
    await connection.signIn({ code: 'AAAAAAAA' });
    valid = false;
    expect(await connection.check()).toMatchObject({ state: 'sign-in-needed' });
  });

  it('sees that its origin was withdrawn', async () => {
    const answers = { ...allowed };
    const { options } = browser(answers);
    const connection = await connect(options);
    await connection.signIn({ code: 'AAAAAAAA' });
    delete answers['GET /sessions/current'];
    expect(await connection.check()).toMatchObject({ state: 'origin-not-allowed' });
  });

  it('keeps the sign-in of a tab only if told so, and forgets it at the end', async () => {
    const kept = new Map<string, string>();
    vi.stubGlobal('sessionStorage', { getItem: (k: string) => kept.get(k) ?? null, setItem: (k: string, v: string) => kept.set(k, v), removeItem: (k: string) => kept.delete(k) });
    const { options } = browser({ ...allowed, 'DELETE /sessions/current': () => new Response(null, { status: 204 }) });
    await (await connect(options)).signIn({ code: 'AAAAAAAA' });
    expect(kept.size).toBe(0);
    await (await connect({ ...options, keep: 'session' })).signIn({ code: 'AAAAAAAA' });
    const again = await connect({ ...options, keep: 'session' });
    expect(again.now).toMatchObject({ state: 'ready' });
    await again.signOut();
    expect(again.now).toMatchObject({ state: 'sign-in-needed' });
    expect(kept.size).toBe(0);
  });

  it('makes addresses that work without the token', async () => {
    const { options, asked } = browser({ ...allowed, 'POST /tickets': ({ body }) => ({ url: `${(body as { path: string }).path}&ticket=t1`, expires: session.expires }) });
    const connection = await connect(options);
    await connection.signIn({ code: 'AAAAAAAA' });
    expect(await connection.ticketURL(connection.platen.pageURL('j', 1, { width: 300 }))).toBe(`${base}/api/v1/jobs/j/pages/1?width=300&ticket=t1`);
    expect(asked.at(-1)).toMatchObject({ body: { path: '/api/v1/jobs/j/pages/1?width=300' }, authorization: 'Bearer secret-token' });
  });

  it.each([
    ['http://localhost:18622', 'loopback'],
    ['http://192.168.1.20:18622', 'local'],
    ['https://192.168.1.20:18623', undefined],
  ])('names the address space of %s as %s', async (base, space) => {
    const { options, asked } = browser(here);
    await connect({ ...options, base });
    expect(asked[0]!.space).toBe(space);
  });
});

describe('the licence of a page', () => {
  const trusted: Answers = { ...allowed, 'GET /sign-in': () => ({ pairing: true, passkeys: false, trusted: true, originAllowed: true }) };
  const license = { id: 'abcdefghijklmnopqrst', kind: 'browser', organisation: 'CONTOSO', modules: ['ocr'], expires: '2027-03-01T00:00:00.000Z' };
  const sent = (asked: Asked[]) => asked.filter((a) => a.route === 'POST /sessions').map((a) => a.body as Record<string, string>);
  const storage = () => {
    const kept = new Map<string, string>();
    vi.stubGlobal('localStorage', { getItem: (k: string) => kept.get(k) ?? null, setItem: (k: string, v: string) => kept.set(k, v) });
    return kept;
  };

  it('is refused before any request if it has a product key and a handshake code', async () => {
    const { options, asked } = browser(trusted);
    const both = { ...options, productKey: 'a;b', handshakeCode: 'CONTOSO-shop' };
    const error = { name: 'ProblemError', code: 'license-both', status: 422, title: expect.any(String) as string, detail: expect.any(String) as string, next: 'Set one of them.' };
    await expect(connect(both)).rejects.toMatchObject(error);
    expect(() => new Connection(both)).toThrow(expect.objectContaining(error) as Error);
    await expect((await connect(options)).platen.createSession({ productKey: 'a', handshakeCode: 'CONTOSO-shop' })).rejects.toMatchObject(error);
    expect(sent(asked)).toHaveLength(1);
  });

  it.each([
    [{ productKey: ' one;two\n' }, { productKey: 'one;two' }],
    [{ handshakeCode: 'CONTOSO-shop' }, { handshakeCode: 'CONTOSO-shop' }],
    [{ productKey: 'one', handshakeCode: ' ' }, { productKey: 'one' }],
    [{ productKey: '', handshakeCode: '' }, {}],
  ])('sends %o', async (given, want) => {
    const { options, asked } = browser(trusted);
    await connect({ ...options, ...given });
    expect(sent(asked)).toEqual([{ bearer: true, client: expect.stringMatching(clientForm) as string, ...want }]);
  });

  it('names the browser by what it keeps, the same at every sign-in', async () => {
    const kept = storage();
    const { options, asked } = browser(trusted);
    await connect(options);
    await connect(options);
    const [first, second] = sent(asked).map((b) => b['client']);
    expect(first).toBe(second);
    expect([...kept]).toEqual([['platen.client', first]]);
    kept.set('platen.client', 'not a name');
    await connect(options);
    expect(sent(asked)[2]!['client']).toMatch(clientForm);
    expect(kept.get('platen.client')).toBe(sent(asked)[2]!['client']);
  });

  it('names the browser for as long as the page where nothing is kept', async () => {
    vi.stubGlobal('localStorage', { getItem: () => { throw new Error('SecurityError'); }, setItem: () => { throw new Error('SecurityError'); } });
    const { options, asked } = browser(trusted);
    await connect(options);
    await connect(options);
    const names = sent(asked).map((b) => b['client']);
    expect(names[0]).toMatch(clientForm);
    expect(new Set(names).size).toBe(1);
  });

  it('names no browser to the service that the page came from', async () => {
    const { options, asked } = browser(trusted, 'granted', `${base}/page`);
    await connect(options);
    expect(sent(asked)).toEqual([{ bearer: true }]);
  });

  it('can be read', async () => {
    const { options } = browser({ ...trusted, 'POST /sessions': () => ({ ...session, license, token: 'secret-token' }) });
    const connection = await connect(options);
    expect(connection.license).toEqual(license);
    expect(connection.now).toMatchObject({ state: 'ready', session: { license } });
    const { options: none } = browser(allowed);
    expect((await connect(none)).license).toBeUndefined();
  });

  it.each([['license-missing', 403], ['license-expired', 403], ['license-seats-taken', 403], ['handshake-unknown', 403], ['tracking-offline', 503]])('says that %s lets the page not in', async (code, status) => {
    const { options } = browser({ ...trusted, 'POST /sessions': refusal(status, code, { detail: 'At the gateway Office.', next: 'Renew it.' }) });
    const connection = await connect(options);
    expect(connection.now).toMatchObject({ state: 'not-licensed', error: { name: 'ProblemError', code, title: 'No.', detail: 'At the gateway Office.', next: 'Renew it.' } });
    expect(connection.license).toBeUndefined();
    const { options: asking } = browser({ ...allowed, 'POST /sessions': refusal(status, code, { detail: 'At the gateway Office.' }) });
    await expect((await connect(asking)).signIn({ code: 'AAAAAAAA' })).rejects.toMatchObject({ code, detail: 'At the gateway Office.' });
  });

  it('takes another session where a tab has kept one of another licence', async () => {
    const kept = new Map<string, string>();
    vi.stubGlobal('sessionStorage', { getItem: (k: string) => kept.get(k) ?? null, setItem: (k: string, v: string) => kept.set(k, v), removeItem: (k: string) => kept.delete(k) });
    const { options, asked } = browser(trusted);
    const keep = { ...options, keep: 'session' as const };
    await connect({ ...keep, productKey: 'old' });
    await connect({ ...keep, productKey: 'old' });
    expect(sent(asked)).toHaveLength(1);
    await connect({ ...keep, productKey: 'new' });
    expect(sent(asked).map((b) => b['productKey'])).toEqual(['old', 'new']);
  });
});

describe('addressSpace', () => {
  it.each([
    ['localhost', 'loopback'], ['LOCALHOST.', 'loopback'], ['app.localhost', 'loopback'], ['127.8.0.1', 'loopback'], ['[::1]', 'loopback'],
    ['10.0.0.1', 'local'], ['172.16.0.1', 'local'], ['172.31.9.9', 'local'], ['192.168.0.9', 'local'], ['169.254.1.1', 'local'], ['100.64.0.1', 'local'],
    ['printer.local', 'local'], ['[fe80::1]', 'local'], ['[fd12::1]', 'local'], ['[fc00::1]', 'local'],
    ['172.32.0.1', 'public'], ['192.169.0.1', 'public'], ['100.128.0.1', 'public'], ['11.0.0.1', 'public'], ['[2001:db8::1]', 'public'],
    ['localhost.example', 'public'], ['127.0.0.1.example', 'public'], ['scans.example', 'public'], ['local', 'public'],
  ])('%s is %s', (host, want) => expect(addressSpace(host)).toBe(want));
});
