// What do Dopt's clients get when they read a flow or a block?

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { active, blockOf, checkError, checkFlow, openBlocks, openUsers } from './lib/dopt.mjs';
import { Site } from './lib/site.mjs';
import { eventually } from './lib/wait.mjs';

let site;
before(async () => {
  site = await Site.start();
});
after(() => site.stop());

const STARTED = { started: true, stopped: false, finished: false };
const NOTHING = { started: false, stopped: false, finished: false };

test('a flow is as the published schemas have it, and started for who qualifies', async () => {
  const api = openBlocks(site, 'reader');
  const flow = checkFlow(await api.flow('welcome', 2), 'welcome', 2);
  assert.deepEqual(flow.state, STARTED);
  assert.deepEqual(active(flow), ['step1']);
  assert.notEqual(flow.uid, flow.sid);
  const sids = flow.blocks.map((block) => block.sid);
  assert.deepEqual(sids, ['welcome.step1', 'welcome.step2', 'welcome.extra'], 'no logic block');
  const step = blockOf(flow, 'step1');
  assert.equal(step.type, 'custom');
  assert.deepEqual(step.state, { active: true, entered: true, exited: false });
  assert.deepEqual(step.transitioned, { next: false, skip: false });
  const fields = Object.fromEntries(step.fields.map(({ sid, type, value }) => [sid, [type, value]]));
  assert.deepEqual(fields, {
    title: ['string', 'Hello'],
    price: ['number', 9.5],
    hot: ['boolean', true],
    empty: ['string', null],
    body: ['richText', [{ type: 'paragraph', children: [{ text: 'Hello', bold: true }] }]],
  });
  assert.deepEqual(api.said, []);

  const block = await api.block(step);
  assert.deepEqual(block, step);
});

test('items know their container', async () => {
  const flow = checkFlow(await openBlocks(site, 'items').flow('onboarding', 1), 'onboarding', 1);
  assert.deepEqual(active(flow), ['tour', 'first']);
  for (const [item, container, type, names] of [
    ['first', 'tour', 'tourItem', { next: false, previous: false }],
    ['second', 'tour', 'tourItem', { next: false, previous: false }],
    ['name-it', 'todo', 'checklistItem', { complete: false, skip: false }],
  ]) {
    const block = blockOf(flow, item);
    assert.equal(block.type, type);
    assert.equal(block.containerUid, blockOf(flow, container).uid);
    assert.deepEqual(block.transitioned, names);
  }
});

test('versions and tags come back as the number they mean', async () => {
  const api = openBlocks(site, 'versions');
  for (const [asked, number] of [[1, 1], [2, 2], ['latest', 2], ['uncommitted', 0], [0, 0]]) {
    checkFlow(await api.flow('welcome', asked), 'welcome', number);
  }
  const target = '/v2/flow/welcome?userIdentifier=versions&';
  // A float as the Python client writes it, a tag as older SDKs do.
  for (const [asked, number] of [['version=2.0', 2], ['version=latest', 2]]) {
    const answer = await site.ask('GET', target + asked);
    const flow = checkFlow(await answer.json(), 'welcome', number);
    assert.equal(flow.blocks, undefined, 'blocks come only when asked for');
  }
  for (const asked of ['', 'version=1.5', 'version=NaN', 'version=-1', 'tag=newest']) {
    await checkError(await site.ask('GET', target + asked), 400, 'invalid_request_error');
  }
});

test('latest of a flow nobody committed is empty, and its draft is there', async () => {
  const api = openBlocks(site, 'drafts');
  const flow = checkFlow(await api.flow('sketch', 'latest'), 'sketch', 0);
  assert.deepEqual(flow.state, NOTHING);
  assert.deepEqual(flow.blocks, []);
  assert.deepEqual(api.said, []);
  const draft = checkFlow(await api.flow('sketch', 'uncommitted'), 'sketch', 0);
  assert.deepEqual(active(draft), ['hello']);
});

test('who does not qualify is started as soon as they do', async () => {
  const api = openBlocks(site, 'later');
  const flow = checkFlow(await api.flow('paying', 1), 'paying', 1);
  assert.deepEqual(flow.state, NOTHING);
  assert.deepEqual(active(flow), []);
  const properties = { plan: 'pro' };
  await openUsers(site).users.identifyUser({ identifier: 'later', properties });
  // The edge that was told knows at once.
  const next = await api.flow('paying', 1);
  assert.deepEqual(next.state, STARTED);
});

test('a condition on the group needs the group on the request', async () => {
  const users = openUsers(site);
  await users.users.identifyUser({
    identifier: 'member',
    properties: {},
    groups: [{ identifier: 'acme', properties: { tier: 'gold' } }],
  });
  const alone = await openBlocks(site, 'member').flow('golden', 1);
  assert.deepEqual(alone.state, NOTHING);
  const other = await openBlocks(site, 'member', { group: 'nobody' }).flow('golden', 1);
  assert.deepEqual(other.state, NOTHING);
  const own = await openBlocks(site, 'member', { group: 'acme' }).flow('golden', 1);
  assert.deepEqual(own.state, STARTED);
});

