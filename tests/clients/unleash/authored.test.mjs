// Do the published clients hear of what is authored, and is what they tell known
// where it is authored?
//
// Below a store. Both clients get every change that its commands make: in each
// way they can ask, and with an edge in between that is killed meanwhile. What
// they tell of their use stands in the store afterwards, exactly.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { InMemoryStorageProvider, UnleashClient } from 'unleash-proxy-client';

import { eventually, within } from '../dopt/lib/wait.mjs';
import { WAYS, backend } from './lib/client.mjs';
import { Store } from './lib/store.mjs';

const PROJECT = `flowgate: project/1
project: shop
name: Shop
segments:
  - { name: professionals, constraints: [ { contextName: plan, operator: IN, values: [pro] } ] }
flags:
  - name: cart
    environments:
      development:
        enabled: true
        strategies:
          - { name: default, segments: [professionals] }
  - { name: chat }
`;

const PRO = { userId: 'ann', properties: { plan: 'pro' } };
const TEAM = { userId: 'bob', properties: { plan: 'team' } };

let store;
let edge;
let edgeKey;
let keys;
before(async () => {
  store = await Store.start();
  await store.put(PROJECT);
  edgeKey = await store.key('edge');
  keys = { client: await store.key('client'), frontend: await store.key('frontend') };
  edge = await store.edge(edgeKey);
  await eventually('the edge knows the keys', async () => {
    const known = async ([where, key]) =>
      (await fetch(`${edge.ready.edge_url}/api/${where}`, { headers: { Authorization: key } })).ok;
    const all = [['client/features', keys.client], ['frontend', keys.frontend]].map(known);
    return (await Promise.all(all)).every(Boolean);
  });
});
after(async () => {
  await edge?.kill();
  await store?.stop();
});

/** A backend of this name, ready. */
function opened(t, appName, mode, more = {}) {
  return backend(t, { url: edge.ready.edge_url, token: keys.client, appName, mode, more });
}

/** A page of this name, started. */
async function page(t, appName, more = {}) {
  const client = new UnleashClient({
    url: `${edge.ready.edge_url}/api/frontend`,
    clientKey: keys.frontend,
    appName,
    refreshInterval: 0.1,
    metricsIntervalInitial: 0,
    metricsInterval: 0,
    context: PRO,
    storageProvider: new InMemoryStorageProvider(),
    fetch,
    ...more,
  });
  t.after(() => client.stop());
  client.on('error', () => {});
  await within('the client has started', client.start());
  return client;
}

test('what is authored arrives, also behind an edge that was killed', async (t) => {
  const asking = {};
  for (const [way, mode] of Object.entries(WAYS)) {
    const client = await opened(t, 'changes', mode);
    asking[way] = (flag, context) => client.isEnabled(flag, context);
  }
  const pages = { ann: await page(t, 'changes'), bob: await page(t, 'changes', { context: TEAM }) };
  asking['a page'] = (flag, { userId }) => pages[userId].isEnabled(flag);
  const all = async (flag, context, on) => {
    for (const [way, isOn] of Object.entries(asking)) {
      const what = `${flag} is ${on ? 'on' : 'off'} for ${context.userId}: ${way}`;
      await eventually(what, () => isOn(flag, context) === on);
    }
  };
  await all('cart', PRO, true);
  await all('cart', TEAM, false);
  await all('chat', TEAM, false);

  await store.command('flag', 'enable', 'chat');
  await all('chat', TEAM, true);
  // The segment alone.
  await store.put(PROJECT.replace('[pro]', '[pro, team]'));
  await all('cart', TEAM, true);

  await edge.kill();
  await store.command('flag', 'disable', 'cart');
  edge = await store.edge(edgeKey, { listen: new URL(edge.ready.edge_url).host });
  await all('cart', PRO, false);
  await all('chat', TEAM, true);
});

test('what the clients tell of their use stands in the store', async (t) => {
  await store.command('flag', 'enable', 'cart');
  const told = { metricsInterval: 100 };
  const server = await opened(t, 'server', WAYS['all flags'], told);
  const asked = { yes: 0, no: 0 };
  const ask = (context) => {
    const on = server.isEnabled('cart', context);
    asked[on ? 'yes' : 'no'] += 1;
    return on;
  };
  await eventually('it is on', () => ask(PRO));
  for (let at = 0; at < 7; at += 1) assert.equal(ask(PRO), true);
  for (let at = 0; at < 3; at += 1) assert.equal(ask({ userId: 'eve' }), false);
  for (let at = 0; at < 4; at += 1) assert.equal(server.isEnabled('nobody-made-it', PRO), false);
  await eventually('the store has it all, once', async () => {
    const known = await sums('cart', 'server');
    return known?.yes === asked.yes && known.no === asked.no;
  });
  const unknown = await eventually('a flag that is not there', () => sums('nobody-made-it', 'server'));
  assert.deepEqual(unknown, { yes: 0, no: 4 });

  const frontend = await page(t, 'page', { metricsInterval: 0.1 });
  await eventually('it is on', () => frontend.isEnabled('chat'));
  const pages = await eventually('a page is told of', () => sums('chat', 'page'));
  assert.ok(pages.yes > 0, JSON.stringify(pages));

  const applications = await store.asked('usage', 'applications');
  const { sdks } = applications.find(({ app }) => app === 'server');
  assert.match(sdks.join(), /^unleash-(node|client-node)\b/);
});

/** How often a flag was on and off for an application; nothing if never. */
async function sums(flag, application) {
  const flags = await store.asked('usage', 'flags', '--app', application);
  const found = flags.find((own) => own.flag === flag);
  return found && { yes: found.yes, no: found.no };
}
