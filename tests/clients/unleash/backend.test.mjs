// Does the published client for backends work, however it asks?
//
// `unleash-client` evaluates for itself. It gets flags by asking for all of
// them, by asking for what has changed, or by a stream; each way has to bring
// the first flags, every change, and to survive an edge that restarts.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { eventually, within } from '../dopt/lib/wait.mjs';
import { WAYS, backend } from './lib/client.mjs';
import { CLIENT, Edge, flags } from './lib/edge.mjs';

const PRO = { userId: 'ann', properties: { plan: 'pro' } };

let edge;
before(async () => {
  edge = await Edge.start();
});
after(() => edge.stop());

/** A client as an application has it, which tells of its use. */
function open(t, mode, { url = edge.url, ...more } = {}) {
  const told = { metricsInterval: 100, ...more };
  return backend(t, { url, token: CLIENT, appName: 'story', mode, more: told });
}

for (const [way, mode] of Object.entries(WAYS)) {
  test(`${way}: on, off and variants`, async (t) => {
    await edge.put(flags());
    const client = await open(t, mode);
    await eventually('the flags are there', () => client.isEnabled('cart', { userId: 'ann' }));
    assert.equal(client.isEnabled('chat', PRO), true);
    assert.equal(client.isEnabled('chat', { userId: 'ann' }), false);
    assert.equal(client.isEnabled('off', PRO), false);
    assert.equal(client.isEnabled('nothing', PRO), false);
    const variants = Array.from({ length: 50 }, (_, at) => client.getVariant('cart', { userId: `u${at}` }));
    for (const { name, enabled, payload } of variants) {
      assert.equal(enabled, true);
      assert.equal(payload.value, { blue: '#00f', green: '#0f0' }[name]);
    }
    assert.equal(new Set(variants.map(({ name }) => name)).size, 2, 'both are drawn');
    assert.deepEqual(client.complaints, []);
  });

  test(`${way}: a change arrives`, async (t) => {
    await edge.put(flags());
    const client = await open(t, mode);
    await eventually('it is on', () => client.isEnabled('cart', PRO));
    await edge.put(flags({ cart: false, chat: 'team' }));
    await eventually('it is off', () => !client.isEnabled('cart', PRO));
    // A segment alone has changed for this one.
    await eventually('the segment is another', () => !client.isEnabled('chat', PRO));
    const team = { userId: 'ann', properties: { plan: 'team' } };
    assert.equal(client.isEnabled('chat', team), true);
    assert.deepEqual(client.complaints, []);
  });

  test(`${way}: an edge that restarts is survived`, async (t) => {
    await edge.put(flags());
    // Backoff is the client's own and as long as it likes.
    const client = await open(t, mode);
    await eventually('it is on', () => client.isEnabled('cart', PRO));
    await edge.program.kill();
    assert.equal(client.isEnabled('cart', PRO), true, 'it goes on with what it has');
    await edge.put(flags({ cart: false }));
    await edge.begin();
    await eventually('the client is back', () => !client.isEnabled('cart', PRO));
    if (mode.type === 'streaming') assert.equal(client.repository.getMode(), 'streaming');
  });
}

test('what has not changed is not sent again', async (t) => {
  await edge.put(flags());
  for (const mode of [WAYS['all flags'], WAYS['what has changed']]) {
    const client = await open(t, mode);
    const unchanged = new Promise((resolve) => client.once('unchanged', resolve));
    await within('a 304', unchanged);
  }
});

test('a stream that breaks is taken up where it was', async (t) => {
  await edge.put(flags());
  const client = await open(t, WAYS['a stream']);
  await eventually('it is on', () => client.isEnabled('cart', PRO));
  // With the same flags again: what the client has is known by its number.
  await edge.program.terminate();
  await edge.begin();
  const resumed = 'flowgate_flag_stream_events_total{event="resumed"}';
  await eventually('it is resumed', async () => (await edge.counted(resumed)) > 0);
  const whole = 'flowgate_flag_stream_events_total{event="hydration"}';
  assert.equal(await edge.counted(whole), 0, 'nothing was sent twice');
  await edge.put(flags({ cart: false }));
  await eventually('a change arrives', () => !client.isEnabled('cart', PRO));
});

test('where there are streams enough, the client asks from time to time', async (t) => {
  const small = await Edge.start('--streams-max', '1');
  t.after(() => small.stop());
  const { url } = small;
  const first = await open(t, WAYS['a stream'], { url });
  const second = await open(t, WAYS['a stream'], { url });
  assert.equal(first.repository.getMode(), 'streaming');
  assert.equal(second.repository.getMode(), 'polling');
  await small.put(flags({ cart: false }));
  for (const client of [first, second]) {
    await eventually('it is off', () => !client.isEnabled('cart', PRO));
  }
});

test('the client registers, and what it counts is taken', async (t) => {
  await edge.put(flags());
  const client = await open(t, WAYS['all flags']);
  const sent = new Promise((resolve) => client.once('sent', resolve));
  client.isEnabled('cart', PRO);
  const { bucket } = await within('metrics are sent', sent);
  assert.ok(bucket.toggles.cart);
  assert.deepEqual(client.complaints, []);
});
