import type { Node } from '@platen/sdk';
import { useEffect, useState } from 'preact/hooks';
import { admin } from '../api.js';
import { useLoad } from '../ui/use.js';
import { followed, listen } from './events.js';
import { may, session } from './session.js';
import { useStore } from './store.js';

/** Reports whether this is a gateway whose nodes the user looks after. */
export function mayManageNodes(): boolean {
  const now = session.get();
  return now.state === 'in' && now.service.role === 'gateway' && may('admin');
}

/** A gateway's nodes as they are now; none for whoever may not manage them. `joined` is called for one that has just come in. */
export function useNodes(joined?: (node: Node) => void) {
  const { epoch } = useStore(followed);
  const managed = mayManageNodes();
  const loaded = useLoad((signal) => (managed ? admin.nodes({ limit: 200 }, signal) : Promise.resolve({ items: [] as Node[] })), ['', epoch, managed]);
  const [nodes, setNodes] = useState<Node[]>();
  useEffect(() => setNodes(loaded.value?.items), [loaded.value]);
  const change = (node: Node): void => setNodes((list) => list && (list.some((n) => n.id === node.id) ? list.map((n) => (n.id === node.id ? node : n)) : [...list, node]));
  useEffect(() => {
    if (!managed) return;
    return listen(({ type, node }) => {
      if (type !== 'node-state' || !node) return;
      setNodes((list) => {
        const before = list?.find((n) => n.id === node.id);
        if (list && (!before || before.state === 'waiting') && node.state === 'online') joined?.(node);
        return list;
      });
      change(node);
    });
  }, [managed]);
  return { nodes, change, error: loaded.error, reload: loaded.reload };
}
