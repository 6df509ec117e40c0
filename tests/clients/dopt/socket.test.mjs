// What do newer SDKs hear over the live socket?
//
// Played with the socket.io client they use, in their dialect: no start, a
// watch on every `ready`, versions as numbers or tags. Every flow and block that
// is pushed is held against the published schemas.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { blockOf, checkFlow, openBlocks, openSocket, openUsers } from './lib/dopt.mjs';
import { Site } from './lib/site.mjs';
import { eventually, within } from './lib/wait.mjs';

let site;
before(async () => {
  site = await Site.start();
});
after(() => site.stop());

/** What a socket was told of a flow, as a read would answer it. */
const told = (socket, sid) => {
  const names = socket.events.filter(({ name }) => name === 'blocks');
  const blocks = Object.assign({}, ...names.map(({ words }) => words[0]));
  return checkFlow({ ...socket.flow(sid), blocks: Object.values(blocks) }, sid);
};

test('a watch is answered with how things stand', async (t) => {
  const api = openBlocks(site, 'watcher');
  const flow = await api.flow('welcome', 2);
  await api.transition(blockOf(flow, 'step1'), 'next');
  const socket = openSocket(t, site, 'watcher', { watch: [['welcome', 2]] });
  await eventually('the first state', () => socket.flow('welcome') && socket.block('welcome.step2'));
  assert.deepEqual(told(socket, 'welcome').blocks, (await api.flow('welcome', 2)).blocks);
  assert.equal(socket.flow('welcome').blocks, undefined, 'blocks come apart');
  assert.equal(socket.readies(), 1);
});

test('each change is pushed, with every block it moved', async (t) => {
  const api = openBlocks(site, 'mover');
  const flow = await api.flow('onboarding', 1);
  const socket = openSocket(t, site, 'mover', { watch: [['onboarding', 1]] });
  await eventually('the first state', () => socket.block('onboarding.first')?.state.active);
  const step = async (sid, name) => assert.ok(await api.transition(blockOf(flow, sid), name));
  await step('first', 'next');
  await eventually('both items', () =>
    socket.block('onboarding.first').state.exited && socket.block('onboarding.second').state.active,
  );
  await step('second', 'next');
  await eventually('the tour, and the list with its items', () =>
    socket.block('onboarding.tour').transitioned.complete &&
    ['todo', 'name-it', 'paint-it'].every((sid) => socket.block(`onboarding.${sid}`)?.state.active),
  );
  assert.equal(socket.flow('onboarding').state.finished, false);
  assert.ok(await api.intent('onboarding', 'finish', 1));
  await eventually('the flow', () => socket.flow('onboarding').state.finished);
  await eventually('its blocks', () => !socket.block('onboarding.todo').state.active);
  assert.deepEqual(told(socket, 'onboarding').blocks.toSorted(bySid), (await api.flow('onboarding', 1)).blocks.toSorted(bySid));
});

const bySid = (one, other) => one.sid.localeCompare(other.sid);

test('side effects are told exactly when a push follows', async (t) => {
  const api = openBlocks(site, 'effects');
  await api.flow('manual', 1);
  const socket = openSocket(t, site, 'effects', { watch: [['manual', 1]] });
  await eventually('the first state', () => socket.flow('manual'));
  for (const [intent, force, started, finished] of [
    ['start', true, true, false],
    ['finish', false, true, true],
    ['reset', false, false, false],
    ['start', true, true, false],
  ]) {
    assert.equal(await api.intent('manual', intent, 1, force), true, intent);
    await eventually(`the flow after ${intent}`, () => {
      const { state } = socket.flow('manual');
      return state.started === started && state.finished === finished;
    });
  }
  assert.equal(await api.intent('manual', 'start', 1), false);
});

test('a read is never older than what was pushed', async (t) => {
  const api = openBlocks(site, 'fresh');
  const flow = await api.flow('welcome', 2);
  const socket = openSocket(t, site, 'fresh', { watch: [['welcome', 2]] });
  await eventually('the first state', () => socket.block('welcome.step1'));
  const reads = [];
  socket.on('blocks', (blocks) => {
    const pushed = Object.values(blocks).find((block) => block.sid === 'welcome.step1');
    if (pushed) reads.push(api.block(pushed).then((read) => assert.deepEqual(read, pushed)));
  });
  assert.equal(await api.transition(blockOf(flow, 'step1'), 'skip'), true);
  await eventually('the step away', () => reads.length === 1);
  await Promise.all(reads);
  assert.equal(await api.transition(blockOf(flow, 'extra'), 'dismiss'), true);
  await eventually('the step back', () => reads.length === 2);
  await Promise.all(reads);
});

