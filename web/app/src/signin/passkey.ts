import type { PasskeyChallenge } from '@platen/sdk';

/** Passkeys exist only in secure contexts, and not in every browser. */
export function hasPasskeys(): boolean {
  return typeof PublicKeyCredential === 'function';
}

type JSONObject = Record<string, unknown>;

/** The user closed the browser's dialog, or let it run out. */
export function dismissed(error: unknown): boolean {
  return error instanceof DOMException && (error.name === 'NotAllowedError' || error.name === 'AbortError');
}

/** This device holds a passkey of this user already. */
export function alreadyHere(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'InvalidStateError';
}

/** Lets the browser make a new passkey. */
export async function makePasskey(challenge: PasskeyChallenge): Promise<JSONObject> {
  const options = challenge.options as unknown as PublicKeyCredentialCreationOptionsJSON;
  const publicKey = {
    ...options,
    challenge: bytes(options.challenge),
    user: { ...options.user, id: bytes(options.user.id) },
    excludeCredentials: options.excludeCredentials?.map(descriptor) ?? [],
  } as unknown as PublicKeyCredentialCreationOptions;
  return answerOf(await navigator.credentials.create({ publicKey }));
}

/** Lets the user choose a passkey to sign in with. */
export async function usePasskey(challenge: PasskeyChallenge): Promise<JSONObject> {
  const options = challenge.options as unknown as PublicKeyCredentialRequestOptionsJSON;
  const publicKey = {
    ...options,
    challenge: bytes(options.challenge),
    allowCredentials: options.allowCredentials?.map(descriptor) ?? [],
  } as unknown as PublicKeyCredentialRequestOptions;
  return answerOf(await navigator.credentials.get({ publicKey }));
}

/**
 * The JSON form of WebAuthn Level 3. The browsers' own `toJSON` and `parse…FromJSON` are younger than passkeys, and some password
 * managers answer without them.
 */
function answerOf(answer: Credential | null): JSONObject {
  const credential = answer as PublicKeyCredential;
  const given = credential.response as AuthenticatorAttestationResponse & AuthenticatorAssertionResponse;
  const response: JSONObject = { clientDataJSON: base64url(given.clientDataJSON) };
  if (given.attestationObject) {
    response['attestationObject'] = base64url(given.attestationObject);
    response['transports'] = given.getTransports?.() ?? [];
  } else {
    response['authenticatorData'] = base64url(given.authenticatorData);
    response['signature'] = base64url(given.signature);
    if (given.userHandle) response['userHandle'] = base64url(given.userHandle);
  }
  return {
    id: credential.id, rawId: base64url(credential.rawId), type: credential.type, response,
    ...(credential.authenticatorAttachment ? { authenticatorAttachment: credential.authenticatorAttachment } : {}),
    clientExtensionResults: credential.getClientExtensionResults(),
  };
}

function descriptor(d: PublicKeyCredentialDescriptorJSON): PublicKeyCredentialDescriptor {
  return { ...d, id: bytes(d.id) } as PublicKeyCredentialDescriptor;
}

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
}

function base64url(buffer: ArrayBuffer): string {
  return btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
}
