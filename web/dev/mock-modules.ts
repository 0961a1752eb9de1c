/** The stand-in's modules: PDF import, text and split, with what they make up. */
import type { ServerResponse } from 'node:http';
import type { Document, Job } from '@platen/sdk';

/** What a call is refused with. */
export interface Refusal {
  code: string;
  status: number;
  detail: string;
}

export interface ModuleWorld {
  pace: number;
  documents: Map<string, Document>;
  refusal: () => Refusal | null;
  newDocument: (name: string | undefined) => Document;
  edit: (document: Document, more: Partial<Document>) => void;
  startImport: (document: string, resolution: number) => Job;
  problem: (response: ServerResponse, status: number, code: string, more?: object) => void;
  json: (response: ServerResponse, status: number, body: unknown) => void;
}

/** Answers calls of modules; false: it is something else. `parts` are those of the path. */
export function moduleCalls(world: ModuleWorld): (route: string, parts: string[], query: URLSearchParams, body: any, response: ServerResponse) => Promise<boolean> {
  const { documents, json, problem } = world;
  return async (route, parts, query, body, response) => {
    if (!['POST /imports', 'GET /jobs/:/pages/:/text', 'POST /documents/:/split'].includes(route)) return false;
    await new Promise((resolve) => setTimeout(resolve, world.pace / 2));
    const refused = world.refusal();
    if (refused) {
      problem(response, refused.status, refused.code, { detail: refused.detail });
      return true;
    }
    const document = documents.get(parts[2] ?? '');
    switch (route) {
      case 'POST /imports': {
        const target = documents.get(query.get('document') ?? '') ?? world.newDocument(query.get('name') ?? undefined);
        json(response, 201, world.startImport(target.id, Number(query.get('resolution') ?? 200)));
        return true;
      }
      case 'GET /jobs/:/pages/:/text':
        json(response, 200, { text: 'Invoice 4711\n', language: query.get('language'), orientation: 0, words: [] });
        return true;
    }
    if (!document) {
      problem(response, 404, 'not-found');
      return true;
    }
    if (document.pages.length < 2 || body.match === 'none') {
      json(response, 200, { items: [document] });
      return true;
    }
    const half = Math.ceil(document.pages.length / 2);
    const second = world.newDocument(body.name === 'barcode' ? 'DOC-0002' : `${document.name} 2`);
    second.pages = document.pages.slice(half);
    world.edit(document, { pages: document.pages.slice(0, half) });
    json(response, 200, { items: [document, second] });
    return true;
  };
}
