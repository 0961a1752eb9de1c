/** The stand-in's setup page: every key of platen.ini, changes, trials, certificates and the audit log. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Certificate, Setup, SetupChange, SetupEffect, SetupFound, SetupSetting, SetupShared } from '@platen/sdk';
import type { Answer } from './access.js';

type Role = Setup['role'];

/** What the page shows: a quiet service, one that others are near, one with everything that needs attention, one that waits for its gateway, or nothing. */
export type SetupState = 'quiet' | 'near' | 'troubled' | 'waiting' | 'off';

const iso = (ms = 0): string => new Date(Date.now() + ms).toISOString();
const day = 86_400_000;
const hot = /^\[(node|gateway)\] (HTTP|External|Address|Names|Trust|Allow|Max|Access|Enable|Setup|Public)|^\[log\]|^\[bonjour\] (Enable|Name|Tag)|^\[escl\] (Enable|Allow|Present)/;
const opens = /External|TrustLoopback|AllowPlainHTTP|Access-Control|EnableWebSetup|Issuer|Groups|\[escl\] (Enable|Allow|Present)/;
const onTrial = /Port$|TrustLoopback/;

const near: { shared: SetupShared[]; found: SetupFound[] } = {
  shared: [
    { scanner: 'aaaaaaaaaaaaaaaa-saaaaaaaaaaaaaaaaaaaa', name: 'Brother MFC-L8900 (2)', port: 18630, tlsPort: 18631, announced: true },
    { scanner: 'aaaaaaaaaaaaaaaa-sbbbbbbbbbbbbbbbbbbbb', name: 'Epson Perfection V600', port: 18632, tlsPort: 18633, announced: false },
    { scanner: 'bbbbbbbbbbbbbbbb-saaaaaaaaaaaaaaaaaaaa', name: 'Office copier, 2nd floor', port: 18634, tlsPort: 18635, announced: true, remote: true },
    { scanner: 'bbbbbbbbbbbbbbbb-sbbbbbbbbbbbbbbbbbbbb', name: 'Warehouse scanner', port: 18636, tlsPort: 18637, announced: false, remote: true, fault: 'The gateway does not answer. It is tried again by itself.' },
  ],
  found: [
    { name: 'Contoso scans', address: 'gateway.contoso.example:18603', fingerprint: '4fX2bQ9wLk0a' },
    { name: 'Platen on build-7', address: '192.168.1.77:18603', fingerprint: 'Zp81mTe-3Yxv' },
  ],
};

/** The keys of an end, from the sample file. */
function settingsOf(role: Role): SetupSetting[] {
  const list: SetupSetting[] = [];
  let section = '';
  let meaning = '';
  let unit = '';
  for (const line of readFileSync(join(import.meta.dirname, '../../deployments/platen.ini'), 'utf8').split('\n')) {
    const head = /^\[(\w+)\]/.exec(line);
    const about = /^; (.+)\.$/.exec(line);
    const value = /^; (?:Value: (.+)\. )?Variable: /.exec(line);
    const set = /^;([A-Z][\w-]*)=(.*)$/.exec(line);
    if (head) section = head[1]!;
    else if (value) unit = value[1] ?? '';
    else if (about) meaning = about[1]!;
    else if (set && !(({ gateway: ['node', 'storage', 'escl', 'tracking'], tracking: ['node', 'storage', 'escl', 'gateway', 'roads', 'turn', 'license'], node: ['gateway', 'tracking', 'alerts'] }[role]).includes(section))) {
      const key = `[${section}] ${set[1]}`;
      const usual = set[2]!;
      list.push({ key, value: usual, ...(usual ? { default: usual } : {}), ...(unit ? { unit } : {}), meaning, source: 'default', restart: !hot.test(key), opens: opens.test(key) });
    }
  }
  return list;
}

const licenceMode = (state: string): NonNullable<Setup['licence']> => (state === 'open' || state === 'free' ? state : 'licensed');

export class SetupMock {
  readonly state: { setup: SetupState } = { setup: 'quiet' };
  readonly #role: Role;
  readonly #id: () => string;
  readonly #licence: () => string;
  readonly #settings: SetupSetting[];
  #changes: SetupChange[] = [];
  #until: string | undefined;
  #own: Certificate | undefined;
  #gateway: NonNullable<Setup['gateway']> = { connected: false };

  constructor(role: Role, id: () => string, licence: () => string) {
    this.#role = role;
    this.#licence = licence;
    this.#id = id;
    this.#settings = settingsOf(role);
    const name = this.#setting(`[${role}] EnableWebSetup`);
    if (name) Object.assign(name, { value: 'TRUE', source: 'file' });
  }

