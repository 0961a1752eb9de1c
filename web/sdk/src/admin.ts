import type { PlatenClient } from './client.js';
import { path } from './path.js';
import type { Transport } from './http.js';
import type {
  AllowedOrigin, DeviceGrant, JoinToken, JoinTokenRequest, List, ListOptions, Node, NodeEdit, OIDCStart, Pairing, PairingRequest, Passkey,
  PasskeyChallenge, PasskeyRequest, Permission, PermissionRequest, Scanner, ScannerEdit, Sticker, Token, TokenRequest, User, UserEdit, UserRequest,
} from './types.js';

/**
 * People, access and nodes. The service's own pages and programs may do this, as far as the caller's role goes; the pages of
 * other origins are refused whatever they were allowed.
 */
export class PlatenAdmin {
  readonly #transport: Transport;

  constructor(client: PlatenClient) {
    this.#transport = client.transport;
  }

  // Pairing codes.

  createPairing(request: PairingRequest = {}): Promise<Pairing> {
    return this.#post('/pairings', request);
  }
  pairing(id: string, signal?: AbortSignal): Promise<Pairing> {
    return this.#transport.json('GET', path`/pairings/${id}`, { signal });
  }
  deletePairing(id: string): Promise<void> {
    return this.#delete(path`/pairings/${id}`);
  }

  // The other ways to sign in.

  startOIDC(): Promise<OIDCStart> {
    return this.#post('/sign-in/oidc');
  }
  startPasskeySignIn(): Promise<PasskeyChallenge> {
    return this.#post('/sign-in/passkey');
  }
  deviceGrant(code: string): Promise<DeviceGrant> {
    return this.#transport.json('GET', path`/device-grants/${code}`);
  }
  allowDeviceGrant(code: string): Promise<void> {
    return this.#transport.empty('POST', path`/device-grants/${code}/allow`);
  }
  denyDeviceGrant(code: string): Promise<void> {
    return this.#delete(path`/device-grants/${code}`);
  }

  // The caller's passkeys.

  passkeys(signal?: AbortSignal): Promise<List<Passkey>> {
    return this.#list('/passkeys', {}, signal);
  }
  startPasskey(): Promise<PasskeyChallenge> {
    return this.#post('/passkeys/challenge');
  }
  createPasskey(request: PasskeyRequest): Promise<Passkey> {
    return this.#post('/passkeys', request);
  }
  deletePasskey(id: string): Promise<void> {
    return this.#delete(path`/passkeys/${id}`);
  }

  // People.

  users(list: ListOptions = {}, signal?: AbortSignal): Promise<List<User>> {
    return this.#list('/users', list, signal);
  }
  createUser(request: UserRequest): Promise<User> {
    return this.#post('/users', request);
  }
  editUser(id: string, edit: UserEdit): Promise<User> {
    return this.#transport.json('PATCH', path`/users/${id}`, { body: edit });
  }
  deleteUser(id: string): Promise<void> {
    return this.#delete(path`/users/${id}`);
  }

  // Who may use which scanner.

  permissions(signal?: AbortSignal): Promise<List<Permission>> {
    return this.#list('/permissions', {}, signal);
  }
  createPermission(request: PermissionRequest): Promise<Permission> {
    return this.#post('/permissions', request);
  }
  deletePermission(id: string): Promise<void> {
    return this.#delete(path`/permissions/${id}`);
  }

  // API tokens of machines.

  tokens(list: ListOptions = {}, signal?: AbortSignal): Promise<List<Token>> {
    return this.#list('/tokens', list, signal);
  }
  createToken(request: TokenRequest): Promise<Token> {
    return this.#post('/tokens', request);
  }
  deleteToken(id: string): Promise<void> {
    return this.#delete(path`/tokens/${id}`);
  }

  // Web pages of others.

  origins(signal?: AbortSignal): Promise<List<AllowedOrigin>> {
    return this.#list('/origins', {}, signal);
  }
  allowOrigin(origin: string): Promise<AllowedOrigin> {
    return this.#post('/origins', { origin });
  }
  withdrawOrigin(id: string): Promise<void> {
    return this.#delete(path`/origins/${id}`);
  }

  // Scanners.

  editScanner(id: string, edit: ScannerEdit): Promise<Scanner> {
    return this.#transport.json('PATCH', path`/scanners/${id}`, { body: edit });
  }
  sticker(id: string, signal?: AbortSignal): Promise<Sticker> {
    return this.#transport.json('GET', path`/scanners/${id}/sticker`, { signal });
  }
  /** The old one works no more. */
  renewSticker(id: string): Promise<Sticker> {
    return this.#post(path`/scanners/${id}/sticker`);
  }

  // A gateway's nodes.

  nodes(list: ListOptions = {}, signal?: AbortSignal): Promise<List<Node>> {
    return this.#list('/nodes', list, signal);
  }
  /** `presents` takes the place of the whole list before: computers around the node use these scanners without signing in. */
  editNode(id: string, edit: NodeEdit): Promise<Node> {
    return this.#transport.json('PATCH', path`/nodes/${id}`, { body: edit });
  }
  /** `check` is what a person has compared with the node's screen. */
  approveNode(id: string, check: string): Promise<Node> {
    return this.#post(path`/nodes/${id}/approve`, { check });
  }
  reinstateNode(id: string): Promise<Node> {
    return this.#post(path`/nodes/${id}/reinstate`);
  }
  revokeNode(id: string): Promise<void> {
    return this.#delete(path`/nodes/${id}`);
  }
  createJoinToken(request: JoinTokenRequest = {}): Promise<JoinToken> {
    return this.#post('/join-tokens', request);
  }
  deleteJoinToken(id: string): Promise<void> {
    return this.#delete(path`/join-tokens/${id}`);
  }

  #list<T>(p: string, list: ListOptions = {}, signal?: AbortSignal): Promise<List<T>> {
    return this.#transport.json('GET', p, { query: { ...list }, signal });
  }
  #post<T>(p: string, body?: object): Promise<T> {
    return this.#transport.json('POST', p, body === undefined ? {} : { body });
  }
  #delete(p: string): Promise<void> {
    return this.#transport.empty('DELETE', p);
  }
}
