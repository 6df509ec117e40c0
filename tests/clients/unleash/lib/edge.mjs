// What do the clients of a case talk to?
//
// An edge that lives from a file of flags, a real process in a folder of its
// own. Its file is replaced as an operator does it, and it can be ended and
// started again under the address it had.

import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { Program } from '../../dopt/lib/program.mjs';
import { eventually } from '../../dopt/lib/wait.mjs';

/** Opens what backends ask for, and nothing else. */
export const CLIENT = '*:development.a-secret-for-backends';

/** The same for pages. */
export const FRONTEND = '*:development.a-secret-for-pages';

/** The flags of the cases; `on` says which of them are on for whom. */
export function flags({ cart = true, chat = 'pro' } = {}) {
  const parameters = { rollout: '100', stickiness: 'userId', groupId: 'cart' };
  const variant = (name, value) => ({
    name,
    weight: 500,
    stickiness: 'userId',
    payload: { type: 'string', value },
  });
  const variants = [variant('blue', '#00f'), variant('green', '#0f0')];
  const constraint = { contextName: 'plan', operator: 'IN', values: [chat] };
  return {
    version: 2,
    features: [
      {
        name: 'cart',
        type: 'release',
        project: 'shop',
        enabled: cart,
        strategies: [{ name: 'flexibleRollout', parameters, constraints: [], variants }],
      },
      {
        name: 'chat',
        type: 'release',
        project: 'desk',
        enabled: true,
        strategies: [{ name: 'default', parameters: {}, constraints: [], segments: [1] }],
      },
      { name: 'off', type: 'release', project: 'desk', enabled: false, strategies: [] },
    ],
    segments: [{ id: 1, constraints: [constraint] }],
  };
}

export class Edge {
  #address = '127.0.0.1:0';
  #more;

  /** With further words of the command. */
  static async start(...more) {
    const edge = new Edge();
    edge.#more = more;
    edge.folder = await mkdtemp(path.join(os.tmpdir(), 'flowgate-unleash-'));
    edge.file = path.join(edge.folder, 'features.json');
    await edge.put(flags());
    await edge.begin();
    return edge;
  }

  /** Puts other flags into the place of those before. */
  async put(document) {
    const beside = `${this.file}.new`;
    await writeFile(beside, JSON.stringify(document));
    await rename(beside, this.file);
  }

  /** Starts it, under the address it had if it had one. */
  async begin() {
    const words = ['edge', '--json', '--listen', this.#address, '--admin', '127.0.0.1:0'];
    words.push('--features', this.file);
    words.push('--client-token', CLIENT, '--frontend-token', FRONTEND, ...this.#more);
    this.program = await Program.start(words, path.join(this.folder, 'edge.log'));
    this.url = this.program.ready.edge_url;
    this.#address = new URL(this.url).host;
    const ready = `${this.url}/internal-backstage/ready`;
    await eventually('the edge is ready', async () => (await fetch(ready)).ok);
  }

  /** A counter of its metrics. */
  async counted(name) {
    const metrics = await (await fetch(`${this.program.ready.edge_admin_url}/metrics`)).text();
    const line = metrics.split('\n').find((own) => own.startsWith(`${name} `));
    return Number(line?.slice(name.length + 1) ?? 0);
  }

  async stop() {
    await this.program.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}
