import type { RoadState } from '@platen/sdk';
import { useEffect, useState } from 'preact/hooks';
import { platen } from '../api.js';
import { behindGateway } from './session.js';

const relay: RoadState = { road: 'relay', direct: 'insecure', since: 0 };

/** How pages come from a node, as it changes; undefined where there is no gateway between. */
export function useRoad(node: string | undefined): RoadState | undefined {
  const [, redraw] = useState({});
  useEffect(() => platen.roads?.onChange((changed) => {
    if (changed === node) redraw({});
  }), [node]);
  if (node === undefined || !behindGateway()) return undefined;
  return platen.roads?.state(node) ?? relay;
}

/** Reports whether a node's pages come from it directly at present. */
export function isDirect(node: string): boolean {
  return node !== '' && platen.roads !== undefined && platen.roads.state(node).road !== 'relay';
}

/** Opens a direct road, if one opens, before there are pages. */
export function prepareRoad(node: string | undefined): void {
  if (node !== undefined && behindGateway()) platen.roads?.prepare(node);
}
