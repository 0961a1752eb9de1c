import type { Node } from '@platen/sdk';

/** The node that has the name of another one already. Names are no proof of anything: only keys are. */
export function namesake(node: Node, nodes: Node[]): Node | undefined {
  return nodes.find((other) => other.id !== node.id && looks(other.name) === looks(node.name));
}

/** What a person takes for the same name. */
function looks(name: string): string {
  return name.normalize('NFKC').replace(/\p{Cf}/gu, '').replace(/\s+/g, ' ').trim().toLowerCase();
}
