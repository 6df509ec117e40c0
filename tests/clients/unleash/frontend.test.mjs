// Does the published client for pages work?
//
// `unleash-proxy-client` has its flags evaluated: for its context, again when
// that changes, and from time to time.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { InMemoryStorageProvider, UnleashClient } from 'unleash-proxy-client';

import { eventually, within } from '../dopt/lib/wait.mjs';
import { CLIENT, Edge, FRONTEND, flags } from './lib/edge.mjs';

let edge;
before(async () => {
  edge = await Edge.start();
});
after(() => edge.stop());

/** A client as a page has it. Its timers count in seconds. */
function open(t, more = {}) {
  const statuses = [];
  const client = new UnleashClient({
    url: `${edge.url}/api/frontend`,
    clientKey: FRONTEND,
    appName: 'story',
    refreshInterval: 0.1,
    // Its first one is on a timer that nothing stops.
    metricsIntervalInitial: 0,
    metricsInterval: 0.1,
    context: { userId: 'ann', properties: { plan: 'pro' } },
    storageProvider: new InMemoryStorageProvider(),
    fetch: async (...words) => {
      const answer = await fetch(...words);
      statuses.push(answer.status);
      return answer;
    },
    ...more,
  });
  t.after(() => client.stop());
  client.statuses = statuses;
  return client;
}

for (const usePOSTrequests of [false, true]) {
  test(`on, off and variants, by ${usePOSTrequests ? 'POST' : 'GET'}`, async (t) => {
    await edge.put(flags());
    const client = open(t, { usePOSTrequests });
    await within('the client has started', client.start());
    await eventually('the flags are there', () => client.isEnabled('cart'));
    assert.equal(client.isEnabled('chat'), true);
    assert.equal(client.isEnabled('off'), false);
    const { name, payload } = client.getVariant('cart');
    assert.equal(payload.value, { blue: '#00f', green: '#0f0' }[name]);
    assert.equal(client.getVariant('off').name, 'disabled');

    await within('another context', client.updateContext({ userId: 'bob' }));
    await eventually('it counts', () => !client.isEnabled('chat'));
    assert.equal(client.isEnabled('cart'), true);
  });
}

test('a change arrives, and what has not changed is not sent again', async (t) => {
  await edge.put(flags());
  const client = open(t);
  await within('the client has started', client.start());
  await eventually('it is on', () => client.isEnabled('cart'));
  await eventually('a 304', () => client.statuses.includes(304));
  const updated = new Promise((resolve) => client.once('update', resolve));
  await edge.put(flags({ cart: false }));
  await within('the update', updated);
  await eventually('it is off', () => !client.isEnabled('cart'));
});

test('an edge that restarts is survived', async (t) => {
  await edge.put(flags());
  const client = open(t);
  await within('the client has started', client.start());
  await eventually('it is on', () => client.isEnabled('cart'));
  await edge.program.kill();
  const failed = new Promise((resolve) => client.once('error', resolve));
  await within('an error', failed);
  assert.equal(client.isEnabled('cart'), true, 'it goes on with what it has');
  await edge.put(flags({ cart: false }));
  await edge.begin();
  await eventually('the client is back', () => !client.isEnabled('cart'));
});

test('metrics are taken, and a token for backends is not', async (t) => {
  await edge.put(flags());
  const client = open(t);
  await within('the client has started', client.start());
  const sent = new Promise((resolve) => client.once('sent', resolve));
  client.isEnabled('cart');
  const { bucket } = await within('metrics are sent', sent);
  assert.ok(bucket.toggles.cart);

  const other = open(t, { clientKey: CLIENT });
  const failed = new Promise((resolve) => other.once('error', resolve));
  // Its timers begin when it has started, and not when it has failed.
  const [{ code }] = await within('the refusal', Promise.all([failed, other.start()]));
  assert.equal(code, 403);
});