  #setting(key: string): SetupSetting {
    return this.#settings.find((s) => s.key === key)!; // those of a tracking server may not be in the sample
  }

  #page(): Setup {
    const node = this.#role === 'node';
    const troubled = this.state.setup === 'troubled';
    const fingerprint = Array.from({ length: 32 }, (_, i) => (i * 37 % 256).toString(16).padStart(2, '0').toUpperCase()).join(':');
    const port = (name: string, number: number, address: string, protocol: 'tcp' | 'udp' = 'tcp') => ({ name, address, port: number, protocol, open: true });
    return {
      role: this.#role, name: node ? 'Reception' : 'Contoso scans', version: '0.1.0', started: iso(-5 * 3_600_000), state: 'running',
      ...(node ? { scanners: 2, queue: 1, disk: 70_000_000_000 } : { nodes: 4 }), licence: licenceMode(this.#licence()),
      ...(troubled ? { fault: '2026-11-22 05:12:40 closing the page store failed: no space left on device' } : {}),
      warnings: troubled ? [
        { code: 'any-origin', text: 'Every web site may use the scanners.' }, { code: 'no-users', text: 'Nobody has an account.' },
        { code: 'certificate', text: 'The certificate external (scan.contoso.example) ends on 2026-11-28.' },
      ] : [],
      paths: (['configuration', 'data', 'storage', 'spool', 'log', 'keys'] as const).map((name) => ({ name, path: name === 'configuration' ? '/etc/platen/platen.ini' : `/var/lib/platen/${name === 'data' ? '' : name}` })),
      ports: node ? [port('HTTP', 18622, troubled ? 'all' : 'loopback'), port('HTTPS', 18623, troubled ? 'all' : 'loopback'), port('the setup page', 18625, 'loopback')]
        : [port('HTTP', 18602, 'all'), port('browsers and nodes', 18603, 'all'), port('browsers and nodes', 18603, 'all', 'udp'), port('the setup page', 18605, 'loopback')],
      log: this.#until ? { level: 'debug', until: this.#until } : { level: 'info' },
      settings: this.#settings, interfaces: [{ name: 'eth0', addresses: ['192.168.1.20', 'fd00::20'] }, { name: 'wlan0', addresses: ['192.168.1.21'] }],
      firewall: [
        { system: 'ufw', present: true, commands: ["sudo ufw allow 18622/tcp comment 'Platen'", "sudo ufw allow 18623/tcp comment 'Platen'"] },
        { system: 'firewalld', commands: ['sudo firewall-cmd --permanent --add-port=18622/tcp --add-port=18623/tcp', 'sudo firewall-cmd --reload'] },
        { system: 'nftables', commands: ["sudo nft insert rule inet filter input tcp dport '{ 18622, 18623 }' accept comment '\"Platen\"'"] },
        { system: 'windows', commands: ['netsh advfirewall firewall add rule name="Platen TCP" dir=in action=allow protocol=TCP localport=18622,18623 profile=private,domain'] },
      ],
      certificates: [
        { name: 'ca', source: 'internal', hosts: ['reception', '192.168.1.20'], issuer: 'Platen CA of Reception', fingerprint, notBefore: iso(-day), notAfter: iso(3650 * day), state: 'good' },
        ...(troubled ? [{ name: 'external' as const, source: 'own' as const, hosts: ['scan.contoso.example'], fingerprint, notAfter: iso(6 * day), state: 'urgent' as const }] : []),
        ...(this.#own ? [this.#own] : []),
      ],
      ...(node && this.#setting('[escl] Enable').value === 'TRUE' ? { shared: this.state.setup === 'near' ? near.shared : [] } : {}),
      ...(node ? { gateway: this.state.setup === 'waiting' ? { connected: false, address: 'gateway.contoso.example:18603', check: 'K7QM', waiting: true } : this.state.setup === 'near' && !this.#gateway.address ? { connected: false, found: near.found } : this.#gateway } : {}),
    };
  }

  /** Answers what is the setup page's; undefined: it is something else. `host` is where the page is. */
  answer(route: string, parts: string[], body: any, host: string): Answer | undefined {
    if (this.state.setup === 'off' && route.includes(' /setup')) return undefined;
    const change = this.#changes.find((c) => c.id === parts[3]);
    if (this.#changes[0]?.until && Date.parse(this.#changes[0].until) < Date.now()) this.#end(this.#changes[0], 'reverted');
    switch (route) {
      case 'GET /setup': return [200, this.#page()];
      case 'GET /setup/changes': return [200, { items: this.#changes }];
      case 'POST /setup/changes': return this.#change(body.values, body, host);
      case 'POST /setup/changes/:/keep': return change ? [200, this.#end(change, 'kept')] : { status: 404, code: 'change-unknown' };
      case 'POST /setup/changes/:/undo': return change ? [200, this.#end(change, 'undone')] : { status: 404, code: 'change-unknown' };
      case 'PUT /setup/certificates/local':
      case 'PUT /setup/certificates/external':
        this.#own = { name: parts[3] as 'local', source: 'own', hosts: ['scan.example'], notAfter: iso(90 * day), state: 'good' };
        return [200, this.#own];
      case 'DELETE /setup/certificates/local':
      case 'DELETE /setup/certificates/external': this.#own = undefined; return [204];
      case 'POST /setup/gateway':
        if (body.token && !String(body.token).startsWith('platen-join.')) return { status: 400, code: 'join-token-invalid' };
        this.#gateway = { connected: true, address: body.address ?? 'gateway.contoso.example:18603' };
        return [204];
      case 'DELETE /setup/gateway': this.#gateway = { connected: false }; return [204];
      case 'GET /audit': return [200, { items: [
        { n: 3, time: iso(-60_000), action: 'setup.change', result: 'ok', who: 'Maria Weber', role: 'admin', road: 'setup', address: '127.0.0.1', target: this.#id(), detail: '[node] External: FALSE → TRUE', hash: 'x' },
        { n: 2, time: iso(-120_000), action: 'setup.change', result: 'refused', who: 'Jonas Keller', role: 'user', road: 'setup', address: '192.168.1.31', hash: 'y' },
        { n: 1, time: iso(-day), action: 'session.create', result: 'ok', role: 'user', road: 'lan', address: '192.168.1.31', origin: 'https://shop.example', detail: 'pairing, role user', hash: 'z' },
      ] }];
    }
    return undefined;
  }

  #change(values: Record<string, string>, { dryRun, logMinutes }: { dryRun?: boolean; logMinutes?: number }, host: string): Answer {
    if (logMinutes) this.#until = iso(logMinutes * 60_000);
    else if ('[log] LogLevel' in values) this.#until = undefined;
    const edits = Object.entries(values).map(([key, after]) => ({ key, before: this.#setting(key).value, after })).filter((e) => e.before !== e.after);
    if (edits.some((e) => e.key.endsWith('Port') && !(Number(e.after) > 0))) return { status: 422, code: 'setting-invalid' };
    const until = edits.some((e) => onTrial.test(e.key)) ? iso(30_000) : undefined;
    const effects: SetupEffect[] = edits.map(({ key, before, after }) => (key.endsWith('External')
      ? { code: 'external-on', values: ['https://192.168.1.20:18623'], text: 'Phones of this network can reach Platen at https://192.168.1.20:18623.' }
      : key === '[escl] Enable' && after === 'TRUE' ? { code: 'escl-on', text: 'Every computer of this network can use the shared scanners without signing in.' }
      : { code: 'value', values: [key, after, before], text: `${key} becomes ${after}; it was ${before}.` }));
    const restart = edits.some((e) => this.#setting(e.key).restart);
    if (restart) effects.push({ code: 'restart', text: 'It takes a restart of the service before all of this is in force.' });
    const made: SetupChange = {
      changes: edits, effects, restart, opens: edits.some((e) => this.#setting(e.key).opens && e.after !== 'FALSE' && e.after !== ''),
      state: dryRun ? 'planned' : until ? 'on-trial' : 'kept', ...(until ? { until } : {}), addresses: [`http://${'[node] SetupHTTPPort' in values ? `localhost:${values['[node] SetupHTTPPort']}` : host}/setup`],
    };
    if (dryRun || logMinutes || edits.length === 0) return [dryRun ? 200 : 201, made];
    Object.assign(made, { id: this.#id(), time: iso(), by: 'Maria Weber' });
    for (const e of edits) Object.assign(this.#setting(e.key), { value: e.after, source: 'file' });
    this.#changes.unshift(made);
    return [201, made];
  }

  #end(change: SetupChange, state: SetupChange['state']): SetupChange {
    change.state = state;
    delete change.until;
    if (state !== 'kept') for (const e of change.changes) this.#setting(e.key).value = e.before;
    return change;
  }
}
