// Where are the flags of a case authored?
//
// In a store, a real process in a folder of its own, by the commands that its
// administrator would type. Edges below it have a folder of their own beside
// it, and find there again what they had when they are started once more.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { Program, run } from '../../dopt/lib/program.mjs';
import { eventually } from '../../dopt/lib/wait.mjs';

export class Store {
  #adminKey;
  #signing;

  static async start() {
    const store = new Store();
    store.folder = await mkdtemp(path.join(os.tmpdir(), 'flowgate-unleash-store-'));
    store.#signing = path.join(store.folder, 'signing');
    await run(['key', 'signing', 'create', '--folder', store.#signing]);
    const data = path.join(store.folder, 'store');
    const words = ['store', '--json', '--listen', '127.0.0.1:0', '--signing', store.#signing];
    store.program = await Program.start([...words, '--data', data], path.join(store.folder, 'store.log'));
    store.#adminKey = (await readFile(path.join(data, 'admin.key'), 'utf8')).trim();
    return store;
  }

  /** Runs a command as its administrator; what it printed. */
  command(...words) {
    const to = ['--to', this.program.ready.store_url];
    return run([...words, ...to], { FLOWGATE_ADMIN_KEY: this.#adminKey });
  }

  /** The same, of which the answer is JSON. */
  async asked(...words) {
    return JSON.parse(await this.command(...words, '--output', 'json'));
  }

  /** Imports a project file. */
  async put(project) {
    const file = path.join(this.folder, 'project.yaml');
    await writeFile(file, project);
    await this.command('import', '--yes', file);
  }

  /** A new key of the environment in which the cases play. */
  async key(kind) {
    const words = ['--kind', kind, '--environment', 'development', '--name', kind];
    return (await this.command('key', 'create', ...words)).trim();
  }

  /** An edge that is ready; its folder is always the same one. */
  async edge(key, { listen = '127.0.0.1:0', more = [] } = {}) {
    const words = ['edge', '--json', '--listen', listen, '--admin', '127.0.0.1:0', '--workers', '1'];
    words.push('--upstream-url', this.program.ready.store_url, '--environment-key', `development=${key}`);
    words.push('--trust-root', path.join(this.#signing, 'root.json'));
    words.push('--data', path.join(this.folder, 'edge'), ...more);
    const program = await Program.start(words, path.join(this.folder, 'edge.log'));
    const ready = `${program.ready.edge_admin_url}/ready`;
    await eventually('the edge is ready', async () => (await fetch(ready)).ok);
    return program;
  }

  async stop() {
    await this.program.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}