test('user ids are taken as the clients write them', async () => {
  for (const user of ['joe+test@example.com', 'two words', 'slash/and?mark', 'zoë ☃', '100%25']) {
    const api = openBlocks(site, user);
    const flow = checkFlow(await api.flow('welcome', 2), 'welcome', 2);
    assert.equal(await api.transition(blockOf(flow, 'step1'), 'next'), true, user);
    assert.deepEqual(active(await api.flow('welcome', 2)), ['step2'], user);
  }
  // The SDKs write them raw into the URL: what arrives as percent-encoded is decoded.
  for (const user of ['joe+test@example.com', 'two words', 'slash/and?mark', 'zoë ☃', '100%']) {
    await eventually(`the ledger has ${user}`, () => site.ledger(user));
  }
  // Generated clients send no package name and write a space as plus.
  const headers = { 'x-fern-language': 'JavaScript' };
  const target = '/v2/flow/welcome?include=block&version=2&userIdentifier=two+words';
  const flow = await (await site.ask('GET', target, { headers })).json();
  assert.deepEqual(active(flow), ['step2'], 'the same user as above');
});

test('what is not there is an error the clients can read', async () => {
  const api = openBlocks(site, 'lost');
  for (const [sid, version] of [['nope', 1], ['welcome', 99], ['nope', 'latest']]) {
    const flow = await api.flow(sid, version);
    assert.equal(flow.version, -1, 'the default of the client');
    assert.deepEqual(flow.blocks, []);
  }
  // The client reads the body of an error behind our back.
  const told = () => api.said.filter((text) => text.startsWith('error: NOT_FOUND_ERROR'));
  await eventually('three readable errors', () => told().length === 3);
  const block = await api.block({ uid: 'nope', sid: 'nope', version: 1 });
  assert.equal(block.type, 'custom');
  await assert.rejects(api.intent('nope', 'start', -1));

  for (const [method, target, status, code] of [
    ['GET', '/v2/flow/nope?version=1&userIdentifier=u', 404, 'not_found_error'],
    ['GET', '/v2/block/nope?version=1&userIdentifier=u', 404, 'not_found_error'],
    ['GET', '/v2/flow/welcome?version=2', 400, 'invalid_request_error'],
    ['GET', '/v2/elsewhere', 404, 'not_found_error'],
    ['POST', '/v2/flow/welcome/explode?version=2&userIdentifier=u', 404, 'not_found_error'],
  ]) {
    await checkError(await site.ask(method, target), status, code);
  }
  // Channels are not served; whoever asks for one can read that.
  const channel = await site.ask('GET', '/v0/channels/c?userIdentifier=u');
  assert.equal(channel.status, 404);
  await channel.json();
});

test('a bad key is 401, and one of another kind is refused, too', async () => {
  for (const [key, status] of [['blocks-development-nobody', 401], ['', 401], [site.keys.users, 403]]) {
    const target = '/v2/flow/welcome?version=2&userIdentifier=u';
    await checkError(await site.ask('GET', target, { key }), status, 'unauthorized_error');
  }
  const api = openBlocks(site, 'u', { key: 'blocks-development-nobody' });
  assert.equal((await api.flow('welcome', 2)).version, -1);
  await eventually('a readable error', () =>
    api.said.some((text) => text.startsWith('error: UNAUTHORIZED_ERROR')),
  );
});

test('a validator changes nothing: clients expect a body', async () => {
  const target = '/v2/flow/welcome?version=2&userIdentifier=validator';
  const headers = { 'if-none-match': '*', 'if-modified-since': new Date().toUTCString() };
  const answer = await site.ask('GET', target, { headers });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('cache-control'), 'no-store');
});

test('pages of other origins may ask, and see the header of side effects', async () => {
  for (const [method, target, asked] of [
    ['GET', '/v2/flow/welcome?version=2&userIdentifier=u', 'x-api-key,x-pkg-name,x-pkg-version'],
    ['POST', '/v2/block/b/transition?version=2', 'content-type,x-api-key,x-pkg-name,x-pkg-version'],
  ]) {
    const headers = {
      origin: 'http://localhost:7080',
      'access-control-request-method': method,
      'access-control-request-headers': asked,
    };
    const answer = await fetch(site.url + target, { method: 'OPTIONS', headers });
    assert.ok(answer.ok, `${answer.status}`);
    const allowed = answer.headers.get('access-control-allow-headers').toLowerCase().split(/, */);
    for (const name of asked.split(',')) assert.ok(allowed.includes(name), `${name} in ${allowed}`);
    assert.match(answer.headers.get('access-control-allow-methods'), new RegExp(method));
    assert.match(answer.headers.get('access-control-allow-origin'), /^(\*|http:\/\/localhost:7080)$/);
  }
  const target = '/v2/flow/welcome/start?version=2&userIdentifier=origin';
  const headers = { origin: 'http://localhost:7080', 'content-type': 'application/json' };
  const answer = await site.ask('POST', target, { headers, body: '{}' });
  assert.equal(answer.status, 204);
  const exposed = answer.headers.get('access-control-expose-headers').toLowerCase();
  assert.match(exposed, /x-dopt-intent-side-effects/);
});
