// What happens to a connection that is open and dead?
//
// The network swallows everything: a client that hears no ping gives up after
// interval and timeout, and comes back; a server that hears no pong lets go. All
// cases wait for that, so they run side by side, with times that are shorter
// than those of production.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { isSocket } from './lib/balancer.mjs';
import { blockOf, openBlocks, openSocket } from './lib/dopt.mjs';
import { Site } from './lib/site.mjs';
import { eventually, within } from './lib/wait.mjs';

let site;
before(async () => {
  site = await Site.start('--ping-interval-s', '8', '--ping-timeout-s', '8');
});
after(() => site.stop());

const of = (user) => (head) => isSocket(head) && head.includes(`endUserIdentifier=${user}`);

/** A socket that watches, with its first state. */
async function watching(t, user) {
  const api = openBlocks(site, user);
  const flow = await api.flow('welcome', 2);
  const socket = openSocket(t, site, user, { watch: [['welcome', 2]] });
  await eventually('the first state', () => socket.block('welcome.step1')?.state.active);
  const end = new Promise((resolve) => socket.once('disconnect', resolve));
  return { api, flow, socket, end };
}

describe('dead connections', { concurrency: true }, () => {
  test('a client that hears nothing gives up, and finds what changed', async (t) => {
    const { api, flow, socket, end } = await watching(t, 'deaf');
    assert.equal(site.balancer.freeze(of('deaf'), { toClient: true }), 1);
    await api.transition(blockOf(flow, 'step1'), 'next');
    assert.equal(await within('the client gives up', end), 'ping timeout');
    await eventually('what changed', () => socket.block('welcome.step2')?.state.active);
    assert.equal(socket.readies(), 2);
  });

  test('a server that hears nothing lets go, and the client comes back', async (t) => {
    const { api, flow, socket, end } = await watching(t, 'mute');
    assert.equal(site.balancer.freeze(of('mute'), { toEdge: true }), 1);
    const reason = await within('the server lets go', end);
    assert.match(reason, /^transport (close|error)$/);
    await eventually('ready again', () => socket.readies() === 2);
    await api.transition(blockOf(flow, 'step1'), 'next');
    await eventually('pushes go on', () => socket.block('welcome.step2')?.state.active);
  });

  test('one that lives and says nothing stays', async (t) => {
    const { api, flow, socket } = await watching(t, 'quiet');
    let pings = 0;
    socket.io.on('ping', () => pings++);
    await eventually('two pings', () => pings >= 2);
    assert.equal(socket.readies(), 1);
    await api.transition(blockOf(flow, 'step1'), 'next');
    await eventually('the push', () => socket.block('welcome.step2')?.state.active);
    assert.equal(socket.readies(), 1);
  });
});
