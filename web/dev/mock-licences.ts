/** The stand-in's licences: what the end is licensed for, and a licence tracking server with items, seats, handshake codes, usage and alerts. */
import type { Alert, AlertSettings, License, LicenseItem, LicenseKey, ModuleState, Problem, Project, Seat, UsageRow } from '@platen/sdk';
import type { Answer } from './access.js';

export interface LicenceState {
  /** What the end is licensed for; `troubled`: with everything that needs attention. */
  licence: License['mode'] | 'troubled';
  /** Who counts: this end, or another server. */
  counting: 'own' | 'elsewhere';
  items: 'some' | 'none';
  /** What modules there are. */
  modules: 'all' | 'missing' | 'none';
  alerts: 'set' | 'none';
}

const day = 86_400_000;
const iso = (ms = 0): string => new Date(Date.now() + ms).toISOString();
const pin = 'sha256-4fX2bQ9wLk0aZp81mTe3YxvR7cN5uHjD6sGqWbE2oKt';
const otherPin = 'sha256-Zp81mTe3Yxv4fX2bQ9wLk0aR7cN5uHjD6sGqWbE2oKt';
const keyForm = /^v4\.public\.[\w-]+(\.[\w-]+)?$/;

const problem = (code: string, detail: string): Problem => ({ type: `urn:platen:problem:${code}`, title: 'See the code.', status: 403, code, detail, retryable: false });

export class LicenceMock {
  readonly state: LicenceState = { licence: 'licensed', counting: 'own', items: 'some', modules: 'all', alerts: 'set' };
  readonly #id: () => string;
  #items: LicenseItem[];
  #seats: Seat[];
  #projects: Project[];
  #settings: AlertSettings = { thresholds: [80, 95, 100], expiryDays: [30, 7, 1], mail: ['it@contoso.example'], webhooks: ['https://hooks.contoso.example/platen'] };
  #last: Alert[];

