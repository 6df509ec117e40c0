// What do clients see of a connection that is lost and found again?
//
// Broken by the network, by a server that stops in good order, and refused from
// the start: what changed meanwhile is on the page when it is back.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { isSocket } from './lib/balancer.mjs';
import { blockOf, openBlocks, openSdk, openSocket } from './lib/dopt.mjs';
import { Site } from './lib/site.mjs';
import { eventually, within } from './lib/wait.mjs';

let site;
before(async () => {
  site = await Site.start();
});
after(() => site.stop());

const of = (user) => (head) => isSocket(head) && head.includes(`endUserIdentifier=${user}`);

/** Why and with which code of the websocket a connection ends next. */
const nextEnd = (socket) =>
  new Promise((resolve) => {
    socket.once('disconnect', (reason, details) => resolve({ reason, code: details?.context?.code }));
  });

test('a connection that is reset comes back with what changed meanwhile', async (t) => {
  const api = openBlocks(site, 'reset');
  const flow = await api.flow('welcome', 2);
  const socket = openSocket(t, site, 'reset', { watch: [['welcome', 2]] });
  await eventually('the first state', () => socket.block('welcome.step1')?.state.active);
  const end = nextEnd(socket);
  // Nobody gets through until the step is made, so that no push can tell it.
  site.balancer.refuses = of('reset');
  assert.equal(site.balancer.cut(of('reset')), 1);
  assert.equal((await within('the loss', end)).reason, 'transport close');
  await api.transition(blockOf(flow, 'step1'), 'next');
  site.balancer.refuses = () => false;
  await eventually('ready again', () => socket.readies() === 2);
  await eventually('what changed', () => socket.block('welcome.step2')?.state.active);
});

test('an SDK that does not watch again is told all the same', async (t) => {
  const dopt = openSdk(t, site, 'forgetful', { welcome: 2 });
  await within('it is initialized', dopt.initialized());
  await within('its watch is taken', dopt.watched);
  const connection = () => dopt.socket.io.engine.id;
  const first = connection();
  site.balancer.refuses = of('forgetful');
  site.balancer.cut(of('forgetful'));
  await eventually('it noticed', () => !dopt.socket.connected);
  const api = openBlocks(site, 'forgetful');
  await api.transition(blockOf(await api.flow('welcome', 2), 'step1'), 'next');
  site.balancer.refuses = () => false;
  await eventually('it is back', () => dopt.socket.connected && connection() !== first);
  await eventually('what changed meanwhile', () => dopt.card('welcome.step2').active);
  dopt.card('welcome.step2').complete();
  await eventually('and what changes from now on', () => dopt.flow('welcome').state.finished);
});

test('without a socket flows can be read, and the page begins when there is one', async (t) => {
  site.balancer.refuses = of('offline');
  const dopt = openSdk(t, site, 'offline', { welcome: 2 });
  const failed = new Promise((resolve) => dopt.socket.once('connect_error', resolve));
  await within('a refused connection', failed);
  await eventually('the flow is read', () => dopt.block('welcome.step1').state.active);
  dopt.block('welcome.step1').transition('next');
  const api = openBlocks(site, 'offline');
  await eventually('the step is taken', async () =>
    blockOf(await api.flow('welcome', 2), 'step2').state.active,
  );
  site.balancer.refuses = () => false;
  assert.equal(await within('it is initialized', dopt.initialized()), true);
  await eventually('the true state', () => dopt.card('welcome.step2').active);
});

test('an edge that stops in good order sends its clients away, never off', async (t) => {
  const api = openBlocks(site, 'rolling');
  await api.flow('welcome', 2);
  const sdk = openSdk(t, site, 'rolling', { welcome: 2 });
  await within('the SDK is initialized', sdk.initialized());
  const socket = openSocket(t, site, 'rolling', { watch: [['welcome', 2]] });
  await eventually('the first state', () => socket.block('welcome.step1')?.state.active);
  const ends = [nextEnd(socket), nextEnd(sdk.socket)];
  const [edge, other] = site.edges;
  const { code } = await edge.program.terminate();
  assert.equal(code, 0);
  for (const end of ends) {
    const { reason, code: closed } = await within('the end', end);
    // After 'io server disconnect' (a packet 41) no client ever comes back.
    assert.equal(reason, 'transport close');
    assert.equal(closed, 1001, 'going away');
  }
  await eventually('both are back, on the other edge', () => socket.connected && sdk.socket.connected);
  const flow = await openBlocks(site, 'rolling', { url: other.url }).flow('welcome', 2);
  await openBlocks(site, 'rolling', { url: other.url }).transition(blockOf(flow, 'step1'), 'next');
  await eventually('pushes go on', () => socket.block('welcome.step2')?.state.active);
  await edge.start();
});
