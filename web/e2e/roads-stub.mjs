// Stands in for the SDK's code for roads, so that a test says which way pages come: tellRoad(page, { road, direct }).
// Everything goes by way of the service all the same.
const stub = `
export class Roads {
  #service; #state = { road: 'relay', direct: 'idle', since: 0 }; #listeners = new Set(); #nodes = new Set();
  constructor(service) { this.#service = service; globalThis.roadsOfTest = this; }
  fetch(node, path, init = {}) { this.#nodes.add(node); globalThis.roadFetches = (globalThis.roadFetches ?? 0) + 1; return this.#service.relay(path, init); }
  prepare(node) { this.#nodes.add(node); }
  state() { return this.#state; }
  onChange(listener) { this.#listeners.add(listener); return () => this.#listeners.delete(listener); }
  ask() { globalThis.roadsAsked = true; this.tell({ road: 'relay', direct: 'trying' }); }
  tell(state) { this.#state = { since: Date.now(), ...state }; for (const node of this.#nodes) for (const l of this.#listeners) l(node, this.#state); }
  wake() {} close() {}
}`;

export function stubRoads(page) {
  return page.route(/\/assets\/road-[^/]*\.js$/, (route) => route.fulfill({ contentType: 'text/javascript', body: stub }));
}

/** Sets how things stand with all nodes that were asked for. */
export async function tellRoad(page, state) {
  await page.waitForFunction(() => globalThis.roadsOfTest !== undefined);
  await page.evaluate((s) => globalThis.roadsOfTest.tell(s), state);
}