test('a refused step is answered with how things stand', async (t) => {
  const api = openBlocks(site, 'refused');
  const flow = await api.flow('welcome', 2);
  const socket = openSocket(t, site, 'refused', { watch: [['welcome', 2]] });
  await eventually('the first state', () => socket.block('welcome.step1'));
  const before = socket.events.length;
  // The SDK shows the block as left, and only a push tells it otherwise.
  await assert.rejects(api.transition(blockOf(flow, 'step1'), 'bogus'));
  await eventually('the true state', () => socket.events.length > before);
  assert.equal(socket.block('welcome.step1').state.active, true);
});

test('a group on the socket is one on the requests', async (t) => {
  const groups = [{ identifier: 'acme', properties: { tier: 'gold' } }];
  await openUsers(site).users.identifyUser({ identifier: 'grouped', properties: {}, groups });
  const api = openBlocks(site, 'grouped', { group: 'acme' });
  const flow = await api.flow('golden', 1);
  const socket = openSocket(t, site, 'grouped', { group: 'acme', watch: [['golden', 1]] });
  await eventually('the first state', () => socket.block('golden.hello')?.state.active);
  assert.equal(await api.transition(blockOf(flow, 'hello'), 'dismiss'), true);
  await eventually('the push', () => socket.block('golden.hello').transitioned.dismiss);
});

test('only what is watched is told, in the version that is watched', async (t) => {
  const api = openBlocks(site, 'picky');
  const [old, flow] = [await api.flow('welcome', 1), await api.flow('welcome', 2)];
  await api.flow('onboarding', 1);
  const socket = openSocket(t, site, 'picky', { watch: [['welcome', 2]] });
  await eventually('the first state', () => socket.block('welcome.step1'));
  const stranger = openBlocks(site, 'somebody-else');
  const other = blockOf(await stranger.flow('welcome', 2), 'step1');
  await api.transition(blockOf(old, 'old'), 'complete');
  await api.intent('onboarding', 'stop', 1);
  await stranger.transition(other, 'skip');
  // Later than all of these, and told.
  await api.transition(blockOf(flow, 'step1'), 'next');
  await eventually('the own step', () => socket.block('welcome.step2').state.active);
  for (const { name, words } of socket.events) {
    const things = name === 'blocks' ? Object.values(words[0]) : name === 'flow' ? words : [];
    for (const { sid, version } of things) {
      assert.match(sid, /^welcome(\.|$)/);
      assert.equal(version, 2, sid);
    }
  }
  assert.equal(socket.block('welcome.extra').state.active, false, "not the stranger's step");
});

test('a watch names a version by its tag, too', async (t) => {
  for (const [tag, number] of [['latest', 2], ['uncommitted', 0]]) {
    const user = `tags-${tag}`;
    const api = openBlocks(site, user);
    const flow = await api.flow('welcome', tag);
    const socket = openSocket(t, site, user, { watch: [['welcome', tag]] });
    await eventually('the first state', () => socket.flow('welcome'));
    assert.equal(socket.flow('welcome').version, number);
    await api.transition(blockOf(flow, 'step1'), 'next');
    await eventually('the push', () => socket.block('welcome.step2')?.state.active);
    checkFlow(told(socket, 'welcome'), 'welcome', number);
  }
});

test('watches of what is not there are nothing, and the rest goes on', async (t) => {
  const api = openBlocks(site, 'clumsy');
  await api.flow('welcome', 2);
  const watch = [['nope', -1], ['welcome', -1], ['welcome', 99], ['nope', 'latest'], ['sketch', 'latest']];
  const socket = openSocket(t, site, 'clumsy', { watch });
  socket.on('ready', () => {
    socket.emit('watch:block', 'nope', 2);
    socket.emit('watch:channel', 'news');
    socket.emit('watch:flow');
    socket.emit('watch:flow', { sid: 'welcome' }, [2]);
    socket.emit('something', 'else');
    socket.emit('watch:flow', 'welcome', 2);
  });
  await eventually('the flow that is there', () => socket.flow('welcome'));
  assert.equal(socket.flow('welcome').version, 2);
  assert.equal(socket.flow('nope'), undefined);
  assert.equal(socket.readies(), 1);
  assert.equal(socket.connected, true);
});

test('a watched block is told, as older SDKs ask for it', async (t) => {
  const api = openBlocks(site, 'blocks');
  const flow = await api.flow('welcome', 2);
  const socket = openSocket(t, site, 'blocks');
  socket.on('ready', () => {
    for (const { uid, version } of flow.blocks) socket.emit('watch:block', uid, version);
    socket.emit('watch:flow', 'welcome', 2);
  });
  await eventually('ready', () => socket.readies() === 1);
  await eventually('the watch has been taken', () => socket.flow('welcome'));
  await api.transition(blockOf(flow, 'step1'), 'next');
  await eventually('the step', () => socket.block('welcome.step1')?.transitioned.next);
  await eventually('what follows', () => socket.block('welcome.step2')?.state.active);
});

