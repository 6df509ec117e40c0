// Does the published client for backends hear of a flag that is switched off
// while an edge holds a release back?
//
// Below a store, as flags are authored. During a hold the tags and ids that the
// client is given name two numbers: it has to give them back as they are, also
// to an edge that restarts, and to go on when somebody has confirmed.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { eventually } from '../dopt/lib/wait.mjs';
import { WAYS, backend } from './lib/client.mjs';
import { Store } from './lib/store.mjs';

/** A flow with one version for each entry, and the flags. */
function project(entries) {
  const version = (entry, at) => `
      - number: ${at + 1}
        message: m
        author: ada
        created: 2026-01-01T00:00:00Z
        entry: ${entry}
        blocks: [ { sid: card, type: card } ]
        paths: [ { from: entry, to: card } ]`;
  return `flowgate: project/1
project: demo
name: Demo
flows:
  - sid: tour
    name: tour
    versions:${entries.map(version).join('')}
flags:
  - { name: banner }
  - { name: other }
`;
}

let store;
before(async () => {
  store = await Store.start();
});
after(() => store?.stop());

const put = (...entries) => store.put(project(entries));

test('a flag that is switched off during a hold is off in every client', async (t) => {
  await put('everyone');
  for (const flag of ['banner', 'other']) await store.command('flag', 'enable', flag);
  const [edgeKey, server, token] = [await store.key('edge'), await store.key('server'), await store.key('client')];
  const guard = ['--environment-guard-contexts', 'development=200'];
  guard.push('--environment-guard-percent', 'development=30');
  const begin = (listen) => store.edge(edgeKey, { listen, more: guard });
  let edge = await begin('127.0.0.1:0');
  t.after(() => edge.kill());
  const url = edge.ready.edge_url;
  /** The release that is held; none is undefined. */
  const held = async () => {
    const status = await (await fetch(`${edge.ready.edge_admin_url}/status`)).json();
    return status.environments[0].held?.release;
  };
  const openAll = async (when) => {
    const opened = ['what has changed', 'a stream'].map(async (way) => {
      const mode = WAYS[way];
      return [`${way}, ${when}`, await backend(t, { url, token, appName: 'holding', mode })];
    });
    return Promise.all(opened);
  };
  await eventually('the edge knows the key', async () => {
    const headers = { Authorization: token };
    return (await fetch(`${url}/api/client/features`, { headers })).ok;
  });
  const early = await openAll('from before');
  const all = async (clients, flag, on) => {
    for (const [way, client] of clients) {
      await eventually(`${flag} is ${on ? 'on' : 'off'}: ${way}`, () => client.isEnabled(flag, {}) === on);
    }
  };
  await all(early, 'banner', true);
  await all(early, 'other', true);

  for (let user = 0; user < 800; user += 1) {
    const body = JSON.stringify({ subject: { user: `u${user}` }, flows: { tour: 'latest' } });
    const headers = { 'x-api-key': server, 'content-type': 'application/json' };
    const answer = await fetch(`${url}/v1/evaluate`, { method: 'POST', headers, body });
    assert.equal(answer.status, 200, await answer.text());
  }
  await put('everyone', 'api-only');
  const first = await eventually('the release is held', held);
  await store.command('flag', 'disable', 'banner');
  await all(early, 'banner', false);
  // The release that says the same is held, too; no client has more to hear.
  const release = await eventually('so is the next one', async () => {
    const now = await held();
    return now > first && now;
  });
  const during = await openAll('from during the hold');
  await all(during, 'banner', false);

  await edge.kill();
  edge = await begin(new URL(url).host);
  assert.equal(await held(), release, 'it is held over the restart');
  const late = await openAll('from after the restart');
  const everybody = [...early, ...during, ...late];
  await all(everybody, 'banner', false);
  await store.command('release', 'confirm', 'development', String(release));
  await eventually('nothing is held', async () => (await held()) === undefined);
  await all(everybody, 'banner', false);
  // Whoever did not come back would not hear of these.
  await store.command('flag', 'disable', 'other');
  await all(everybody, 'other', false);
  await store.command('flag', 'enable', 'banner');
  await all(everybody, 'banner', true);
  const streams = everybody.filter(([way]) => way.startsWith('a stream'));
  for (const [way, client] of streams) assert.equal(client.repository.getMode(), 'streaming', way);
});