  constructor(id: () => string, readonly tracking: boolean) {
    this.#id = id;
    const item = (key: Partial<LicenseKey>, more: Partial<LicenseItem>): LicenseItem => ({ key: this.#key(key), used: 0, added: iso(-40 * day), ...more });
    this.#items = [
      item({ kind: 'page', quantity: 10_000, period: 'month', modules: ['ocr', 'barcode'], overUsePercent: 10, graceSeconds: 3 * 86_400 }, { used: 4310, reserved: 600 }),
      item({ kind: 'browser', quantity: 25, origins: ['https://shop.contoso.example', 'https://*.returns.contoso.example'] }, { used: 23 }),
      item({ kind: 'concurrent', quantity: 5, customer: 'Contoso Logistics, Warehouse 7' }, { used: 5 }),
      item({ kind: 'server', organisation: 'FABRIKAM', customer: 'Fabrikam GmbH & Co. KG', expires: iso(9 * day) }, { suspended: true }),
    ];
    this.#seats = Array.from({ length: 23 }, (_, i) => ({ seat: i + 1, holder: `K7QM-${String(i + 10)}XW`, origin: 'https://shop.contoso.example', since: iso(-i * day), until: iso((365 - i) * day) }));
    this.#projects = [
      { handshakeCode: 'CONTOSO-returns', organisation: 'CONTOSO', name: 'Shop, returns desk', origins: ['https://shop.contoso.example'], items: [this.#items[1]!.key.id], created: iso(-9 * day) },
      { handshakeCode: 'CONTOSO-warehouse', organisation: 'CONTOSO', origins: [], items: [], created: iso(-2 * day) },
    ];
    this.#last = [
      { id: id(), type: 'usage', item: this.#items[2]!.key.id, organisation: 'CONTOSO', percent: 100, at: iso(-3_600_000), text: 'Contoso Logistics, Warehouse 7: 5 of 5 browser clients at the same time.', sent: [{ to: 'it@contoso.example', ok: true }, { to: 'https://hooks.contoso.example/platen', ok: false, fault: 'It answered 502.' }] },
      { id: id(), type: 'expiry', item: this.#items[3]!.key.id, organisation: 'FABRIKAM', days: 9, at: iso(-day), text: 'The licence of FABRIKAM ends in 9 days.', sent: [{ to: 'it@contoso.example', ok: true }] },
    ];
  }

  #key(more: Partial<LicenseKey>): LicenseKey {
    return { id: this.#id(), revision: 1, kind: 'page', organisation: 'CONTOSO', customer: 'Contoso Ltd', vendor: otherPin, gateways: [pin], notBefore: iso(-40 * day), expires: iso(300 * day), ...more };
  }

  #license(): License {
    const { licence, counting } = this.state;
    const troubled = licence === 'troubled';
    const licensed = (troubled || licence === 'licensed') && !this.tracking;
    return {
      mode: troubled || (this.tracking && licence === 'licensed') ? (this.tracking ? 'free' : 'licensed') : licence as License['mode'],
      vendors: licence === 'open' ? [] : [otherPin], pin, clock: troubled ? 'suspect' : 'good',
      keys: !licensed ? [] : [
        this.#items[0]!.key,
        ...(troubled ? [this.#key({ kind: 'trial', expires: iso(-3 * day), problem: problem('license-expired', 'Licence k7x3 of CONTOSO ended on 2026-11-19, at the gateway Contoso scans.') })] : []),
      ],
      ...(counting === 'elsewhere' ? { server: 'lts.contoso.example:18643', reached: iso(troubled ? -5 * 3_600_000 : -40_000), unreported: troubled ? 312 : 0, handshakeCode: 'CONTOSO-returns' } : {}),
    };
  }

  modules(): ModuleState[] {
    const { modules } = this.state;
    if (modules === 'none') return [];
    const missing = modules === 'missing';
    return [
      { module: 'pdf-rasterizer', installed: true, licensed: !missing },
      { module: 'barcode', installed: true, licensed: true },
      { module: 'ocr', installed: !missing, licensed: true, ...(missing ? { hint: 'apt install tesseract-ocr tesseract-ocr-eng' } : { languages: ['deu', 'eng', 'fra', 'osd'] }) },
    ];
  }

  /** Answers what is about licences; undefined: it is something else. */
  answer(route: string, parts: string[], query: URLSearchParams, body: any): Answer | [200, string, string] | undefined {
    if (route === 'GET /modules') return [200, { items: this.modules() }];
    if (route === 'GET /license') return [200, this.#license()];
    if (parts[1] !== 'license') return undefined;
    if (this.state.counting === 'elsewhere') return { status: 404, code: 'not-found' };
    const id = decodeURIComponent(parts[3] ?? '');
    const items = this.state.items === 'none' ? [] : this.#items;
    const item = items.find((i) => i.key.id === id);
    const project = this.#projects.find((p) => p.handshakeCode === id);
    const none: Answer = { status: 404, code: 'not-found' };
    switch (route) {
      case 'GET /license/items': return [200, { items }];
      case 'POST /license/items': {
        if (!keyForm.test(body.key)) return { status: 403, code: 'license-invalid' };
        const made: LicenseItem = { key: this.#key({ kind: 'node', quantity: 12 }), used: 0, added: iso() };
        if (this.state.items === 'none') this.#items = [];
        this.state.items = 'some';
        this.#items.push(made);
        return [201, made];
      }
      case 'GET /license/items/:': return item ? [200, item] : none;
      case 'PATCH /license/items/:': return item ? [200, Object.assign(item, body)] : none;
      case 'DELETE /license/items/:': this.#items = this.#items.filter((i) => i !== item); return [204];
      case 'GET /license/items/:/seats': {
        const from = Number(query.get('cursor') ?? 0);
        const to = from + 10;
        const seats = item?.key.kind === 'browser' ? this.#seats : this.#seats.slice(0, item?.used);
        return [200, { items: seats.slice(from, to), ...(to < seats.length ? { next: String(to) } : {}) }];
      }
      case 'DELETE /license/items/:/seats/:':
        this.#seats = this.#seats.filter((s) => s.seat !== Number(parts[5]));
        if (item) item.used--;
        return [204];
      case 'GET /license/projects': return [200, { items: this.#projects }];
      case 'POST /license/projects': {
        const made: Project = { origins: [], items: [], ...body, handshakeCode: `${body.organisation}-${body.code}`, created: iso() };
        if (this.#projects.some((p) => p.handshakeCode === made.handshakeCode)) return { status: 409, code: 'item-exists' };
        this.#projects.push(made);
        return [201, made];
      }
      case 'PATCH /license/projects/:': return project ? [200, Object.assign(project, body)] : none;
      case 'DELETE /license/projects/:': this.#projects = this.#projects.filter((p) => p !== project); return [204];
      case 'GET /license/usage': return query.get('format') === 'csv' ? [200, 'period,item,pages\n', 'text/csv'] : [200, { items: this.#usage(query, items) }];
      case 'GET /license/ledger': return [200, '{"place":1}\n', 'application/x-ndjson'];
      case 'GET /license/alerts': return [200, this.#alerts()];
      case 'PUT /license/alerts':
        this.#settings = body;
        this.state.alerts = 'set';
        return [200, this.#alerts()];
      case 'POST /license/alerts/test': {
        const to = [...(this.#settings.mail ?? []), ...(this.#settings.webhooks ?? [])];
        const sent = this.state.alerts === 'none' ? [] : to.map((t) => (t.includes('@') ? { to: t, ok: true } : { to: t, ok: false, fault: 'It does not answer: connection refused.' }));
        this.#last.unshift({ id: this.#id(), type: 'test', item: '', at: iso(), text: 'This is a test.', sent });
        return [200, { sent }];
      }
    }
    return none;
  }

  #alerts(): { settings: AlertSettings; mailPossible: boolean; webhookKey: string; last: Alert[] } {
    const none = this.state.alerts === 'none';
    return { settings: none ? { thresholds: [80, 95, 100], expiryDays: [30, 7, 1] } : this.#settings, mailPossible: !none, webhookKey: 'MCowBQYDK2VwAyEA4fX2bQ9wLk0aZp81mTe3YxvR7cN5uHjD6sGqWb', last: none ? [] : this.#last };
  }

  #usage(query: URLSearchParams, items: LicenseItem[]): UsageRow[] {
    const by = query.get('by') ?? 'month';
    const periods = by === 'day' ? ['2026-11-20', '2026-11-21', '2026-11-22'] : by === 'month' ? ['2026-09', '2026-10', '2026-11'] : ['2026'];
    return periods.filter((p) => p >= (query.get('from') ?? '').slice(0, p.length)).flatMap((period, i) => [
      { period, item: '', pages: 120 + i },
      ...items.slice(0, 3).map(({ key }, k) => ({ period, item: key.id, organisation: key.organisation, kind: key.kind, pages: 1310 * (i + 1) * (3 - k), clients: 23 - k, nodes: 4, ...(k === 2 ? { concurrent: 5 } : {}), ...(k === 1 ? { project: 'CONTOSO-returns' } : {}) })),
    ].filter((r) => !query.get('item') || r.item === query.get('item')));
  }
}
