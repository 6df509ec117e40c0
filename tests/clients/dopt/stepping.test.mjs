// What do intents and transitions of Dopt's clients do?
//
// Exactly 204 and the header of side effects where anything may follow, and 4xx
// for real misuse alone: the SDKs leave a rejected promise behind on each.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { SIDE_EFFECTS, active, blockOf, checkError, checkFlow, openBlocks } from './lib/dopt.mjs';
import { Site } from './lib/site.mjs';
import { eventually } from './lib/wait.mjs';

let site;
before(async () => {
  site = await Site.start();
});
after(() => site.stop());

const post = (target, key) =>
  site.ask('POST', target, { key, headers: { 'content-type': 'application/json' }, body: '{}' });

test('a step is a bare 204, and twice is once', async () => {
  const api = openBlocks(site, 'twice');
  const step = blockOf(checkFlow(await api.flow('welcome', 2), 'welcome', 2), 'step1');
  const target = `/v2/block/${step.uid}/transition?version=2&userIdentifier=twice&transitions=next`;
  for (const effects of ['true', 'false', 'false']) {
    const answer = await post(target);
    assert.equal(answer.status, 204);
    assert.equal(answer.headers.get(SIDE_EFFECTS), effects);
    assert.equal(answer.headers.get('content-type'), null);
    assert.equal(await answer.text(), '');
  }
  const block = await api.block(step);
  assert.deepEqual(block.state, { active: false, entered: true, exited: true });
  assert.deepEqual(block.transitioned, { next: true, skip: false });
  assert.deepEqual(active(await api.flow('welcome', 2)), ['step2']);
});

test('two transitions in one call take both ways', async () => {
  const api = openBlocks(site, 'both');
  const step = blockOf(await api.flow('welcome', 2), 'step1');
  assert.equal(await api.transition(step, 'next', 'skip'), true);
  const flow = checkFlow(await api.flow('welcome', 2), 'welcome', 2);
  assert.deepEqual(active(flow), ['step2', 'extra']);
  assert.deepEqual(blockOf(flow, 'step1').transitioned, { next: true, skip: true });
  // Back to the first: entered again, and not exited.
  assert.equal(await api.transition(blockOf(flow, 'extra'), 'dismiss'), true);
  const back = blockOf(await api.flow('welcome', 2), 'step1');
  assert.deepEqual(back.state, { active: true, entered: true, exited: false });
});

test('two calls at once are one after the other', async () => {
  const api = openBlocks(site, 'at-once');
  const step = blockOf(await api.flow('welcome', 2), 'step1');
  const effects = await Promise.all(Array.from({ length: 8 }, () => api.transition(step, 'next')));
  assert.equal(effects.filter(Boolean).length, 1, `${effects}`);
});

test('a page that fetches twice at once starts once', async () => {
  const api = openBlocks(site, 'strict-mode');
  const flows = await Promise.all(Array.from({ length: 6 }, () => api.flow('welcome', 2)));
  for (const flow of flows) assert.deepEqual(active(flow), ['step1']);
  assert.equal(await api.intent('welcome', 'start', 2), false, 'it is started already');
});

test('start, stop, finish and reset', async () => {
  const api = openBlocks(site, 'intents');
  const state = async () => (await api.flow('welcome', 2)).state;
  assert.equal(await api.intent('welcome', 'start', 2), true);
  assert.equal(await api.intent('welcome', 'start', 2), false);
  assert.equal(await api.intent('welcome', 'stop', 2), true);
  assert.deepEqual(await state(), { started: true, stopped: true, finished: false });
  const stopped = await api.flow('welcome', 2);
  assert.deepEqual(active(stopped), []);
  assert.equal(blockOf(stopped, 'step1').state.entered, true, 'entered is kept');
  assert.equal(await api.transition(blockOf(stopped, 'step1'), 'next'), false);
  assert.equal(await api.intent('welcome', 'finish', 2), true);
  assert.deepEqual(await state(), { started: true, stopped: false, finished: true });
  assert.equal(await api.intent('welcome', 'reset', 2), true);
  const again = await api.flow('welcome', 2);
  assert.deepEqual(again.state, { started: true, stopped: false, finished: false });
  assert.deepEqual(active(again), ['step1']);
});

test('the last step finishes the flow', async () => {
  const api = openBlocks(site, 'to-the-end');
  const flow = await api.flow('welcome', 2);
  await api.transition(blockOf(flow, 'step1'), 'next');
  await api.transition(blockOf(flow, 'step2'), 'complete');
  const end = await api.flow('welcome', 2);
  assert.deepEqual(end.state, { started: true, stopped: false, finished: true });
  assert.deepEqual(active(end), []);
});

