// What do the clients of a case talk to?
//
// A store and two edges, real processes in a folder of their own with ports the
// system picks, the project of this suite in it, and one name in front of the
// edges. Cases share a site and stay apart by their users.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { Balancer } from './balancer.mjs';
import { Program, run } from './program.mjs';
import { eventually } from './wait.mjs';

const PROJECT = fileURLToPath(new URL('project.yaml', import.meta.url));

/** One edge, which can be ended and started again on its folder. */
class Edge {
  #words;
  #log;

  constructor(words, log) {
    this.#words = words;
    this.#log = log;
  }

  /** Starts it; returns when it is ready. */
  async start() {
    this.program = await Program.start(this.#words, this.#log);
    const { edge_url: url, edge_admin_url: admin } = this.program.ready;
    this.url = url;
    await eventually(`${admin} is ready`, async () => (await fetch(`${admin}/ready`)).ok);
    return this;
  }

  get address() {
    const { hostname, port } = new URL(this.url);
    return [hostname, Number(port)];
  }
}

export class Site {
  /** Public key of applications, key of the users API, trusted key. */
  keys = {};

  /** Starts everything, edges with these flags, too; returns when both are ready. */
  static async start(...flags) {
    const site = new Site();
    const folder = await mkdtemp(path.join(os.tmpdir(), 'flowgate-dopt-'));
    site.folder = folder;
    const signing = path.join(folder, 'signing');
    await run(['key', 'signing', 'create', '--folder', signing]);
    const words = ['store', '--json', '--listen', '127.0.0.1:0', '--signing', signing];
    const data = path.join(folder, 'store');
    site.store = await Program.start([...words, '--data', data], path.join(folder, 'store.log'));
    site.adminKey = (await readFile(path.join(data, 'admin.key'), 'utf8')).trim();
    await site.command('import', PROJECT);
    for (const kind of ['blocks', 'users', 'server', 'edge']) site.keys[kind] = await site.key(kind);
    site.edges = await Promise.all([site.#edge('a', flags), site.#edge('b', flags)]);
    site.balancer = await Balancer.listen(() => site.edges.map((edge) => edge.address));
    return site;
  }

  /** The one name. */
  get url() {
    return this.balancer.url;
  }

  /** Runs a command as the administrator of the store. */
  command(...words) {
    const to = ['--to', this.store.ready.store_url];
    return run([...words, ...to], { FLOWGATE_ADMIN_KEY: this.adminKey });
  }

  /** Makes a key of the development environment. */
  async key(kind, name = kind) {
    const words = ['--kind', kind, '--environment', 'development', '--name', name];
    return (await this.command('key', 'create', ...words)).trim();
  }

  /** Imports one more project file. */
  async import(text) {
    const file = path.join(this.folder, 'more.yaml');
    await writeFile(file, text);
    await this.command('import', file);
  }

  /** What the store's ledger says of a user; null while it knows none. */
  async ledger(user) {
    const id = encodeURIComponent(user);
    const url = `${this.store.ready.store_url}/admin/v1/users/${id}?environment=development`;
    const answer = await fetch(url, { headers: { 'x-api-key': this.adminKey } });
    return answer.ok ? answer.json() : null;
  }

  /** Asks the blocks API as it is, past all clients. */
  ask(method, target, { key = this.keys.blocks, base = this.url, headers = {}, body } = {}) {
    return fetch(base + target, { method, headers: { 'x-api-key': key, ...headers }, body });
  }

  async stop() {
    this.balancer.close();
    await Promise.all([...this.edges.map((edge) => edge.program), this.store].map((p) => p.kill()));
    await rm(this.folder, { recursive: true, force: true });
  }

  #edge(name, flags) {
    const words = [
      ...['edge', '--json', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'],
      ...['--data', path.join(this.folder, `edge-${name}`), '--journal-segment-mb', '4'],
      ...['--upstream-url', this.store.ready.store_url, '--upstream-backoff-max-ms', '200'],
      ...['--trust-root', path.join(this.folder, 'signing/root.json')],
      ...['--environment-key', `development=${this.keys.edge}`],
      ...flags,
    ];
    return new Edge(words, path.join(this.folder, `edge-${name}.log`)).start();
  }
}