test('a user who is told about later is started by the next read, and it is pushed', async (t) => {
  const api = openBlocks(site, 'upgrading');
  await api.flow('paying', 1);
  const socket = openSocket(t, site, 'upgrading', { watch: [['paying', 1]] });
  await eventually('the first state', () => socket.flow('paying'));
  assert.equal(socket.flow('paying').state.started, false);
  const properties = { plan: 'pro' };
  await openUsers(site).users.identifyUser({ identifier: 'upgrading', properties });
  assert.equal((await api.flow('paying', 1)).state.started, true);
  await eventually('the push', () => socket.flow('paying').state.started);
  await eventually('its block', () => socket.block('paying.hello')?.state.active);
});

test('a bad key is refused once, with a word', async (t) => {
  for (const key of ['blocks-development-nobody', '', site.keys.users]) {
    const socket = openSocket(t, site, 'stranger', { key });
    const refused = new Promise((resolve) => socket.on('connect_error', resolve));
    const error = await within('the refusal', refused);
    assert.ok(error.message, 'it says why');
    assert.equal(error.type, undefined, 'a packet of the namespace, not a broken transport');
    assert.equal(socket.active, false, 'the client does not try again');
    assert.equal(socket.readies(), 0);
  }
});

test('rubbish is one connection\'s trouble', async (t) => {
  const api = openBlocks(site, 'neighbour');
  const flow = await api.flow('welcome', 2);
  const socket = openSocket(t, site, 'neighbour', { watch: [['welcome', 2]] });
  await eventually('the first state', () => socket.block('welcome.step1'));
  for (const rubbish of ['9', '42/v2/client,{', '42/v2/client,["watch:flow"', 'x'.repeat(2_000_000)]) {
    const other = openSocket(t, site, 'neighbour');
    await eventually('it is ready', () => other.readies() === 1);
    other.io.engine.transport.ws.send(rubbish);
    // Taken or thrown out, its next life is as good as the first.
    other.io.engine.close();
    await eventually('it is ready again', () => other.readies() === 2);
  }
  assert.equal(await api.transition(blockOf(flow, 'step1'), 'next'), true);
  await eventually('the push', () => socket.block('welcome.step2').state.active);
  assert.equal(socket.readies(), 1);
});

test('whoever asks for long polling is told that there is none', async () => {
  const answer = await site.ask('GET', '/v2/socket/?endUserIdentifier=u&EIO=4&transport=polling');
  assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status}`);
  assert.equal(typeof (await answer.json()).details, 'string');
});

test('a missing key is refused like a bad one', async (t) => {
  const socket = openSocket(t, site, 'keyless', { auth: {} });
  const refused = new Promise((resolve) => socket.on('connect_error', resolve));
  const error = await within('the refusal', refused);
  assert.equal(error.type, undefined);
  assert.equal(socket.active, false);
});

test('a revoked key ends its sockets', async (t) => {
  const key = await site.key('blocks', 'short-lived');
  const user = 'revoked';
  await eventually('the key has arrived', async () => {
    const answer = await site.ask('GET', `/v2/flow/welcome?version=2&userIdentifier=${user}`, { key });
    return answer.ok;
  });
  const socket = openSocket(t, site, user, { key, watch: [['welcome', 2]] });
  await eventually('the first state', () => socket.flow('welcome'));
  const ended = new Promise((resolve) => socket.on('disconnect', resolve));
  const refused = new Promise((resolve) => socket.on('connect_error', resolve));
  const words = ['--kind', 'blocks', '--environment', 'development', '--name', 'short-lived'];
  await site.command('key', 'revoke', ...words, '--last', key.slice(-6));
  await within('the end', ended);
  // What was a broken connection to the client is tried again, and refused.
  if (socket.active) await within('the refusal', refused);
  assert.equal(socket.connected, false);
});

test('a hundred pages of one user are all told', async (t) => {
  const api = openBlocks(site, 'crowd');
  const flow = await api.flow('welcome', 2);
  const sockets = Array.from({ length: 100 }, () => openSocket(t, site, 'crowd', { watch: [['welcome', 2]] }));
  await eventually('all have the first state', () => sockets.every((socket) => socket.flow('welcome')));
  await api.transition(blockOf(flow, 'step1'), 'next');
  await eventually('all hear', () =>
    sockets.every((socket) => socket.block('welcome.step2')?.state.active),
  );
});