test('a start that is not for the user is a success without effects, and force starts', async () => {
  const api = openBlocks(site, 'forced');
  for (const sid of ['paying', 'golden', 'manual']) {
    assert.equal((await api.flow(sid, 1)).state.started, false);
    assert.equal(await api.intent(sid, 'start', 1), false);
    assert.equal(await api.intent(sid, 'start', 1, true), true);
    assert.deepEqual(active(await api.flow(sid, 1)), ['hello']);
  }
  assert.equal(await api.intent('manual', 'reset', 1), true);
  assert.equal((await api.flow('manual', 1)).state.started, false, 'reset asks the condition again');
  assert.equal(await api.intent('manual', 'reset', 1, true), true);
  assert.equal((await api.flow('manual', 1)).state.started, true);
  for (const intent of ['stop', 'finish']) {
    const target = `/v2/flow/manual/${intent}?version=1&userIdentifier=forced&force=true`;
    await checkError(await post(target), 400, 'invalid_request_error');
  }
});

test('misuse is an error that can be read, and moves nothing', async () => {
  const api = openBlocks(site, 'misuse');
  const { uid } = blockOf(await api.flow('welcome', 2), 'step1');
  const query = 'version=2&userIdentifier=misuse';
  for (const [target, status, code] of [
    [`/v2/block/${uid}/transition?${query}&transitions=bogus`, 400, 'invalid_request_error'],
    [`/v2/block/${uid}/transition?${query}`, 400, 'invalid_request_error'],
    [`/v2/block/${uid}/transition?userIdentifier=misuse&transitions=next`, 400, 'invalid_request_error'],
    [`/v2/block/nope/transition?${query}&transitions=next`, 404, 'not_found_error'],
    ['/v2/flow/nope/start?version=-1&userIdentifier=misuse', 400, 'invalid_request_error'],
    ['/v2/flow/nope/start?version=1&userIdentifier=misuse', 404, 'not_found_error'],
  ]) {
    await checkError(await post(target), status, code);
  }
  await checkError(await post(`/v2/flow/welcome/stop?${query}`, 'nobody'), 401, 'unauthorized_error');
  await assert.rejects(api.transition({ uid, version: 2 }, 'bogus'));
  assert.deepEqual(active(await api.flow('welcome', 2)), ['step1']);
});

test('a container moves with its items', async () => {
  const api = openBlocks(site, 'container');
  const step = async (sid, name) => {
    const flow = await api.flow('onboarding', 1);
    assert.equal(await api.transition(blockOf(flow, sid), name), true, `${sid} ${name}`);
    return checkFlow(await api.flow('onboarding', 1), 'onboarding', 1);
  };
  assert.deepEqual(active(await api.flow('onboarding', 1)), ['tour', 'first']);
  assert.deepEqual(active(await step('first', 'next')), ['tour', 'second']);
  assert.deepEqual(active(await step('second', 'previous')), ['tour', 'first']);
  await step('first', 'next');
  const todo = await step('second', 'next');
  assert.deepEqual(blockOf(todo, 'tour').transitioned, { complete: true, dismiss: false });
  assert.deepEqual(active(todo), ['todo', 'name-it', 'paint-it']);
  assert.deepEqual(active(await step('paint-it', 'skip')), ['todo', 'name-it']);
  assert.deepEqual(active(await step('name-it', 'complete')), ['thanks']);
  const end = await step('thanks', 'dismiss');
  assert.equal(end.state.finished, true);
});

test('a flow that is switched off holds everybody where they stand', async () => {
  const api = openBlocks(site, 'inside');
  const flow = await api.flow('switchable', 1);
  assert.deepEqual(active(flow), ['hello']);
  await site.command('flow', 'disable', 'switchable', '--environment', 'development');
  const off = await eventually('it is off', async () => {
    const now = checkFlow(await api.flow('switchable', 1), 'switchable', 1);
    return active(now).length === 0 && now;
  });
  assert.equal(off.state.started, true);
  assert.equal(await api.transition(blockOf(flow, 'hello'), 'complete'), false);
  for (const intent of ['stop', 'finish', 'reset']) {
    assert.equal(await api.intent('switchable', intent, 1), false, intent);
  }
  const newcomer = openBlocks(site, 'newcomer');
  assert.equal((await newcomer.flow('switchable', 1)).state.started, false);
  assert.equal(await newcomer.intent('switchable', 'start', 1), false);
  await site.command('flow', 'enable', 'switchable', '--environment', 'development');
  await eventually('it is on again, where it stood', async () => {
    const now = await api.flow('switchable', 1);
    return active(now).join() === 'hello';
  });
});
